using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MobileIntegration.Tests.FrontendServices;

/// <summary>What can be bought, through both layers down to Pim and Wms.</summary>
[Collection(nameof(BackOffice))]
public sealed class CatalogTests(BackOffice office)
{
    private readonly HttpClient _http = office.Frontend.Http;

    [Fact]
    public async Task A_product_is_what_the_systems_hold_in_the_language_of_the_app()
    {
        var pim = await office.Backends.Http.GetFromJsonAsync<JsonElement>("/pim/odata/Products('100042')");
        using var response = await GetAsync("/api/catalog/products/100042", ("Accept-Language", "fr, de-AT;q=0.8, en;q=0.5"));
        var page = await response.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal("de", Assert.Single(response.Content.Headers.ContentLanguage));
        var product = page.GetProperty("product").GetProperty("data");
        Assert.Equal(pim.GetProperty("NameDe").GetString(), product.GetProperty("name").GetString());
        var price = pim.GetProperty("SalePrice") is { ValueKind: JsonValueKind.Number } sale ? sale.GetDecimal() : pim.GetProperty("ListPrice").GetDecimal();
        Assert.Equal((long)(price * 100), product.GetProperty("price").GetProperty("minorUnits").GetInt64());
        Assert.EndsWith("€", product.GetProperty("price").GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Contains("{size}", product.GetProperty("image").GetProperty("url").GetString(), StringComparison.Ordinal);
        Assert.Equal([160, 320, 640, 1280], product.GetProperty("image").GetProperty("sizes").EnumerateArray().Select(width => width.GetInt32()));
        var stock = await office.Integration.Http.GetFromJsonAsync<JsonElement>("/stock?products=100042");
        foreach (var level in stock.GetProperty("levels").EnumerateArray())
        {
            var store = page.GetProperty("stock").GetProperty("data").EnumerateArray().Single(one => one.GetProperty("storeId").GetString() == level.GetProperty("storeId").GetString());
            Assert.Equal(level.GetProperty("available").GetInt32(), store.GetProperty("available").GetInt32());
        }
        var others = page.GetProperty("recommendations").GetProperty("data").EnumerateArray().ToList();
        Assert.InRange(others.Count, 1, 8);
        Assert.DoesNotContain(others, other => other.GetProperty("id").GetString() == "100042");

        using var english = await GetAsync("/api/catalog/products/100042?sections=product&fields=product.name", ("Accept-Language", "xx"));
        Assert.Equal(pim.GetProperty("Name").GetString(), (await english.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("product").GetProperty("data").GetProperty("name").GetString());
    }

    [Fact]
    public async Task A_product_without_its_stock_still_is_one()
    {
        await office.WithFaultAsync("wms", new { errorRate = 1 }, async () =>
        {
            var page = await _http.GetFromJsonAsync<JsonElement>("/api/catalog/products/100043");
            Assert.Equal("fresh", page.GetProperty("product").GetProperty("status").GetString());
            Assert.Equal("wms", page.GetProperty("stock").GetProperty("problem").GetProperty("system").GetString());
        });
        await (await _http.GetAsync("/api/catalog/products/999999")).ProblemAsync(404);
    }

    [Fact]
    public async Task A_list_is_read_to_its_end_and_is_not_sent_twice()
    {
        var ids = new List<string>();
        string? cursor = null;
        do
        {
            var page = await _http.GetFromJsonAsync<JsonElement>($"/api/catalog/products?category=K05&limit=40{(cursor is null ? "" : $"&cursor={cursor}")}");
            ids.AddRange(page.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("id").GetString()!));
            cursor = page.GetProperty("next").GetString();
        }
        while (cursor is not null);
        Assert.True(ids.Count > 40);
        Assert.Equal(ids.Count, ids.Distinct().Count());

        using var first = await GetAsync("/api/catalog/products?q=coat&limit=3");
        using var again = await GetAsync("/api/catalog/products?q=coat&limit=3", ("If-None-Match", first.Headers.ETag!.ToString()));
        Assert.Equal(HttpStatusCode.NotModified, again.StatusCode);
        using var categories = await GetAsync("/api/catalog/categories");
        Assert.Equal(40, (await categories.Content.ReadFromJsonAsync<JsonElement>()).GetArrayLength());
        using var same = await GetAsync("/api/catalog/categories", ("If-None-Match", categories.Headers.ETag!.ToString()));
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
    }

    [Fact]
    public async Task A_product_that_changed_is_among_the_changes()
    {
        var begin = await _http.GetFromJsonAsync<JsonElement>("/api/catalog/changes");
        var simulated = await (await office.Backends.Http.PostAsJsonAsync("/pim/simulate/prices", new { count = 2, seed = 11 })).Content.ReadFromJsonAsync<JsonElement>();
        var delta = await _http.GetFromJsonAsync<JsonElement>($"/api/catalog/changes?since={begin.GetProperty("since").GetString()}");
        var told = delta.GetProperty("changed").EnumerateArray().Select(card => card.GetProperty("id").GetString())
            .Concat(delta.GetProperty("removed").EnumerateArray().Select(id => id.GetString())).ToHashSet();
        Assert.Superset(simulated.GetProperty("changed").EnumerateArray().Select(id => id.GetString()).ToHashSet(), told);
    }

    [Theory]
    [InlineData("/api/catalog/products?limit=0", "limit")]
    [InlineData("/api/catalog/products?limit=100000", "limit")]
    [InlineData("/api/catalog/products?category=K03' or '1' eq '1", "category")]
    [InlineData("/api/catalog/products?q=<!DOCTYPE a>", "q")]
    [InlineData("/api/catalog/products?q=\") or (\"", "q")]
    [InlineData("/api/catalog/products?sort=Price", "sort")]
    [InlineData("/api/catalog/products?cursor=AAAA", "cursor")]
    [InlineData("/api/catalog/changes?since='", "since")]
    [InlineData("/api/catalog/products/100042'", "id")]
    [InlineData("/api/catalog/products/1", "id")]
    [InlineData("/api/orders/history?customer=C-000123&limit=101", "limit")]
    [InlineData("/api/orders/history?customer=C-000123&cursor=x", "cursor")]
    [InlineData("/api/orders/changes?customer=C-000123&since=x", "since")]
    [InlineData("/api/orders?customer=C-000123&top=0", "top")]
    [InlineData("/api/orders/<a/>", "id")]
    public async Task What_is_malformed_is_a_400_that_names_it(string path, string parameter)
    {
        var problem = await (await _http.GetAsync(path.Replace("<a/>", "%3Ca%3E", StringComparison.Ordinal))).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(parameter, out _), problem.ToString());
    }

    [Fact]
    public async Task The_catalog_needs_a_scope_of_its_own()
    {
        await (await _http.GetAsync("/api/catalog/categories", null)).ProblemAsync(401);
        await (await _http.GetAsync("/api/catalog/categories", TestAuthority.Shared.CustomerToken("C-000123", "home"))).ProblemAsync(403);
    }

    private Task<HttpResponseMessage> GetAsync(string path, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        return _http.SendAsync(request);
    }
}
