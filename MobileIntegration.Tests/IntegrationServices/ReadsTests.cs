using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using IntegrationServices.Customers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>An integration service that keeps answers for an hour, as fresh ones or only to stand in.</summary>
public sealed class ReadsServices : IDisposable
{
    private readonly ConcurrentBag<TestService<Crm>> _started = [];
    private TestService<Crm>? _keeping;
    private TestService<Crm>? _standingIn;

    internal TestService<Crm> Keeping(BackOffice office) => _keeping ??= Start(office, "3600");

    internal TestService<Crm> StandingIn(BackOffice office) => _standingIn ??= Start(office, "0");

    internal TestService<Crm> Start(BackOffice office, string freshSeconds, params (string, string)[] settings)
    {
        var service = new TestService<Crm>(
        [
            ("ConnectionStrings:wmsdb", office.WmsDatabase), ("ConnectionStrings:integrationdb", office.IntegrationDatabase), ("Run", "customers,products,orders,inventory"),
            ("Reads:FreshSeconds", freshSeconds), ("Reads:StaleSeconds", "3600"),
            .. ((string[])["crm", "erp", "pim"]).Select(system => TestServices.At(system, office.Backends.Address)),
            .. settings,
        ]);
        _started.Add(service);
        return service;
    }

    public void Dispose()
    {
        foreach (var service in _started)
        {
            service.Dispose();
        }
    }
}

/// <summary>What is kept of the systems' answers, and lists in pages.</summary>
[Collection(nameof(BackOffice))]
public sealed class ReadsTests(BackOffice office, ReadsServices services) : IClassFixture<ReadsServices>
{
    private static readonly Dictionary<string, (string Path, string Failing)> Reads = new()
    {
        ["crm"] = ("/customers/C-000401", "/customers/C-000402"),
        ["erp"] = ("/orders?customer=C-000401", "/orders?customer=C-000402"),
        ["pim"] = ("/products?ids=100401,100402", "/products?ids=100401,100403"),
        ["wms"] = ("/stock?products=100401,100402", "/stock?products=100401,100403"),
    };

    public static TheoryData<string> Systems { get; } = new() { "crm", "erp", "pim", "wms" };

    [Fact]
    public async Task An_event_that_tells_of_a_change_ends_what_is_kept_of_it_in_every_process()
    {
        var replicas = new[] { services.Keeping(office).Http, services.Start(office, "3600").Http };
        foreach (var replica in replicas)
        {
            Assert.NotEqual("Neumann-Ohlsen", await FamilyNameAsync(replica));
        }
        using var current = await office.Backends.Http.GetAsync("/crm/v1/customers/C-000405");
        using var patch = new HttpRequestMessage(HttpMethod.Patch, "/crm/v1/customers/C-000405")
        {
            Content = new StringContent("""{"name":{"family":"Neumann-Ohlsen"}}""", System.Text.Encoding.UTF8, "application/merge-patch+json"),
        };
        patch.Headers.IfMatch.Add(current.Headers.ETag!);
        using var patched = await office.Backends.Http.SendAsync(patch);
        Assert.Equal(HttpStatusCode.OK, patched.StatusCode);

        await using (var database = new NpgsqlConnection(office.IntegrationDatabase))
        {
            await database.OpenAsync();
            await using var transaction = await database.BeginTransactionAsync();
            await transaction.PublishAsync(
                [NewEvent.Of(CustomerChanged.SubjectOf("C-000405"), null, DateTimeOffset.UtcNow, new CustomerChanged("C-000405", ["name"]))], CancellationToken.None);
            await transaction.CommitAsync();
        }

        foreach (var replica in replicas)
        {
            await Eventually.TrueAsync(async () => await FamilyNameAsync(replica) == "Neumann-Ohlsen", TimeSpan.FromSeconds(30));
        }

        static async Task<string?> FamilyNameAsync(HttpClient http) => (await http.GetFromJsonAsync<JsonElement>("/customers/C-000405")).GetProperty("familyName").GetString();
    }

    [Theory]
    [MemberData(nameof(Systems))]
    public async Task When_a_system_fails_what_it_answered_before_stands_in_and_says_how_old_it_is(string system)
    {
        var http = services.StandingIn(office).Http;
        using var before = await http.GetAsync(Reads[system].Path);
        Assert.Equal(HttpStatusCode.OK, before.StatusCode);
        Assert.DoesNotContain("ttl=-", before.Headers.GetValues("Cache-Status").Single(), StringComparison.Ordinal);
        Assert.Equal(TimeSpan.Zero, before.Headers.Age);

        await office.WithFaultAsync(system, new { errorRate = 1, errorStatus = 503 }, async () =>
        {
            using var during = await http.GetAsync(Reads[system].Path);
            Assert.Equal(HttpStatusCode.OK, during.StatusCode);
            Assert.Matches($"^(customers|orders|products|stock); hit; ttl=-[0-9]+; detail=\"{system} 503\"$", during.Headers.GetValues("Cache-Status").Single());
            Assert.NotNull(during.Headers.Age);
            Assert.Equal(await before.Content.ReadAsStringAsync(), await during.Content.ReadAsStringAsync());
            Assert.Equal(before.Headers.ETag, during.Headers.ETag);

            Assert.Equal(system, (await (await http.GetAsync(Reads[system].Failing)).ProblemAsync(503)).GetProperty("system").GetString());
        });
    }

    [Fact]
    public async Task A_slow_system_is_not_waited_for_longer_than_the_caller_has()
    {
        var http = services.StandingIn(office).Http;
        (await http.GetAsync("/customers/C-000411")).EnsureSuccessStatusCode();
        await office.WithFaultAsync("crm", new { latencyMs = 30_000 }, async () =>
        {
            using var kept = await SendAsync(http, "/customers/C-000411", (Deadline.Header, "300"));
            Assert.Contains("detail=\"crm 504\"", kept.Headers.GetValues("Cache-Status").Single(), StringComparison.Ordinal);
            await (await SendAsync(http, "/customers/C-000412", (Deadline.Header, "300"))).ProblemAsync(504);
        });
    }

    [Fact]
    public async Task Calls_that_come_together_ask_once_and_a_batch_asks_for_what_is_missing()
    {
        var asked = new ConcurrentQueue<string>();
        var go = new TaskCompletionSource();
        await using var crm = (await TestServices.StartAsync(_ => { }, app => app.Run(AnswerAsync))).App;
        using var service = services.Start(office, "3600", TestServices.At("crm", TestServices.AddressOf(crm.Services)), ("Run", "customers"));

        var calls = Enumerable.Range(0, 20).Select(_ => service.Http.GetAsync("/customers/C-000421")).ToList();
        await Eventually.TrueAsync(() => !asked.IsEmpty, TimeSpan.FromSeconds(30));
        go.SetResult();
        Assert.All(await Task.WhenAll(calls), answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        (await service.Http.GetAsync("/customers?ids=C-000423,C-000421,C-000422")).EnsureSuccessStatusCode();
        (await service.Http.GetAsync("/customers/C-000423")).EnsureSuccessStatusCode();

        Assert.Equal(["/crm/v1/customers/C-000421?", "/crm/v1/customers?C-000422,C-000423"], asked);

        async Task AnswerAsync(HttpContext http)
        {
            asked.Enqueue($"{http.Request.Path}?{http.Request.Query["ids"]}");
            await go.Task;
            var isBatch = http.Request.Query.ContainsKey("ids");
            string[] ids = isBatch ? http.Request.Query["ids"].ToString().Split(',') : [http.Request.Path.Value!.Split('/')[^1]];
            var customers = await Task.WhenAll(ids.Select(id => office.Backends.Http.GetFromJsonAsync<JsonElement>($"/crm/v1/customers/{id}")));
            object answer = isBatch ? new { items = customers } : customers[0];
            await http.Response.WriteAsJsonAsync(answer);
        }
    }

    [Fact]
    public async Task Who_has_it_is_told_that_it_is_not_modified()
    {
        var http = services.Keeping(office).Http;
        foreach (var (path, _) in Reads.Values)
        {
            using var first = await http.GetAsync(path);
            using var again = await SendAsync(http, path, ("If-None-Match", $"\"other\", {first.Headers.ETag}"));
            Assert.Equal((HttpStatusCode.NotModified, first.Headers.ETag), (again.StatusCode, again.Headers.ETag));
            using var other = await SendAsync(http, path, ("If-None-Match", "\"other\""));
            Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        }
    }

    [Theory]
    [InlineData("/products/search?category=K03&limit=7")]
    [InlineData("/products/search?category=K03&limit=7&sort=newest")]
    [InlineData("/products/search?q=coat&limit=100")]
    [InlineData("/products/search?q=m%C3%A4ntel%20urban&limit=1")]
    public async Task A_list_in_pages_holds_everything_once(string query)
    {
        var http = services.Keeping(office).Http;
        var products = new List<Product>();
        string? cursor = null;
        do
        {
            var page = await GetAsync<Page<Product>>(http, cursor is null ? query : $"{query}&cursor={cursor}");
            products.AddRange(page.Items);
            cursor = page.Next;
        }
        while (cursor is not null);

        var filter = query.Contains("category", StringComparison.Ordinal) ? " and CategoryCode eq 'K03'" : "";
        var search = query.Contains("q=coat", StringComparison.Ordinal) ? "&$search=coat" : query.Contains("urban", StringComparison.Ordinal) ? "&$search=mäntel AND urban" : "";
        var count = int.Parse(await office.Backends.Http.GetStringAsync($"/pim/odata/Products/$count?$filter=Active eq true{filter}{search}"), System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(count, products.Count);
        Assert.Equal(count, products.DistinctBy(product => product.Id).Count());
        Assert.All(products, product => Assert.True(product.Active));
    }

    [Fact]
    public async Task An_orders_history_in_pages_is_the_list_and_its_changes_are_told_once_more_only_when_they_are_new()
    {
        var http = services.StandingIn(office).Http;
        var list = await GetAsync<List<OrderSummary>>(http, "/orders?customer=C-000123&top=100");
        var pages = new List<OrderSummary>();
        for (var path = "/orders/history?customer=C-000123&limit=1"; path is not null;)
        {
            var page = await GetAsync<Page<OrderSummary>>(http, path);
            pages.AddRange(page.Items);
            path = page.Next is null ? null : $"/orders/history?customer=C-000123&limit=1&cursor={page.Next}";
        }
        Assert.Equal(list.Select(order => order.Id), pages.Select(order => order.Id));

        var all = await GetAsync<Delta<OrderSummary>>(http, "/orders/changes?customer=C-000123");
        Assert.Equal(list.Select(order => order.Id).Order(), all.Changed.Select(order => order.Id).Order());
        Assert.Equal(all.Changed.OrderBy(order => order.ChangedAt), all.Changed);
        var none = await GetAsync<Delta<OrderSummary>>(http, $"/orders/changes?customer=C-000123&since={all.Since}");
        Assert.All(none.Changed, order => Assert.True(order.ChangedAt > DateTimeOffset.UtcNow.AddMinutes(-5)));
    }

    [Fact]
    public async Task A_changed_price_is_among_the_changes_since_the_cursor()
    {
        var http = services.StandingIn(office).Http;
        var begin = await GetAsync<Delta<Product>>(http, "/products/changes");
        var simulated = await (await office.Backends.Http.PostAsJsonAsync("/pim/simulate/prices", new { count = 3, seed = 5 })).Content.ReadFromJsonAsync<JsonElement>();
        var ids = simulated.GetProperty("changed").EnumerateArray().Select(id => id.GetString()!).ToHashSet();

        var changed = await GetAsync<Delta<Product>>(http, $"/products/changes?since={begin.Since}");

        Assert.Superset(ids, changed.Changed.Select(product => product.Id).ToHashSet());
        Assert.Equal(changed.Changed.OrderBy(product => product.ChangedAt), changed.Changed);
        var price = (await GetAsync<List<Price>>(http, $"/products/prices?ids={string.Join(',', ids)}"))[0];
        Assert.Equal(changed.Changed.Single(product => product.Id == price.ProductId).Price, price.Amount);
    }

    [Theory]
    [InlineData("/products/search?cursor=nonsense", "cursor")]
    [InlineData("/products/search?cursor=%27%20or%201%20eq%201", "cursor")]
    [InlineData("/products/search?cursor=AAAAAAAAAAAAAAAAAAAA", "cursor")]
    [InlineData("/products/search?category=K03&cursor=OTHER", "cursor")]
    [InlineData("/products/changes?since=MTIz", "since")]
    [InlineData("/orders/history?customer=C-000123&cursor=OTHER", "cursor")]
    [InlineData("/orders/changes?customer=C-000123&since=OTHER", "since")]
    [InlineData("/customers/search?q=mann&cursor=OTHER", "cursor")]
    public async Task A_cursor_that_is_not_of_this_list_is_a_400(string path, string parameter)
    {
        var http = services.Keeping(office).Http;
        var other = (await GetAsync<Page<Product>>(http, "/products/search?category=K04&limit=2")).Next!;
        var problem = await (await http.GetAsync(path.Replace("OTHER", other, StringComparison.Ordinal))).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(parameter, out _));
    }

    [Theory]
    [InlineData("/products/search?limit=0", "limit")]
    [InlineData("/products/search?limit=101", "limit")]
    [InlineData("/products/search?limit=2147483647", "limit")]
    [InlineData("/products/search?category=K03' or '1' eq '1", "category")]
    [InlineData("/products/search?category=K3", "category")]
    [InlineData("/products/search?sort=Price desc", "sort")]
    [InlineData("/products/search?q=x", "q")]
    [InlineData("/products/search?q=coat\") or (\"a", "q")]
    [InlineData("/products/search?q=<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>", "q")]
    [InlineData("/products/search?q=$filter=1 eq 1", "q")]
    [InlineData("/products/search?q=coat;drop table products", "q")]
    [InlineData("/products/search?q=a1 b1 c1 d1 e1 f1 g1 h1 i1", "q")]
    [InlineData("/customers/search?q=%25_';--", "q")]
    [InlineData("/customers/search?q=mann&limit=1000", "limit")]
    [InlineData("/orders/history?customer=C-000123&limit=0", "limit")]
    [InlineData("/orders/history?customer=' or 1=1", "customer")]
    [InlineData("/orders/changes?customer=<a/>", "customer")]
    [InlineData("/stock?products=100001);drop table wms.art_bal_t;--", "products")]
    [InlineData("/products/prices?ids=100001') or ('1' eq '1", "ids")]
    public async Task What_could_mean_something_to_a_system_behind_is_a_400_that_names_it(string path, string parameter)
    {
        var http = services.Keeping(office).Http;
        var problem = await (await http.GetAsync(path)).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(parameter, out _));
    }

    [Fact]
    public async Task Words_that_are_operators_elsewhere_are_words_in_a_search()
    {
        var http = services.Keeping(office).Http;
        Assert.Empty((await GetAsync<Page<Product>>(http, "/products/search?q=coat or dress")).Items);
        Assert.Empty((await GetAsync<Page<Product>>(http, "/products/search?q=not coat")).Items);
        Assert.NotEmpty((await GetAsync<Page<Product>>(http, "/products/search?q=coat")).Items);
    }

    [Fact]
    public async Task Customers_are_searched_by_back_office_clients_only()
    {
        var http = services.Keeping(office).Http;
        var name = (await GetAsync<Customer>(http, "/customers/C-000123")).FamilyName;
        var first = await GetAsync<Page<Customer>>(http, $"/customers/search?q={Uri.EscapeDataString(name)}&limit=1");
        Assert.Single(first.Items);
        await (await http.GetAsync("/customers/search?q=mann", TestAuthority.Shared.CustomerToken("C-000123", "home"))).ProblemAsync(403);
    }

    private static async Task<T> GetAsync<T>(HttpClient http, string path)
    {
        using var response = await http.GetAsync(path);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync<T>(Json))!;
    }

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    private static Task<HttpResponseMessage> SendAsync(HttpClient http, string path, (string Name, string Value) header)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.TryAddWithoutValidation(header.Name, header.Value);
        return http.SendAsync(request);
    }
}
