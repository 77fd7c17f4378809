using System.Runtime.CompilerServices;
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// Lets requests through whose token was checked before and has the scopes that their endpoint asks for, at a fraction of what handlers and policies cost. Whatever is
/// not as plain as that (no token, an unknown or revoked one, a scope that is missing, a policy of another kind) they judge and answer.
/// </summary>
public sealed class KnownTokens
{
    private readonly TokenCache _cache;
    private readonly RevokedTokens _revoked;
    private readonly JwtBearerOptions _bearer;
    private readonly AuthorizationOptions _authorization;
    private readonly ConditionalWeakTable<Endpoint, Need> _needs = [];

    internal KnownTokens(TokenCache cache, RevokedTokens revoked, JwtBearerOptions bearer, AuthorizationOptions authorization) =>
        (_cache, _revoked, _bearer, _authorization) = (cache, revoked, bearer, authorization);

    /// <summary>Who calls, if that is known; from then on the request's user.</summary>
    public ClaimsPrincipal? Find(HttpContext http)
    {
        ArgumentNullException.ThrowIfNull(http);
        if (http.User.Identity?.IsAuthenticated is true)
        {
            return http.User;
        }
        if (!_revoked.AreKnown || _cache.Find(http.Request.Headers.Authorization, _bearer) is not { } caller || _revoked.Holds(caller))
        {
            return null;
        }
        return http.User = caller;
    }

    /// <summary>Whether the request may go on as it is.</summary>
    internal bool Admit(HttpContext http)
    {
        if (http.GetEndpoint() is not { } endpoint || _needs.GetValue(endpoint, Read).Scopes is not { } scopes || Find(http) is not { } caller)
        {
            return false;
        }
        foreach (var scope in scopes)
        {
            if (!caller.HasScope(scope))
            {
                return false;
            }
        }
        return true;
    }

    private Need Read(Endpoint endpoint)
    {
        var metadata = endpoint.Metadata;
        List<AuthorizationPolicy?> policies = [.. metadata.GetOrderedMetadata<AuthorizationPolicy>()];
        foreach (var asked in metadata.GetOrderedMetadata<IAuthorizeData>())
        {
            policies.Add(asked is { Roles: null, AuthenticationSchemes: null } ? asked.Policy is { } name ? _authorization.GetPolicy(name) : _authorization.DefaultPolicy : null);
        }
        if (policies.Count is 0 || metadata.GetMetadata<IAllowAnonymous>() is not null || metadata.GetMetadata<IAuthorizationRequirementData>() is not null
            || policies.Exists(policy => policy is not { AuthenticationSchemes.Count: 0 }))
        {
            return Need.Other;
        }
        List<IAuthorizationRequirement> requirements = [.. policies.SelectMany(policy => policy!.Requirements)];
        return requirements.TrueForAll(one => one is ScopeRequirement or DenyAnonymousAuthorizationRequirement)
            ? new([.. requirements.OfType<ScopeRequirement>().Select(one => one.Scope).Distinct()]) : Need.Other;
    }

    /// <param name="Scopes">What an endpoint asks for; null when that is more than scopes, or nothing.</param>
    private sealed record Need(string[]? Scopes)
    {
        public static readonly Need Other = new((string[]?)null);
    }
}

internal static class KnownTokensExtensions
{
    public static void AddKnownTokens(this IServiceCollection services) => services.AddSingleton(provider => new KnownTokens(
        provider.GetRequiredService<TokenCache>(),
        provider.GetRequiredService<RevokedTokens>(),
        provider.GetRequiredService<IOptionsMonitor<JwtBearerOptions>>().Get(JwtBearerDefaults.AuthenticationScheme),
        provider.GetRequiredService<IOptions<AuthorizationOptions>>().Value));

    /// <summary>The check of tokens, which who is known goes past.</summary>
    public static void UseTokens(this IApplicationBuilder app)
    {
        // Left to the host, both would run ahead of all else for everybody.
        app.Properties["__AuthenticationMiddlewareSet"] = true;
        app.Properties["__AuthorizationMiddlewareSet"] = true;
        var known = app.ApplicationServices.GetRequiredService<KnownTokens>();
        app.Use(next =>
        {
            var check = app.New().UseAuthentication().UseAuthorization();
            check.Run(next);
            var checkAsync = check.Build();
            return http => known.Admit(http) ? next(http) : checkAsync(http);
        });
    }
}
