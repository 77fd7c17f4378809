using IntegrationServices.Reads;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;

namespace IntegrationServices.Inventory;

public static class InventoryEndpoints
{
    public static void MapInventory(this IEndpointRouteBuilder app)
    {
        app.MapGet("/stores", ListStoresAsync).WithTags("Inventory").WithSummary("All open stores, ordered by id");
        app.MapGet("/stock", GetStockAsync).WithTags("Inventory").WithSummary("Stock of up to 100 products in every open store");
    }

    private static async Task<Cached<List<Store>>> ListStoresAsync(ReadCache reads, Wms wms, CancellationToken ct) => Cached.Ok(await StoresAsync(reads, wms, ct));

    private static async Task<Results<Cached<Stock>, ValidationProblem>> GetStockAsync(string? products, ReadCache reads, Wms wms, CancellationToken ct)
    {
        var wanted = Ids.Parse(products, Ids.IsProduct, "an article number such as 100042", out var error);
        if (error is not null)
        {
            return Invalid.Field("products", error);
        }
        var levels = reads.GetManyAsync(
            InventorySetup.Kind, [.. wanted.Order(StringComparer.Ordinal)], stock => stock.ProductId, Tags.StockOf,
            async (ids, token) => (await wms.GetLevelsAsync(ids, token)).GroupBy(level => level.ProductId).Select(group => new ProductStock(group.Key, [.. group])).ToList(), ct);
        var stores = await StoresAsync(reads, wms, ct);
        var read = await levels;
        var open = stores.Data.Select(store => store.Id).ToHashSet(StringComparer.Ordinal);
        var stock = new Stock(stores.Data, [.. read.Data.SelectMany(one => one.Levels).Where(level => open.Contains(level.StoreId))]);
        return Cached.Ok(new Read<Stock>(InventorySetup.Kind, stock, read.Age, read.Ttl, read.Why));
    }

    private static async Task<Read<List<Store>>> StoresAsync(ReadCache reads, Wms wms, CancellationToken ct)
    {
        var read = await reads.GetAsync<List<Store>>(InventorySetup.StoresKind, "all", Tags.Stores, async token => await wms.GetStoresAsync(token), ct);
        return read.Select(list => list!);
    }

    private sealed record ProductStock(string ProductId, IReadOnlyList<StockLevel> Levels);
}
