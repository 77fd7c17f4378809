using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using IntegrationServices.Changes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>Changes that the backend systems report, by webhook and when they are asked, as events.</summary>
[Collection(nameof(BackOffice))]
public sealed class ChangesTests(BackOffice office, ChangesService changes) : IClassFixture<ChangesService>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly HttpClient _http = changes.Service.Http;

    [Theory]
    [InlineData("crm", "moves", "CustomerChanged", "customer:")]
    [InlineData("erp", "advance", "OrderChanged", "order:")]
    [InlineData("pim", "prices", "PriceChanged", "price:")]
    [InlineData("wms", "movements", "StockChanged", "stock:")]
    public async Task A_change_of_each_system_becomes_one_event(string system, string what, string type, string kind)
    {
        var before = (await changes.EventsAsync($"{kind}%")).Count;
        var answer = await (await office.Backends.Http.PostAsJsonAsync($"/{system}/simulate/{what}", new { count = 7, seed = 42 })).Content.ReadFromJsonAsync<JsonElement>();
        var ids = answer.GetProperty("changed").EnumerateArray().Select(id => id.GetString()!).ToList();
        await Eventually.TrueAsync(async () => (await changes.EventsAsync($"{kind}%")).Count >= before + 7, Patience);

        var told = (await changes.EventsAsync($"{kind}%")).Skip(before).ToList();

        Assert.All(told, one => Assert.Equal(type, one.Type));
        Assert.Equal(ids.Order(), told.Select(one => system is "wms" ? $"{one.Version}" : one.Subject[kind.Length..]).Order());
        await Eventually.TrueAsync(async () => !(await office.Backends.Http.GetStringAsync($"/{system}/webhooks/deliveries?status=pending")).Contains("\"id\"", StringComparison.Ordinal), Patience);
        Assert.Empty(await changes.SetAsideAsync($"%{system}%"));
    }

    [Fact]
    public async Task What_a_webhook_told_is_not_told_again_when_the_system_is_asked_and_what_it_lost_is()
    {
        var polling = changes.Service.Services.GetServices<IHostedService>().OfType<Polling>().Single();
        // What changed before there were webhooks is told by the first look.
        await polling.PollWmsAsync(default);
        await polling.PollPimAsync(default);
        await PostAsync("/wms/simulate/movements", 5, 7);
        await PostAsync("/pim/simulate/prices", 5, 7);
        await Eventually.TrueAsync(async () => (await office.Backends.Http.GetStringAsync("/wms/webhooks/deliveries?status=pending")).Length < 20
            && (await office.Backends.Http.GetStringAsync("/pim/webhooks/deliveries?status=pending")).Length < 20, Patience);
        var (stock, prices) = (await changes.EventsAsync("stock:%"), await changes.EventsAsync("price:%"));

        await polling.PollWmsAsync(default);
        await polling.PollPimAsync(default);
        Assert.Equal(stock, await changes.EventsAsync("stock:%"));
        Assert.Equal(prices, await changes.EventsAsync("price:%"));

        // Without webhooks: as if they were lost.
        await using var database = new NpgsqlConnection(changes.Database);
        await database.ExecuteAsync("truncate events.subject, events.event, events.delivery; update changes.mark set position = '0' where system = 'wms'");
        await database.ExecuteAsync("update changes.mark set position = @position where system = 'pim'", new { position = DateTimeOffset.UtcNow.AddMinutes(-5).ToString("O") });
        await polling.PollWmsAsync(default);
        await polling.PollPimAsync(default);
        Assert.Equal(
            stock.GroupBy(one => one.Subject).Select(one => one.Last()).OrderBy(one => one.Subject, StringComparer.Ordinal),
            (await changes.EventsAsync("stock:%")).Where(one => stock.Exists(told => told.Subject == one.Subject)).OrderBy(one => one.Subject, StringComparer.Ordinal));
        var again = (await changes.EventsAsync("price:%")).Select(one => (one.Subject, one.Version)).ToList();
        Assert.All(prices.GroupBy(one => one.Subject), one => Assert.Contains((one.Key, one.Max(told => told.Version)), again));
    }

    [Fact]
    public async Task Changes_that_come_twice_and_in_any_order_double_and_reverse_nothing()
    {
        var messages = Enumerable.Range(1, 6).SelectMany(revision => Enumerable.Range(1, 4).SelectMany(order =>
            Enumerable.Repeat((Body: ChangesService.Order($"459900000{order}", revision), Id: $"msg_{order}_{revision}"), 3))).ToArray();
        new Random(4711).Shuffle(messages);
        await Task.WhenAll(messages.Chunk(9).Select(async part =>
        {
            foreach (var (body, id) in part)
            {
                await changes.TakenAsync("erp", body, id);
            }
        }));

        foreach (var order in (await changes.EventsAsync("order:4599%")).GroupBy(one => one.Subject))
        {
            var versions = order.Select(one => one.Version).ToList();
            Assert.Equal(versions.Distinct().Order(), versions);
            Assert.Equal(6, versions[^1]);
        }
        Assert.Equal(4, (await changes.EventsAsync("order:4599%")).Select(one => one.Subject).Distinct().Count());
    }

    [Fact]
    public async Task A_webhook_without_a_good_signature_is_refused_and_leaves_nothing()
    {
        var body = ChangesService.Order("4598000001", 1);
        var refusals = new[]
        {
            await changes.SendAsync("erp", body, signature: "v1,AAAA"),
            await changes.SendAsync("erp", body, signature: ""),
            await changes.SendAsync("erp", body, signature: "v2,x v1, v1,***"),
            await changes.SendAsync("erp", body[..^20], signed: body),
            await changes.SendAsync("erp", body, age: TimeSpan.FromMinutes(6)),
            await changes.SendAsync("erp", body, age: TimeSpan.FromMinutes(-6)),
            await changes.SendAsync("erp", body, id: "a.b"),
        };
        foreach (var refusal in refusals)
        {
            await refusal.ProblemAsync(401);
        }
        await (await changes.SendAsync("erp", new string(' ', 70_000))).ProblemAsync(413);
        using var http = new HttpClient { BaseAddress = changes.Service.Address };
        await (await http.PostAsync("/webhooks/nobody", new StringContent(body))).ProblemAsync(404);
        await (await http.PostAsync("/webhooks/erp", new StringContent(body))).ProblemAsync(401);
        Assert.Empty(await changes.EventsAsync("order:4598%"));
        // While its secret is changed, a system signs with both.
        using var signed = ChangesService.Signed(await SecretAsync("erp"), "erp", body, "msg_two", DateTimeOffset.UtcNow);
        var good = signed.Headers.GetValues("webhook-signature").Single();
        Assert.Equal(HttpStatusCode.NoContent, (await changes.SendAsync("erp", body, id: "msg_two", signature: $"v1,{Convert.ToBase64String(new byte[32])} {good}")).StatusCode);
        Assert.Single(await changes.EventsAsync("order:4598%"));
    }

    [Theory]
    [InlineData("no-json", "{\"type\":\"order.up", "JSON")]
    [InlineData("null", "null", "null")]
    [InlineData("unheard", """{"type":"order.eaten","timestamp":"2026-07-01T08:00:00Z","data":{}}""", "order.eaten")]
    [InlineData("gap", """{"type":"order.updated","timestamp":"2026-07-01T08:00:00Z","data":{"orderNo":"4500001234","customerNo":"123","status":"PICKED"}}""", "revision is missing")]
    [InlineData("status", """{"type":"order.updated","timestamp":"2026-07-01T08:00:00Z","data":{"orderNo":"4500001234","customerNo":"123","status":"LOST","revision":3}}""", "status is 'LOST'")]
    [InlineData("id", """{"type":"order.updated","timestamp":"2026-07-01T08:00:00Z","data":{"orderNo":"1'; drop table x --","customerNo":"123","status":"OPEN","revision":3}}""", "orderNo is '1'; drop")]
    [InlineData("nul", "{\"type\":\"\\u0000\",\"timestamp\":\"2026-07-01T08:00:00Z\",\"data\":{}} \0", "JSON")]
    public async Task What_cannot_be_understood_is_set_aside_with_its_reason(string name, string body, string reason)
    {
        await changes.TakenAsync("erp", body, $"msg_aside_{name}");
        await changes.TakenAsync("erp", body, $"msg_aside_{name}");
        Assert.Contains(reason, Assert.Single(await changes.SetAsideAsync($"msg_aside_{name}")).Reason, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("crm", "nul", "\"customer.updated\"", "{\"id\":\"C-000123\",\"rev\":900,\"changed\":[\"\\u0000\"]}", "changed has an entry")]
    [InlineData("crm", "half", "\"customer.updated\"", "{\"id\":\"C-000123\",\"rev\":901,\"changed\":[\"\\ud800\"]}", "JSON")]
    [InlineData("crm", "none", "\"customer.updated\"", "{\"id\":\"C-000123\",\"rev\":902,\"changed\":[null]}", "changed has an empty entry")]
    [InlineData("pim", "most", "\"product.price_changed\"", "{\"sku\":\"100042\",\"listPrice\":79228162514264337593543950335,\"currency\":\"EUR\",\"revision\":900}", "no amount of money")]
    [InlineData("erp", "names", "\"order.updated\"", "{\"orderNo\":\"4500001234\",\"customerNo\":\"123\",\"status\":\"OPEN,PICKED\",\"revision\":900}", "status is 'OPEN,PICKED'")]
    public async Task What_no_database_or_amount_could_hold_is_set_aside_as_well(string system, string name, string type, string data, string reason)
    {
        await changes.TakenAsync(system, $"{{\"type\":{type},\"timestamp\":\"2026-07-01T08:00:00Z\",\"data\":{data}}}", $"msg_beyond_{name}");
        Assert.Contains(reason, Assert.Single(await changes.SetAsideAsync($"msg_beyond_{name}")).Reason, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("/changes/set-aside?system=sap", "system")]
    [InlineData("/changes/set-aside?system=%00", "system")]
    [InlineData("/changes/set-aside?status=%00", "status")]
    [InlineData("/changes/dead-letters?subscription=%00", "subscription")]
    public async Task A_filter_that_no_list_has_is_named(string path, string parameter) =>
        Assert.True((await (await _http.GetAsync(path)).ProblemAsync(400)).GetProperty("errors").TryGetProperty(parameter, out _));

    [Fact]
    public async Task An_operator_sees_replays_and_discards_what_was_set_aside()
    {
        await changes.TakenAsync("erp", ChangesService.Order("4597000001", 2, "LOST"), "msg_operator_1");
        await changes.TakenAsync("erp", ChangesService.Order("4597000002", 2, "LOST"), "msg_operator_2");
        var items = await ItemsAsync("/changes/set-aside?system=erp&limit=100");
        var (first, second) = (Find(items, "msg_operator_1"), Find(items, "msg_operator_2"));

        var refusal = await (await _http.PostAsync($"/changes/set-aside/{first}/replay", null)).ProblemAsync(409);
        Assert.Contains("status is 'LOST'", refusal.GetProperty("detail").GetString(), StringComparison.Ordinal);
        // As if a newer version of the service knew the status.
        await using var database = new NpgsqlConnection(changes.Database);
        await database.ExecuteAsync("update changes.set_aside set content = replace(content, 'LOST', 'PICKED') where id = @first", new { first });
        for (var time = 0; time < 2; time++)
        {
            var replayed = await (await _http.PostAsync($"/changes/set-aside/{first}/replay", null)).EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>();
            Assert.Equal("replayed", replayed.GetProperty("status").GetString());
            Assert.NotNull(replayed.GetProperty("who").GetString());
            (await _http.PostAsync($"/changes/set-aside/{second}/discard", null)).EnsureSuccessStatusCode();
        }
        await (await _http.PostAsync($"/changes/set-aside/{second}/replay", null)).ProblemAsync(409);
        await (await _http.PostAsync($"/changes/set-aside/{first}/discard", null)).ProblemAsync(409);
        await (await _http.PostAsync($"/changes/set-aside/{Guid.NewGuid()}/replay", null)).ProblemAsync(404);
        await (await _http.GetAsync("/changes/set-aside?status=lost")).ProblemAsync(400);
        Assert.Equal("order:4597000001", Assert.Single(await changes.EventsAsync("order:4597%")).Subject);
        var overview = await _http.GetFromJsonAsync<JsonElement>("/changes");
        Assert.Equal(["crm", "erp", "pim", "wms"], overview.GetProperty("systems").EnumerateArray().Select(system => system.GetProperty("system").GetString()));
        Assert.Equal(HttpStatusCode.Forbidden, (await _http.GetAsync("/changes", TestAuthority.Shared.CustomerToken("C-000001", "orders"))).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await _http.GetAsync("/changes", null)).StatusCode);
    }

    private async Task PostAsync(string path, int count, int seed) =>
        (await office.Backends.Http.PostAsJsonAsync(path, new { count, seed })).EnsureSuccessStatusCode();

    private async Task<string> SecretAsync(string system)
    {
        await using var database = new NpgsqlConnection(changes.Database);
        return await database.QuerySingleAsync<string>("select secret from changes.secret where system = @system", new { system });
    }

    private async Task<List<JsonElement>> ItemsAsync(string path) =>
        [.. (await _http.GetFromJsonAsync<JsonElement>(path)).GetProperty("items").EnumerateArray()];

    private static Guid Find(List<JsonElement> items, string reference) =>
        items.Single(item => item.GetProperty("reference").GetString() == reference).GetProperty("id").GetGuid();
}
