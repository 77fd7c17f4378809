using System.Collections.Concurrent;
using System.Diagnostics;
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

    private async Task<JsonElement> PageAsync(string customer) => await _http.GetFromJsonAsync<JsonElement>($"/api/home?customer={customer}");

    private static JsonElement Fresh(JsonElement page, string section)
    {
        Assert.Equal("fresh", page.GetProperty(section).GetProperty("status").GetString());
        return page.GetProperty(section).GetProperty("data");
    }
}
