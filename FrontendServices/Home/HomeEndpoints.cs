using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices.Home;

public static class HomeEndpoints
{
    public static void MapHome(this IEndpointRouteBuilder app) => app
        .MapGet("/api/home", GetAsync)
        .WithTags("Home")
        .WithSummary("The profile, recent orders, and suggested products with stock nearby, of the token's customer");

    private static async Task<Results<Ok<HomePage>, ProblemHttpResult, ValidationProblem>> GetAsync(
        string? customer, HttpContext http, HomeComposer composer, CancellationToken ct)
    {
        customer ??= http.User.CustomerId();
        if (customer is null && !http.User.HasScope(Scopes.Customers))
        {
            return http.RefuseCustomer();
        }
        if (!IsCustomer(customer))
        {
            return TypedResults.ValidationProblem(
                new Dictionary<string, string[]> { ["customer"] = ["Must be a customer id such as C-000123."] },
                detail: "The query names no customer: send ?customer=C-000123.",
                title: "Bad Request");
        }
        if (!http.User.MaySee(customer))
        {
            return http.RefuseCustomer();
        }
        return await composer.ComposeAsync(customer, ct) is { } page
            ? TypedResults.Ok(page)
            : TypedResults.Problem($"There is no customer {customer}.", statusCode: StatusCodes.Status404NotFound);
    }

    private static bool IsCustomer([NotNullWhen(true)] string? id) =>
        id is ['C', '-', ..] and { Length: 8 } && !id.AsSpan(2).ContainsAnyExceptInRange('0', '9');
}
