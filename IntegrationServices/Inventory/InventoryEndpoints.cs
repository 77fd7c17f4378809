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

    private static async Task<Ok<List<Store>>> ListStoresAsync(Wms wms, CancellationToken ct) => TypedResults.Ok(await wms.GetStoresAsync(ct));

    private static async Task<Results<Ok<Stock>, ValidationProblem>> GetStockAsync(string? products, Wms wms, CancellationToken ct)
    {
        var wanted = Ids.Parse(products, Ids.IsProduct, "an article number such as 100042", out var error);
        return error is null ? TypedResults.Ok(await wms.GetStockAsync(wanted, ct)) : Invalid.Field("products", error);
    }
}
