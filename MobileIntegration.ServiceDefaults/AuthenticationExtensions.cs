using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;
using MobileIntegration.ServiceDefaults.Keys;

namespace MobileIntegration.ServiceDefaults;

/// <summary>Access tokens (RFC 9068, RFC 6750): who may call.</summary>
public static class AuthenticationExtensions
{
    private const string AuthorityClient = "authority";
    private static readonly TimeSpan AuthorityPatience = TimeSpan.FromSeconds(5);

    /// <summary>
    /// From here on every endpoint of a slice needs an access token of <see cref="AuthenticationSettings.Authority"/>. Its keys are fetched at the
    /// start and kept: while the authority is away, valid tokens pass, over a restart too with <c>KeepAuthorityKeys</c>. <c>AddSlices</c> calls it for slices that are not public.
    /// </summary>
    public static void AddTokenAuthentication(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        if (services.Any(service => service.ServiceType == typeof(AuthorityKeys)))
        {
            return;
        }
        services.AddOptions<AuthenticationSettings>().BindConfiguration("Authentication").ValidateDataAnnotations().ValidateOnStart();
        services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer();
        services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme)
            .Configure<IOptions<AuthenticationSettings>, IHttpMessageHandlerFactory, TokenCache, RevokedTokens>(Configure)
            .PostConfigure<TimeProvider>((options, time) => options.ConfigurationManager = new AuthorityConfiguration(options, time));
        // It would take tokens by keys that the authority has withdrawn for an hour more. When the authority is away the newest keys hold without it.
        services.PostConfigure<JwtBearerOptions>(
            JwtBearerDefaults.AuthenticationScheme, options => ((BaseConfigurationManager)options.ConfigurationManager!).UseLastKnownGoodConfiguration = false);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<TokenCache>();
        builder.AddRevokedTokens();
        services.AddAuthorization();
        services.AddSingleton<IAuthorizationHandler, ScopeHandler>();
        services.AddSingleton<IAuthorizationMiddlewareResultHandler, RefusalHandler>();
        services.AddHttpClient(AuthorityClient).WithoutRetries();
        services.AddKnownTokens();
        // An endpoint that is asked for by a known token is not seen by them, and would be taken for one that nobody checks.
        services.Configure<RouteOptions>(routes => routes.SuppressCheckForUnhandledSecurityMetadata = true);
        services.AddSingleton<AuthorityKeys>();
        services.AddHostedService(provider => provider.GetRequiredService<AuthorityKeys>());
    }

    /// <summary>The endpoint needs an access token that has this scope.</summary>
    public static TBuilder RequireScope<TBuilder>(this TBuilder endpoint, string scope) where TBuilder : IEndpointConventionBuilder =>
        endpoint.RequireAuthorization(policy => policy.RequireScope(scope));

    /// <inheritdoc cref="RequireScope{TBuilder}(TBuilder, string)"/>
    public static AuthorizationPolicyBuilder RequireScope(this AuthorizationPolicyBuilder policy, string scope)
    {
        ArgumentNullException.ThrowIfNull(policy);
        return policy.RequireAuthenticatedUser().AddRequirements(new ScopeRequirement(scope));
    }

    public static bool HasScope(this ClaimsPrincipal user, string scope)
    {
        ArgumentNullException.ThrowIfNull(user);
        foreach (var claim in user.Claims)
        {
            if (claim.Type is "scope" or "scp")
            {
                foreach (var part in claim.Value.AsSpan().Split(' '))
                {
                    if (claim.Value.AsSpan(part).SequenceEqual(scope))
                    {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    /// <summary>The access token of the request that is being answered goes with the client's calls. For services of this system alone.</summary>
    public static IHttpClientBuilder PassToken(this IHttpClientBuilder client)
    {
        ArgumentNullException.ThrowIfNull(client);
        client.Services.AddHttpContextAccessor();
        client.Services.TryAddTransient<TokenPassing>();
        return client.AddHttpMessageHandler<TokenPassing>();
    }

    /// <summary>Whoever added them: left to the host they would run ahead of the error handling.</summary>
    internal static void UseTokenAuthentication(this WebApplication app)
    {
        if (app.Services.GetService<KnownTokens>() is not null)
        {
            app.UseTokens();
            return;
        }
        if (app.Services.GetService<IAuthenticationSchemeProvider>() is not null)
        {
            app.UseAuthentication();
        }
        if (app.Services.GetService<IAuthorizationHandlerProvider>() is not null)
        {
            app.UseAuthorization();
        }
    }

    private static void Configure(
        JwtBearerOptions options, IOptions<AuthenticationSettings> settings, IHttpMessageHandlerFactory handlers, TokenCache cache, RevokedTokens revoked)
    {
        options.Authority = settings.Value.Authority;
        options.Audience = settings.Value.Audience;
        options.RequireHttpsMetadata = !new Uri(settings.Value.Authority!).IsLoopback;
        options.Backchannel = new(new AuthorityRoute(settings.Value) { InnerHandler = handlers.CreateHandler(AuthorityClient) }) { Timeout = AuthorityPatience };
        options.RefreshInterval = TimeSpan.FromSeconds(30);
        options.AutomaticRefreshInterval = TimeSpan.FromHours(1);
        options.MapInboundClaims = false;
        options.TokenValidationParameters.NameClaimType = "sub";
        options.TokenValidationParameters.ValidAlgorithms = settings.Value.Algorithms is { Count: > 0 } algorithms ? algorithms : ["ES256"];
        options.TokenValidationParameters.ValidTypes = settings.Value.TokenTypes is { Count: > 0 } types ? types : ["at+jwt"];
        options.TokenValidationParameters.ClockSkew = TimeSpan.FromSeconds(30);
        options.Events = new()
        {
            OnMessageReceived = revoked.After<MessageReceivedContext>(cache.FindAsync),
            OnTokenValidated = revoked.After<TokenValidatedContext>(cache.AddAsync),
            OnAuthenticationFailed = TellAbsenceAsync,
        };
    }

    /// <summary>Without the keys nobody can tell whether the token is good, and the client must not throw it away.</summary>
    private static async Task TellAbsenceAsync(AuthenticationFailedContext context)
    {
        try
        {
            await context.Options.ConfigurationManager!.GetConfigurationAsync(context.HttpContext.RequestAborted);
        }
        catch (Exception) when (!context.HttpContext.RequestAborted.IsCancellationRequested)
        {
            context.Response.Headers.RetryAfter = "5";
            context.HttpContext.Features.Set(new Unverifiable());
            context.NoResult();
        }
    }

    private sealed record Unverifiable;

    private sealed class ScopeHandler : AuthorizationHandler<ScopeRequirement>
    {
        protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, ScopeRequirement requirement)
        {
            if (context.User.HasScope(requirement.Scope))
            {
                context.Succeed(requirement);
            }
            return Task.CompletedTask;
        }
    }

    private sealed class RefusalHandler(IProblemDetailsService problems) : IAuthorizationMiddlewareResultHandler
    {
        private readonly AuthorizationMiddlewareResultHandler _default = new();

        public async Task HandleAsync(RequestDelegate next, HttpContext context, AuthorizationPolicy policy, PolicyAuthorizationResult authorizeResult)
        {
            if (authorizeResult.Challenged && context.Features.Get<Unverifiable>() is not null)
            {
                await WriteAsync(context, StatusCodes.Status503ServiceUnavailable,
                    "The authority that issues access tokens has not been reached since the start of this service. Try again later with the same token.");
                return;
            }
            if (authorizeResult.Forbidden && policy.Requirements.OfType<ScopeRequirement>().FirstOrDefault(one => !context.User.HasScope(one.Scope))?.Scope is { } scope)
            {
                context.Response.Headers.WWWAuthenticate = $"Bearer error=\"insufficient_scope\", scope=\"{scope}\"";
                await WriteAsync(context, StatusCodes.Status403Forbidden, $"The access token does not have the scope '{scope}'. Ask the user for it.");
                return;
            }
            await _default.HandleAsync(next, context, policy, authorizeResult);
        }

        private ValueTask WriteAsync(HttpContext context, int status, string detail)
        {
            context.Response.StatusCode = status;
            return problems.WriteAsync(new() { HttpContext = context, ProblemDetails = new ProblemDetails { Status = status, Detail = detail } });
        }
    }

    private sealed class TokenPassing(IHttpContextAccessor accessor) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            // Not a second time at a retry, which sends the same request.
            if (request.Headers.Authorization is null && accessor.HttpContext?.Request.Headers.Authorization.ToString() is { Length: > 0 } token)
            {
                request.Headers.TryAddWithoutValidation("Authorization", token);
            }
            return base.SendAsync(request, cancellationToken);
        }
    }
}

/// <summary>A policy's word that an access token needs a scope.</summary>
internal sealed record ScopeRequirement(string Scope) : IAuthorizationRequirement;
