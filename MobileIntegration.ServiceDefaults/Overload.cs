using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// A service answers only so many requests at once and refuses more at once: taken in, they would make all of them late, and be worked on long
/// after their callers have given up. Endpoints of open streams are left out by <c>DisableRateLimiting</c>.
/// </summary>
internal static class Overload
{
    private const string Policy = "concurrency";

    public static void AddOverloadProtection(this IServiceCollection services)
    {
        services.AddRateLimiter(options => options.OnRejected = RefuseAsync);
        services.AddOptions<RateLimiterOptions>().Configure<IOptions<ServiceLimits>>((options, limits) =>
            options.AddConcurrencyLimiter(Policy, limiter => limiter.PermitLimit = limits.Value.Concurrency));
        services.AddSingleton<Protected>();
    }

    /// <summary>Ahead of the check of tokens, which costs more than the refusal.</summary>
    public static void UseOverloadProtection(this WebApplication app)
    {
        if (app.Services.GetService<Protected>() is not null)
        {
            app.UseRateLimiter();
        }
    }

    public static TBuilder ProtectFromOverload<TBuilder>(this TBuilder endpoints) where TBuilder : IEndpointConventionBuilder =>
        endpoints.RequireRateLimiting(Policy);

    private static ValueTask RefuseAsync(OnRejectedContext context, CancellationToken ct)
    {
        var http = context.HttpContext;
        http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        http.Response.Headers.RetryAfter = "1";
        return http.RequestServices.GetRequiredService<IProblemDetailsService>().WriteAsync(new()
        {
            HttpContext = http,
            ProblemDetails = new ProblemDetails
            {
                Status = StatusCodes.Status503ServiceUnavailable,
                Detail = "This service answers as many requests as it can (Limits:Concurrency). Try again in a second.",
            },
        });
    }

    private sealed class Protected;
}
