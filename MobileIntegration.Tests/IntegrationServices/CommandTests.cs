using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using MobileIntegration.Contracts;
using Npgsql;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>Orders that are placed and cancelled: promised at once, done once, undone when refused.</summary>
[Collection(nameof(BackOffice))]
public sealed class CommandTests(BackOffice office)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly HttpClient _http = office.Integration.Http;

    /// <summary>An outage of the Wms ends all sessions, also those that wait in a pool.</summary>
    private string WmsDatabase => office.WmsDatabase + ";Pooling=false";

    private readonly Commands _commands = new(office.Integration.Http);

    [Fact]
    public async Task An_order_is_placed_and_its_status_tells_of_every_step()
    {
        var order = await OrderAsync("C-000201");
        var response = await _commands.SendAsync("/orders", order);
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);

        var status = await _commands.EndedAsync(response.Headers.Location!);

        Assert.Equal(CommandStatusCode.Done, status.Status);
        Assert.Equal(["accepted", "price done", "reserve done", "place done"], status.History.Select(entry => $"{entry.Step} {entry.Outcome}".Trim()));
        var placed = (await new OrdersClient(_http).GetAsync(status.OrderId!, default))!;
        Assert.Equal(order.ShipTo, placed.ShipTo);
        Assert.Equal(order.Lines, placed.Lines.Select(line => new NewOrderLine(line.ProductId, line.Quantity)));
        var product = (await new ProductsClient(_http).GetAsync([order.Lines[0].ProductId], default))[0];
        Assert.Equal(product.Price, placed.Lines[0].UnitPrice);
        Assert.Equal("O", await ReservationAsync(status.Id));
        await using var database = new NpgsqlConnection(office.IntegrationDatabase);
        Assert.Equal(
            "OrderChanged 1 open C-000201",
            await database.QuerySingleAsync<string>(
                "select concat_ws(' ', type, version, data ->> 'status', data ->> 'customerId') from events.event where subject = @subject", new { subject = $"order:{status.OrderId}" }));
    }

    [Fact]
    public async Task The_same_key_and_body_is_the_same_command_and_another_body_is_refused()
    {
        var order = await OrderAsync("C-000202");
        var key = Guid.NewGuid().ToString();
        var responses = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _commands.SendAsync("/orders", order, key)));
        Assert.All(responses, response => Assert.Equal(HttpStatusCode.Accepted, response.StatusCode));
        var location = Assert.Single(responses.Select(response => response.Headers.Location).Distinct());
        var status = await _commands.EndedAsync(location!);

        Assert.Equal(location, (await _commands.SendAsync("/orders", order, $"\"{key}\"")).Headers.Location);
        var problem = await (await _commands.SendAsync("/orders", order with { CustomerId = "C-000203" }, key)).ProblemAsync(422);
        Assert.Contains("Idempotency-Key", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(1, await ErpOrdersAsync(status.Id));
        // The key of one user is nothing to another.
        using var bob = new HttpClient { BaseAddress = _http.BaseAddress };
        bob.Authorize(TestAuthority.Shared.Token("orders", token => (token.Claims["sub"], token.Claims["customer"]) = ("bob", "C-000202")));
        Assert.NotEqual(location, (await new Commands(bob).SendAsync("/orders", order, key)).Headers.Location);
    }

    [Fact]
    public async Task An_order_that_the_Erp_refuses_gives_its_goods_back()
    {
        var status = await _commands.RunAsync("/orders", await OrderAsync("C-009998"));

        Assert.Equal(CommandStatusCode.Refused, status.Status);
        Assert.Equal("unknown-customer", status.Problem!.Code);
        Assert.Contains("9998", status.Problem.Detail, StringComparison.Ordinal);
        Assert.Equal(["accepted", "price done", "reserve done", "place refused", "reserve undone"], status.History.Select(entry => $"{entry.Step} {entry.Outcome}".Trim()));
        Assert.Equal("X", await ReservationAsync(status.Id));
    }

    [Fact]
    public async Task More_than_there_is_is_refused_and_nothing_is_reserved()
    {
        var one = await OrderAsync("C-000204");
        var (_, other) = await GoodsAsync(one.StoreId, one.Lines[0].ProductId);

        var status = await _commands.RunAsync("/orders", one with { Lines = [one.Lines[0], new(other, 9_999)] });

        Assert.Equal((CommandStatusCode.Refused, "out-of-stock"), (status.Status, status.Problem!.Code));
        Assert.Contains(other, status.Problem.Detail, StringComparison.Ordinal);
        Assert.Empty(await ReservationAsync(status.Id));
    }

    [Fact]
    public async Task An_order_that_comes_to_another_price_than_was_shown_is_refused()
    {
        var order = await OrderAsync("C-000205");
        var price = (await new ProductsClient(_http).GetAsync([order.Lines[0].ProductId], default))[0].Price;

        var dearer = await _commands.RunAsync("/orders", order with { ExpectedTotal = price with { MinorUnits = price.MinorUnits - 1 } });
        var same = await _commands.RunAsync("/orders", order with { ExpectedTotal = price });

        Assert.Equal((CommandStatusCode.Refused, "price-changed"), (dearer.Status, dearer.Problem!.Code));
        Assert.Equal(CommandStatusCode.Done, same.Status);
    }

    [Theory]
    [InlineData("erp")]
    [InlineData("wms")]
    [InlineData("pim")]
    public async Task While_a_system_is_away_an_order_waits_and_then_is_placed_once(string system)
    {
        var order = await OrderAsync("C-000206");
        Uri location = null!;
        await office.WithFaultAsync(system, new { outage = true }, async () =>
        {
            var response = await _commands.SendAsync("/orders", order);
            Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
            location = response.Headers.Location!;
            await Eventually.TrueAsync(async () => (await _commands.GetAsync(location)).History.Any(entry => entry.Outcome is "failed"), Patience);
            Assert.Equal(CommandStatusCode.Running, (await _commands.GetAsync(location)).Status);
        });

        var status = await _commands.EndedAsync(location);

        Assert.Equal(CommandStatusCode.Done, status.Status);
        Assert.Equal(1, await ErpOrdersAsync(status.Id));
        Assert.Contains(status.History, entry => entry.Outcome is "failed" && entry.Detail!.StartsWith(system, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_command_that_cannot_go_on_is_a_dead_letter_until_an_operator_has_mended_the_data_and_replays_it()
    {
        var order = await OrderAsync("C-000207");
        await using var pim = new NpgsqlConnection(office.BackendDatabase);
        await pim.ExecuteAsync("update pim.products set currency = 'eu' where sku = @sku", new { sku = order.Lines[0].ProductId });

        var status = await _commands.RunAsync("/orders", order);

        Assert.Equal((CommandStatusCode.Dead, "needs-mending"), (status.Status, status.Problem!.Code));
        Assert.StartsWith($"pim answered product {order.Lines[0].ProductId} whose ListPrice", status.Problem.Detail, StringComparison.Ordinal);
        var listed = await _http.GetFromJsonAsync<JsonElement>("/commands?limit=100");
        Assert.Contains(listed.GetProperty("items").EnumerateArray(), one => one.GetProperty("command").GetProperty("id").GetGuid() == status.Id);

        await pim.ExecuteAsync("update pim.products set currency = 'EUR' where sku = @sku", new { sku = order.Lines[0].ProductId });
        var replays = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => _http.PostAsync($"/commands/{status.Id}/replay", null)));
        Assert.All(replays, replay => Assert.Equal(HttpStatusCode.OK, replay.StatusCode));
        status = await _commands.EndedAsync(new($"/orders/commands/{status.Id}", UriKind.Relative));

        Assert.Equal(CommandStatusCode.Done, status.Status);
        Assert.Null(status.Problem);
        Assert.Equal("ada", Assert.Single(status.History, entry => entry.Outcome is "replayed").Who);
        Assert.Equal(1, await ErpOrdersAsync(status.Id));
        Assert.Equal(HttpStatusCode.OK, (await _http.PostAsync($"/commands/{status.Id}/replay", null)).StatusCode);
        await (await _http.PostAsync($"/commands/{status.Id}/discard", null)).ProblemAsync(409);
    }

    [Fact]
    public async Task What_a_discarded_dead_letter_has_done_is_undone()
    {
        var order = await OrderAsync("C-000208");
        await using var erp = new NpgsqlConnection(office.BackendDatabase);
        var response = await _commands.SendAsync("/orders", order);
        var id = (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
        await _commands.EndedAsync(response.Headers.Location!);
        await using var integration = new NpgsqlConnection(office.IntegrationDatabase);
        // As if the answer of the Erp had been lost for as long as it was tried.
        await integration.ExecuteAsync("update commands.command set status = 'dead', step = 2, state = state - 'order' where id = @id", new { id });

        Assert.Equal(HttpStatusCode.OK, (await _http.PostAsync($"/commands/{id}/discard", null)).StatusCode);
        await Eventually.TrueAsync(
            async () => (await _commands.GetAsync(response.Headers.Location!)).Status is CommandStatusCode.Discarded, Patience);

        Assert.Equal("CANCELLED", await erp.ExecuteScalarAsync<string>(
            "select status from erp.orders where external_reference = @reference", new { reference = id.ToString() }));
        Assert.Equal("X", await ReservationAsync(id));
        Assert.Equal(HttpStatusCode.OK, (await _http.PostAsync($"/commands/{id}/discard", null)).StatusCode);
        await (await _http.PostAsync($"/commands/{id}/replay", null)).ProblemAsync(409);
    }

    [Fact]
    public async Task What_is_tried_for_too_long_is_a_dead_letter_that_says_why()
    {
        await using var service = new TestService<global::IntegrationServices.Customers.Crm>(
            ("Run", "orders"), ("ConnectionStrings:wmsdb", office.WmsDatabase), ("ConnectionStrings:integrationdb", await TestPostgres.CreateDatabaseAsync()),
            TestServices.At("pim", new("http://127.0.0.1:9")), ("Commands:GiveUpHours", "0.0001"), ("Commands:FirstRetrySeconds", "0.05"));

        var status = await new Commands(service.Http).RunAsync("/orders", await OrderAsync("C-000209"));

        Assert.Equal((CommandStatusCode.Dead, "given-up"), (status.Status, status.Problem!.Code));
        Assert.StartsWith("pim cannot be reached.", status.Problem.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_and_worker_are_one_trace()
    {
        var worked = new TaskCompletionSource<Activity>(TaskCreationOptions.RunContinuationsAsynchronously);
        var trace = ActivityTraceId.CreateRandom();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "mobile.commands",
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == trace)
                {
                    worked.TrySetResult(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        using var http = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null }) { BaseAddress = _http.BaseAddress };
        http.Authorize(TestAuthority.AllScopes);
        http.DefaultRequestHeaders.Add("traceparent", $"00-{trace}-00f067aa0ba902b7-01");

        var response = await new Commands(http).SendAsync("/orders", await OrderAsync("C-000210"));

        Assert.Equal("process commands", (await worked.Task.WaitAsync(Patience)).OperationName);
        var id = (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
        Assert.Equal(trace.ToString(), (await _http.GetFromJsonAsync<JsonElement>($"/commands/{id}")).GetProperty("traceId").GetString());
    }

    [Fact]
    public async Task A_cancelled_order_is_cancelled_in_the_Erp_and_its_goods_are_free_again()
    {
        var placed = await _commands.RunAsync("/orders", await OrderAsync("C-000211"));

        var status = await _commands.RunAsync($"/orders/{placed.OrderId}/cancel", new OrderCancellation("Changed my mind"));

        Assert.Equal(CommandStatusCode.Done, status.Status);
        var order = (await new OrdersClient(_http).GetAsync(placed.OrderId!, default))!;
        Assert.Equal((OrderStatus.Cancelled, "Changed my mind"), (order.Status, order.CancelReason));
        Assert.Equal("X", await ReservationAsync(placed.Id));
    }

    [Fact]
    public async Task An_order_that_has_left_the_house_is_not_cancelled()
    {
        await using var erp = new NpgsqlConnection(office.BackendDatabase);
        var shipped = await erp.QueryFirstAsync<long>("select order_no from erp.orders where status = 'SHIPPED' limit 1");

        var status = await _commands.RunAsync($"/orders/{shipped}/cancel", new OrderCancellation());

        Assert.Equal((CommandStatusCode.Refused, "not-cancellable"), (status.Status, status.Problem!.Code));
        await (await _commands.SendAsync("/orders/4599999999/cancel", new OrderCancellation())).ProblemAsync(404);
    }

    [Fact]
    public async Task An_order_is_placed_for_ones_own_customer_and_seen_by_nobody_else()
    {
        var order = await OrderAsync("C-000212");
        using var own = Client(TestAuthority.Shared.CustomerToken("C-000212", "orders"));
        using var other = Client(TestAuthority.Shared.CustomerToken("C-000213", "orders"));
        using var reader = Client(TestAuthority.Shared.CustomerToken("C-000212", "home"));

        var response = await new Commands(own).SendAsync("/orders", order);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        var location = response.Headers.Location!;
        Assert.Equal(HttpStatusCode.OK, (await own.GetAsync(location)).StatusCode);
        await (await other.GetAsync(location)).ProblemAsync(404);
        await (await new Commands(other).SendAsync("/orders", order)).ProblemAsync(403);
        await (await new Commands(reader).SendAsync("/orders", order)).ProblemAsync(403);
        await (await own.GetAsync("/commands")).ProblemAsync(403);
        await (await own.PostAsync($"/commands/{Guid.NewGuid()}/replay", null)).ProblemAsync(403);
    }

    private HttpClient Client(string token)
    {
        var http = new HttpClient { BaseAddress = _http.BaseAddress };
        http.Authorize(token);
        return http;
    }

    private async Task<NewOrder> OrderAsync(string customer)
    {
        var (store, article) = await GoodsAsync("W05", "");
        return new(customer, store, new("Ada Müller & Söhne <GmbH>", "Ring 1", "10115", "Berlin", "DE"), [new(article, 1)]);
    }

    /// <summary>An article that is for sale and of which a store has some.</summary>
    private async Task<(string Store, string Article)> GoodsAsync(string store, string except)
    {
        await using var pim = new NpgsqlConnection(office.BackendDatabase);
        var active = (await pim.QueryAsync<string>("select sku from pim.products where active and sku <> @except order by random() limit 200", new { except })).ToArray();
        await using var wms = new NpgsqlConnection(WmsDatabase);
        return (store, await wms.QueryFirstAsync<string>(
            "select art_no from wms.art_bal_t where whs_cd = @store and art_no = any(@active) and st_cd = 'A' and qty_oh - qty_rsv > 2", new { store, active }));
    }

    /// <returns>The states of its lines in the Wms: O open, X released.</returns>
    private async Task<string> ReservationAsync(Guid id)
    {
        await using var wms = new NpgsqlConnection(WmsDatabase);
        return string.Concat(await wms.QueryAsync<string>("select st_cd::text from wms.rsv_t where ref = @reference", new { reference = id.ToString() }));
    }

    private async Task<long> ErpOrdersAsync(Guid id)
    {
        await using var erp = new NpgsqlConnection(office.BackendDatabase);
        return await erp.ExecuteScalarAsync<long>("select count(*) from erp.orders where external_reference = @reference", new { reference = id.ToString() });
    }
}
