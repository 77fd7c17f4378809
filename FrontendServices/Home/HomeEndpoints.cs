using Microsoft.AspNetCore.Http.HttpResults;

namespace FrontendServices.Home;

public static class HomeEndpoints
{
    public static void MapHome(this IEndpointRouteBuilder app) => app
        .MapGet("/api/home", GetAsync)
        .WithTags("Home")
        .WithSummary("A customer's profile, recent orders, and suggested products with stock nearby");

    private static async Task<Results<Ok<HomePage>, ProblemHttpResult, ValidationProblem>> GetAsync(
        string? customer, HomeComposer composer, CancellationToken ct)
    {
        if (!IsCustomer(customer))
        {
            return TypedResults.ValidationProblem(
                new Dictionary<string, string[]> { ["customer"] = ["Must be a customer id such as C-000123."] },
                detail: "The query names no customer: send ?customer=C-000123.",
                title: "Bad Request");
        }
        return await composer.ComposeAsync(customer!, ct) is { } page
            ? TypedResults.Ok(page)
            : TypedResults.Problem($"There is no customer {customer}.", statusCode: StatusCodes.Status404NotFound);
    }

    private static bool IsCustomer(string? id) =>
        id is ['C', '-', ..] and { Length: 8 } && !id.AsSpan(2).ContainsAnyExceptInRange('0', '9');
}
