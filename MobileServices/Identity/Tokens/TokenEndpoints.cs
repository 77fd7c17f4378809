using System.Security.Claims;
using Microsoft.AspNetCore;
using Microsoft.AspNetCore.Authentication;
using MobileServices.Identity.Accounts;
using OpenIddict.Abstractions;
using OpenIddict.Server.AspNetCore;
using static OpenIddict.Abstractions.OpenIddictConstants;
using CustomerAccess = MobileIntegration.ServiceDefaults.CustomerAccess;
using Scopes = OpenIddict.Abstractions.OpenIddictConstants.Scopes;

namespace MobileServices.Identity.Tokens;

/// <summary>What of the token and userinfo endpoints is ours: whom a token is for. The protocol is OpenIddict's.</summary>
internal static class TokenEndpoints
{
    private const string Scheme = OpenIddictServerAspNetCoreDefaults.AuthenticationScheme;

    public static async Task<IResult> TokenAsync(HttpContext http, AccountStore accounts, DeviceLogins devices, CancellationToken ct)
    {
        var request = http.GetOpenIddictServerRequest()!;
        if (request.IsClientCredentialsGrantType())
        {
            var client = new ClaimsPrincipal(new ClaimsIdentity(Scheme, Claims.Name, Claims.Role));
            client.SetClaim(Claims.Subject, request.ClientId!).SetScopes(request.GetScopes()).SetResources(IdentityOptions.Audience);
            return Results.SignIn(client, null, Scheme);
        }
        var principal = (await http.AuthenticateAsync(Scheme)).Principal!;
        if (await accounts.FindAsync(principal.GetClaim(Claims.Subject), ct) is not { } account)
        {
            return Refuse(Errors.InvalidGrant, "The account of this token is not there any more.");
        }
        if (await devices.TieAsync(request, principal, ct) is var (error, description))
        {
            return Refuse(error, description);
        }
        // Whose customer the user is may have changed since the login.
        principal.SetClaim(CustomerAccess.Claim, account.CustomerId);
        return Results.SignIn(Destine(principal), null, Scheme);
    }

    public static async Task<IResult> UserInfoAsync(HttpContext http, AccountStore accounts, CancellationToken ct)
    {
        var principal = (await http.AuthenticateAsync(Scheme)).Principal!;
        if (await accounts.FindAsync(principal.GetClaim(Claims.Subject), ct) is not { } account)
        {
            return Challenge(Errors.InvalidToken, "The access token is not that of a user.");
        }
        var claims = new Dictionary<string, object?> { [Claims.Subject] = account.Id };
        if (principal.HasScope(Scopes.Profile))
        {
            claims[Claims.Name] = account.DisplayName;
            claims[Claims.PreferredUsername] = account.Name;
        }
        if (principal.HasScope(Scopes.Email) && account.Email is not null)
        {
            claims[Claims.Email] = account.Email;
        }
        return Results.Json(claims);
    }

    /// <summary>The principal of a login, from which OpenIddict makes codes and tokens.</summary>
    public static ClaimsPrincipal PrincipalOf(Account account, IEnumerable<string> scopes, DateTimeOffset loggedInAt, Guid? device = null)
    {
        var identity = new ClaimsIdentity(Scheme, Claims.Name, Claims.Role);
        identity.SetClaim(Claims.Subject, account.Id.ToString())
            .SetClaim(Claims.Name, account.DisplayName)
            .SetClaim(Claims.PreferredUsername, account.Name)
            .SetClaim(Claims.Email, account.Email)
            .SetClaim(DeviceLogins.Name, device?.ToString())
            .SetClaim(Claims.AuthenticationTime, loggedInAt.ToUnixTimeSeconds());
        var principal = new ClaimsPrincipal(identity);
        principal.SetScopes(scopes).SetResources(IdentityOptions.Audience);
        return Destine(principal);
    }

    private static ClaimsPrincipal Destine(ClaimsPrincipal principal)
    {
        // Names go to the app that asked for them, not to every service.
        principal.SetDestinations(claim => claim.Type switch
        {
            Claims.Subject => [Destinations.AccessToken, Destinations.IdentityToken],
            CustomerAccess.Claim or DeviceLogins.Name => [Destinations.AccessToken],
            Claims.AuthenticationTime => [Destinations.IdentityToken],
            Claims.Name or Claims.PreferredUsername when principal.HasScope(Scopes.Profile) => [Destinations.IdentityToken],
            Claims.Email when principal.HasScope(Scopes.Email) => [Destinations.IdentityToken],
            _ => [],
        });
        return principal;
    }

    public static IResult Refuse(string error, string description) => Results.Forbid(Properties(error, description), [Scheme]);

    private static IResult Challenge(string error, string description) => Results.Challenge(Properties(error, description), [Scheme]);

    private static AuthenticationProperties Properties(string error, string description) => new(new Dictionary<string, string?>
    {
        [OpenIddictServerAspNetCoreConstants.Properties.Error] = error,
        [OpenIddictServerAspNetCoreConstants.Properties.ErrorDescription] = description,
    });
}
