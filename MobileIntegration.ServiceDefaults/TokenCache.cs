using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using System.Runtime.InteropServices;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// Tokens whose signature was checked, so that the next request with the same token is spared that check, which costs more than the rest of a call.
/// A token counts until it expires, and no longer than the authority's keys stay as they were when it was checked. Of tokens only their SHA-256 is kept.
/// </summary>
internal sealed class TokenCache
{
    public const string CounterName = "mobile.tokens";
    private const string Bearer = "Bearer ";

    /// <summary>Names of claims, each of them one string for all tokens.</summary>
    private static readonly FrozenDictionary<string, string> Names =
        new[] { "iss", "aud", "sub", "exp", "iat", "nbf", "jti", "scope", "scp", "client_id", "customer", "name", "email", "azp", "auth_time", "oi_prst", "oi_au_id", "oi_tkn_id", "device_id" }
            .ToFrozenDictionary(name => name);

    private readonly RecentlyUsed<Hash, Entry>? _entries;
    private readonly TimeProvider _time;
    private readonly Counter<long> _tokens;

    public TokenCache(IOptions<AuthenticationSettings> settings, TimeProvider time, IMeterFactory meters)
    {
        _entries = settings.Value.CachedTokens >= 2 ? new(settings.Value.CachedTokens) : null;
        _time = time;
        _tokens = meters.Create("mobile.tokens").CreateCounter<long>(CounterName, "{token}", "Access tokens by whether their signature had to be checked");
    }

    public int Count => _entries?.Count ?? 0;

    /// <summary>Whether the authority's keys have come; until then nothing here asks for them, as a request would wait for them twice.</summary>
    public bool HasKeys { get; set; }

    /// <summary>Whose token it is, if that was found out before and still holds. The keys are at hand but for the moment in which new ones are asked for.</summary>
    public ClaimsPrincipal? Find(string? authorization, JwtBearerOptions options) =>
        _entries is not null && HasKeys && TryHash(authorization, out var hash)
        && options.ConfigurationManager!.GetConfigurationAsync(CancellationToken.None) is { IsCompletedSuccessfully: true } asked
            ? Find(hash, asked.Result) : null;

    /// <summary>Before a token is validated: answers for it if that was done.</summary>
    public async Task FindAsync(MessageReceivedContext context)
    {
        if (_entries is null || !HasKeys || !TryHash(context.HttpContext.Request.Headers.Authorization, out var hash))
        {
            return;
        }
        var configuration = await context.Options.ConfigurationManager!.GetConfigurationAsync(context.HttpContext.RequestAborted);
        if (Find(hash, configuration) is { } caller)
        {
            context.Principal = caller;
            context.Success();
            return;
        }
        context.HttpContext.Features.Set(new Pending(hash, configuration));
    }

    /// <summary>After a token was found to be right.</summary>
    public async Task AddAsync(TokenValidatedContext context)
    {
        if (context.HttpContext.Features.Get<Pending>() is not var (hash, configuration)
            // The keys by which it was checked are those from before or those from now; when they have changed meanwhile nobody knows by which.
            || !ReferenceEquals(configuration, await context.Options.ConfigurationManager!.GetConfigurationAsync(context.HttpContext.RequestAborted)))
        {
            return;
        }
        _tokens.Add(1, new KeyValuePair<string, object?>("outcome", "checked"));
        var compact = Compact(context.Principal!);
        context.Principal = compact;
        var expires = new DateTimeOffset(context.SecurityToken.ValidTo, TimeSpan.Zero) + context.Options.TokenValidationParameters.ClockSkew;
        _entries!.Set(hash, new(compact, configuration, expires));
    }

    private ClaimsPrincipal? Find(Hash hash, OpenIdConnectConfiguration configuration)
    {
        if (!_entries!.TryGet(hash, out var entry) || !ReferenceEquals(entry.Configuration, configuration) || _time.GetUtcNow() >= entry.Expires)
        {
            return null;
        }
        _tokens.Add(1, new KeyValuePair<string, object?>("outcome", "known"));
        return entry.Principal;
    }

    /// <summary>Without the token itself, which the validated identity holds on to several times.</summary>
    private static ClaimsPrincipal Compact(ClaimsPrincipal principal)
    {
        var identity = (ClaimsIdentity)principal.Identity!;
        return new(new ClaimsIdentity(
            identity.Claims.Select(claim => new Claim(Names.GetValueOrDefault(claim.Type, claim.Type), claim.Value, claim.ValueType)),
            identity.AuthenticationType, identity.NameClaimType, identity.RoleClaimType));
    }

    private static bool TryHash(string? authorization, out Hash hash)
    {
        hash = default;
        if (authorization is null || !authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }
        var token = authorization.AsSpan(Bearer.Length).Trim();
        Span<byte> bytes = token.Length <= 4096 ? stackalloc byte[token.Length] : new byte[token.Length];
        if (!Ascii.IsValid(token))
        {
            return false;
        }
        Encoding.ASCII.GetBytes(token, bytes);
        SHA256.HashData(bytes, MemoryMarshal.AsBytes(new Span<Hash>(ref hash)));
        return true;
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Hash(ulong A, ulong B, ulong C, ulong D);

    private sealed record Entry(ClaimsPrincipal Principal, OpenIdConnectConfiguration Configuration, DateTimeOffset Expires);

    private sealed record Pending(Hash Hash, OpenIdConnectConfiguration Configuration);
}
