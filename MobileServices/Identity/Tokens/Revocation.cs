using OpenIddict.Abstractions;
using OpenIddict.Server;
using static OpenIddict.Server.OpenIddictServerEvents;

namespace MobileServices.Identity.Tokens;

/// <summary>A client that gives back its refresh token is logged out: the login ends, and its access tokens with it (RFC 7009, section 2.1).</summary>
internal sealed class Revocation(IOpenIddictTokenManager tokens, IOpenIddictAuthorizationManager authorizations)
    : IOpenIddictServerHandler<HandleRevocationRequestContext>
{
    public async ValueTask HandleAsync(HandleRevocationRequestContext context)
    {
        if (context.GenericTokenPrincipal is not { } principal || principal.GetTokenType() is not OpenIddictConstants.TokenTypeIdentifiers.RefreshToken
            || principal.GetAuthorizationId() is not { } family)
        {
            return;
        }
        // First the family, on which a refresh that is under way has its lock.
        if (await authorizations.FindByIdAsync(family) is { } authorization)
        {
            await authorizations.TryRevokeAsync(authorization);
        }
        await tokens.RevokeByAuthorizationIdAsync(family);
    }
}
