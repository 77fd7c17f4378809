using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using MobileIntegration.Contracts;
using Npgsql;

namespace MobileIntegration.Tests.IntegrationServices;

[Collection(nameof(BackOffice))]
public sealed class InventoryTests(BackOffice office)
{
    private readonly HttpClient _http = office.Integration.Http;

    [Fact]
    public async Task Stock_is_what_the_warehouse_is_free_to_sell()
    {
        var stock = await new InventoryClient(_http).GetStockAsync(["100042", "100001"], default);

        await using var wms = new NpgsqlConnection(office.WmsDatabase);
        var free = await wms.QueryAsync<(string, string, int)>(
            """
            select art_no::text, whs_cd::text, case st_cd when 'A' then greatest(0, qty_oh - qty_rsv) else 0 end
            from wms.art_bal where art_no in ('100001', '100042') order by art_no, whs_cd
            """);
        Assert.Equal(24, stock.Levels.Count);
        Assert.Equal(free, stock.Levels.Select(level => (level.ProductId, level.StoreId, level.Available)));
        Assert.Equal(Enumerable.Range(1, 12).Select(number => $"W{number:00}"), stock.Stores.Select(store => store.Id));
    }

    [Fact]
    public async Task Stores_are_the_open_ones_and_know_where_they_are()
    {
        var stores = await _http.GetFromJsonAsync<JsonElement>("/stores");
        Assert.Equal(12, stores.GetArrayLength());
        Assert.Equal("W01", stores[0].GetProperty("id").GetString());
        Assert.Equal(52.520008, stores[0].GetProperty("position").GetProperty("latitude").GetDouble());
    }

    [Fact]
    public async Task Nobody_has_an_unknown_product() =>
        Assert.Empty((await new InventoryClient(_http).GetStockAsync(["999999"], default)).Levels);

    [Theory]
    [InlineData("/stock")]
    [InlineData("/stock?products=")]
    [InlineData("/stock?products=100001,'; drop table x")]
    public async Task Malformed_products_are_named(string path)
    {
        var problem = await (await _http.GetAsync(path)).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty("products", out _));
    }
}
