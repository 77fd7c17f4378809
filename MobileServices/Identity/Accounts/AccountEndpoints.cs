using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http.HttpResults;
using OpenIddict.Abstractions;
using OpenIddict.Validation.AspNetCore;
using Scopes = MobileIntegration.ServiceDefaults.Scopes;

namespace MobileServices.Identity.Accounts;

/// <param name="Password">12 to 256 characters; may be left out when the account is there already.</param>
/// <param name="CustomerId">The customer whom the user is, such as <c>C-000123</c>; left out for who is none. Access tokens name it from the next one on.</param>
/// <param name="Disabled">Keeps the account from logging in and ends its tokens.</param>
internal sealed record AccountChange(string? DisplayName, string? Email, string? CustomerId, string? Password, bool Disabled);

internal sealed record AccountView(Guid Id, string Name, string DisplayName, string? Email, string? CustomerId, bool Disabled);

/// <summary>The accounts for back-office clients, with a token that has the scope <c>users</c>.</summary>
internal static class AccountEndpoints
{
    private const string Scope = Scopes.Users;

    public static void MapAccounts(this IEndpointRouteBuilder app)
    {
        var accounts = app.MapGroup("/users/{name}").WithTags("Identity").AddEndpointFilter(RequireScopeAsync);
        accounts.MapPut("", PutAsync).WithSummary("Creates an account or changes it; idempotent");
        accounts.MapDelete("", DeleteAsync).WithSummary("Removes an account and ends its tokens; idempotent");
    }

    /// <summary>Checked against the tables, not only against the keys: a revoked token is refused at once.</summary>
    private static async ValueTask<object?> RequireScopeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        var user = (await http.AuthenticateAsync(OpenIddictValidationAspNetCoreDefaults.AuthenticationScheme)).Principal;
        if (user?.HasScope(Scope) is true)
        {
            return await next(context);
        }
        http.Response.Headers.WWWAuthenticate = user is null ? "Bearer" : $"Bearer error=\"insufficient_scope\", scope=\"{Scope}\"";
        return user is null
            ? TypedResults.Problem("The request carries no valid access token.", statusCode: StatusCodes.Status401Unauthorized)
            : TypedResults.Problem($"The access token does not have the scope '{Scope}'.", statusCode: StatusCodes.Status403Forbidden);
    }

    private static async Task<Results<Ok<AccountView>, Created<AccountView>, ValidationProblem>> PutAsync(
        string name, AccountChange change, AccountStore store, AccountTokens tokens, CancellationToken ct)
    {
        if (AccountRules.Check(name, change) is { Count: > 0 } errors)
        {
            return Invalid(errors);
        }
        if (await store.PutAsync(name, change, ct) is not var (account, created))
        {
            return Invalid(new() { ["password"] = ["Is required for a new account."] });
        }
        if (!created && (change.Disabled || change.Password is not null))
        {
            await tokens.EndAsync(account.Id, ct);
        }
        var view = new AccountView(account.Id, account.Name, account.DisplayName, account.Email, account.CustomerId, change.Disabled);
        return created ? TypedResults.Created($"{IdentityOptions.Path}/users/{account.Name}", view) : TypedResults.Ok(view);
    }

    private static async Task<Results<NoContent, ValidationProblem>> DeleteAsync(string name, AccountStore store, AccountTokens tokens, CancellationToken ct)
    {
        if (AccountRules.CheckName(name) is { } error)
        {
            return Invalid(new() { ["name"] = [error] });
        }
        if (await store.DeleteAsync(name, ct) is { } id)
        {
            await tokens.EndAsync(id, ct);
        }
        return TypedResults.NoContent();
    }

    private static ValidationProblem Invalid(Dictionary<string, string[]> errors) =>
        TypedResults.ValidationProblem(errors, detail: "The account is not complete and right: see errors.", title: "Bad Request");
}

/// <summary>Ends every login of an account.</summary>
internal sealed class AccountTokens(IOpenIddictAuthorizationManager authorizations, IOpenIddictTokenManager tokens)
{
    public async Task EndAsync(Guid account, CancellationToken ct)
    {
        await authorizations.RevokeBySubjectAsync(account.ToString(), ct);
        await tokens.RevokeBySubjectAsync(account.ToString(), ct);
    }
}
