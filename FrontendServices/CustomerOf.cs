using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices;

/// <summary>For whom a screen is.</summary>
internal static class CustomerOf
{
    /// <summary>The token's customer, or the one that a back-office client names.</summary>
    /// <param name="refusal">Why there is none.</param>
    public static bool TryGetCustomer(
        this HttpContext http, string? named, [NotNullWhen(true)] out string? customer, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        customer = named ?? http.User.CustomerId();
        refusal = customer is null && !http.User.HasScope(Scopes.Customers) ? http.RefuseCustomer()
            : !IsCustomer(customer) ? TypedResults.Problem(new HttpValidationProblemDetails(
                new Dictionary<string, string[]> { ["customer"] = ["Must be a customer id such as C-000123."] })
            {
                Status = StatusCodes.Status400BadRequest,
                Title = "Bad Request",
                Detail = "The query names no customer: send ?customer=C-000123.",
            })
            : !http.User.MaySee(customer) ? http.RefuseCustomer()
            : null;
        return refusal is null;
    }

    private static bool IsCustomer([NotNullWhen(true)] string? id) =>
        id is ['C', '-', ..] and { Length: 8 } && !id.AsSpan(2).ContainsAnyExceptInRange('0', '9');
}
