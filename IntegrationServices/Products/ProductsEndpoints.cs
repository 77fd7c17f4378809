using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;

namespace IntegrationServices.Products;

public static class ProductsEndpoints
{
    private const string Form = "an article number such as 100042";
    private const int MostSuggestions = 50;

    public static void MapProducts(this IEndpointRouteBuilder app)
    {
        var products = app.MapGroup("/products").WithTags("Products");
        products.MapGet("/{id}", GetAsync).WithSummary("One product");
        products.MapGet("", ListAsync).WithSummary("Up to 100 products by id, ordered by id; unknown ones are left out");
        products.MapGet("/suggestions", SuggestAsync).WithSummary("The ids of the newest products on sale, 1 to 50 of them");
    }

    private static async Task<Results<Ok<Product>, ProblemHttpResult, ValidationProblem>> GetAsync(string id, Pim pim, CancellationToken ct)
    {
        if (!Ids.IsProduct(id))
        {
            return Invalid.Field("id", $"Must be {Form}.");
        }
        return await pim.GetAsync([id], ct) is [var product]
            ? TypedResults.Ok(product)
            : TypedResults.Problem($"There is no product {id}.", statusCode: StatusCodes.Status404NotFound);
    }

    private static async Task<Results<Ok<List<Product>>, ValidationProblem>> ListAsync(string? ids, Pim pim, CancellationToken ct)
    {
        var wanted = Ids.Parse(ids, Ids.IsProduct, Form, out var error);
        return error is null ? TypedResults.Ok(await pim.GetAsync(wanted, ct)) : Invalid.Field("ids", error);
    }

    private static async Task<Results<Ok<Suggestions>, ValidationProblem>> SuggestAsync(int? top, Pim pim, CancellationToken ct)
    {
        return top is < 1 or > MostSuggestions
            ? Invalid.Field("top", $"Must be from 1 to {MostSuggestions}.")
            : TypedResults.Ok(new Suggestions(await pim.SuggestAsync(top ?? 10, ct)));
    }
}
