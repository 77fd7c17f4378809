using Microsoft.Extensions.Options;
using OpenIddict.Abstractions;
using OpenIddict.Server;

namespace MobileServices.Identity.Keys;

/// <summary>What of the server's options comes from settings and from the database, again whenever the keys change.</summary>
internal sealed class ServerConfiguration(IOptions<IdentityOptions> identity, SigningKeys keys, TimeProvider time) : IConfigureOptions<OpenIddictServerOptions>
{
    public void Configure(OpenIddictServerOptions options)
    {
        var settings = identity.Value;
        options.Issuer = new Uri(settings.Issuer!);
        options.TimeProvider = time;
        options.AccessTokenLifetime = options.IdentityTokenLifetime = TimeSpan.FromMinutes(settings.AccessTokenMinutes);
        options.RefreshTokenLifetime = TimeSpan.FromDays(settings.RefreshTokenDays);
        options.AuthorizationCodeLifetime = TimeSpan.FromMinutes(2);
        options.DeviceCodeLifetime = options.UserCodeLifetime = TimeSpan.FromMinutes(10);
        // Tokens/RefreshTurns.cs decides about reuse; a leeway of the library would give every repetition a successor of its own.
        options.RefreshTokenReuseLeeway = TimeSpan.Zero;
        // A challenge that is the verifier itself protects nothing (RFC 9700, section 2.1.1).
        options.CodeChallengeMethods.Remove(OpenIddictConstants.CodeChallengeMethods.Plain);
        options.Scopes.UnionWith(IdentityOptions.StandardScopes.Keys);
        options.Scopes.UnionWith(settings.Scopes.Keys);
        options.SigningCredentials.AddRange(keys.Current.Select(key => key.ToSigningCredentials()));
        options.EncryptionCredentials.AddRange(keys.Current.Select(key => key.ToEncryptingCredentials()));
    }
}
