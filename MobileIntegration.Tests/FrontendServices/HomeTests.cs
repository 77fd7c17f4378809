using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.FrontendServices;

[Collection(nameof(BackOffice))]
public sealed class HomeTests(BackOffice office)
{
    private readonly HttpClient _http = office.Frontend.Http;

    [Fact]
    public async Task The_page_is_what_the_four_systems_hold()
    {
        var page = await PageAsync("C-000123");

        var crm = await office.Backends.Http.GetFromJsonAsync<JsonElement>("/crm/v1/customers/C-000123");
        Assert.Equal(crm.GetProperty("name").GetProperty("given").GetString(), Fresh(page, "profile").GetProperty("givenName").GetString());

        var orders = await office.Integration.Http.GetFromJsonAsync<JsonElement>("/orders?customer=C-000123&top=5");
        Assert.True(JsonElement.DeepEquals(orders, Fresh(page, "orders")));

        var pim = await office.Backends.Http.GetFromJsonAsync<JsonElement>(
            "/pim/odata/Products?$filter=Active eq true and SalePrice ne null&$orderby=LaunchedOn desc,Sku&$top=6&$select=Sku,Name,SalePrice");
        var suggestions = Fresh(page, "suggestions").EnumerateArray().ToList();
        Assert.Equal(
            pim.GetProperty("value").EnumerateArray().Select(product => product.GetProperty("Sku").GetString()),
            suggestions.Select(product => product.GetProperty("id").GetString()));

        await using var wms = new NpgsqlConnection(office.WmsDatabase);
        foreach (var product in Fresh(page, "stock").EnumerateArray())
        {
            var stores = product.GetProperty("stores").EnumerateArray().ToList();
            Assert.InRange(stores.Count, 0, 3);
            Assert.Equal(stores.OrderBy(store => store.GetProperty("distanceKm").GetDouble()), stores);
            foreach (var store in stores)
            {
                var free = await wms.ExecuteScalarAsync<int>(
                    "select qty_oh - qty_rsv from wms.art_bal where st_cd = 'A' and art_no = @article and whs_cd = @store",
                    new { article = product.GetProperty("productId").GetString(), store = store.GetProperty("storeId").GetString() });
                Assert.Equal(free, store.GetProperty("available").GetInt32());
            }
        }
        Assert.Equal(suggestions.Count, Fresh(page, "stock").GetArrayLength());
    }

    [Theory]
    [InlineData("crm", "profile")]
    [InlineData("erp", "orders")]
    [InlineData("wms", "stock")]
    public async Task When_one_system_fails_its_section_says_so_and_the_others_stand(string system, string section)
    {
        await office.WithFaultAsync(system, new { errorRate = 1 }, async () =>
        {
            var page = await PageAsync("C-000001");
            var failed = page.GetProperty(section);
            Assert.Equal("failed", failed.GetProperty("status").GetString());
            Assert.Equal(503, failed.GetProperty("problem").GetProperty("status").GetInt32());
            Assert.Equal(system, failed.GetProperty("problem").GetProperty("system").GetString());
            Assert.False(failed.TryGetProperty("data", out _));
            foreach (var other in page.EnumerateObject().Where(other => other.Name != section))
            {
                Fresh(page, other.Name);
            }
        });
    }

    [Fact]
    public async Task The_four_systems_are_asked_at_the_same_time()
    {
        await PageAsync("C-000001");
        var calls = new ConcurrentBag<Activity>();
        using var trace = new Activity("test") { ActivityTraceFlags = ActivityTraceFlags.Recorded }.Start();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "System.Net.Http",
            ActivityStopped = call =>
            {
                if (call.TraceId == trace.TraceId && call.GetTagItem("server.port") is int port && port == office.Integration.Address.Port)
                {
                    calls.Add(call);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        string[] systems = ["crm", "erp", "pim", "wms"];
        foreach (var system in systems)
        {
            (await office.Backends.Http.PutAsJsonAsync($"/{system}/faults", new { latencyMs = 300 })).EnsureSuccessStatusCode();
        }
        try
        {
            await PageAsync("C-000001");
            Assert.Equal(4, calls.Count);
            Assert.True(calls.Max(call => call.StartTimeUtc) < calls.Min(call => call.StartTimeUtc + call.Duration), "The last call began when another had ended.");
        }
        finally
        {
            foreach (var system in systems)
            {
                (await office.Backends.Http.DeleteAsync($"/{system}/faults")).EnsureSuccessStatusCode();
            }
        }
    }

    [Fact]
    public async Task Without_a_customer_in_the_query_it_is_the_page_of_the_tokens_customer()
    {
        var page = await (await _http.GetAsync("/api/home", Token("C-000123"))).Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal("C-000123", Fresh(page, "profile").GetProperty("id").GetString());
        foreach (var section in (string[])["orders", "suggestions", "stock"])
        {
            Fresh(page, section);
        }
        page = await (await _http.GetAsync("/api/home?customer=C-000123", Token("C-000123"))).Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal("C-000123", Fresh(page, "profile").GetProperty("id").GetString());
    }

    [Theory]
    [InlineData("/api/home?customer=C-000124", "C-000123", "that of another customer")]
    [InlineData("/api/home?customer=C-000124", null, "not that of a customer")]
    [InlineData("/api/home", null, "not that of a customer")]
    public async Task The_page_of_another_customer_needs_a_scope_of_its_own(string path, string? customer, string detail)
    {
        var response = await _http.GetAsync(path, Token(customer));
        var problem = await response.ProblemAsync(403);
        Assert.Contains(detail, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Contains("error=\"insufficient_scope\", scope=\"customers\"", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/customers/C-000124", 403)]
    [InlineData("/customers?ids=C-000123,C-000124", 403)]
    [InlineData("/orders?customer=C-000124", 403)]
    [InlineData("/customers/C-000123", 200)]
    [InlineData("/orders?customer=C-000123", 200)]
    public async Task The_services_behind_the_page_look_at_the_customer_too(string path, int status)
    {
        using var response = await office.Integration.Http.GetAsync(path, Token("C-000123"));
        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task The_order_of_another_customer_is_not_there()
    {
        var orders = await office.Integration.Http.GetFromJsonAsync<JsonElement>("/orders?customer=C-000123&top=1");
        var path = $"/orders/{orders[0].GetProperty("id").GetString()}";
        Assert.Equal(HttpStatusCode.OK, (await office.Integration.Http.GetAsync(path, Token("C-000123"))).StatusCode);
        await (await office.Integration.Http.GetAsync(path, Token("C-000124"))).ProblemAsync(404);
    }

    [Theory]
    [MemberData(nameof(TestAuthority.WrongTokens), MemberType = typeof(TestAuthority))]
    public async Task Neither_the_page_nor_a_service_behind_it_takes_a_wrong_token(string kind)
    {
        var token = TestAuthority.Shared.WrongToken(kind, "home customers");
        await (await _http.GetAsync("/api/home?customer=C-000001", token)).ProblemAsync(401);
        foreach (var path in (string[])["/customers/C-000001", "/orders?customer=C-000001", "/products/100001", "/stock?products=100001"])
        {
            await (await office.Integration.Http.GetAsync(path, token)).ProblemAsync(401);
            await (await office.Integration.Http.GetAsync(path, null)).ProblemAsync(401);
        }
    }

    [Fact]
    public async Task An_unknown_customer_is_a_404() => await (await _http.GetAsync("/api/home?customer=C-009999")).ProblemAsync(404);

    [Theory]
    [InlineData("/api/home")]
    [InlineData("/api/home?customer=")]
    [InlineData("/api/home?customer=123")]
    [InlineData("/api/home?customer=C-0000011")]
    [InlineData("/api/home?customer=C-00000%00")]
    public async Task A_missing_or_malformed_customer_is_named(string path)
    {
        var problem = await (await _http.GetAsync(path)).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty("customer", out _));
    }

    private static string Token(string? customer) =>
        customer is null ? TestAuthority.Shared.Token("home") : TestAuthority.Shared.CustomerToken(customer, "home");

    private async Task<JsonElement> PageAsync(string customer) => await _http.GetFromJsonAsync<JsonElement>($"/api/home?customer={customer}");

    private static JsonElement Fresh(JsonElement page, string section)
    {
        Assert.Equal("fresh", page.GetProperty(section).GetProperty("status").GetString());
        return page.GetProperty(section).GetProperty("data");
    }
}
