using System.Globalization;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Timeouts;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Health;
using Yarp.ReverseProxy.Transforms;
using Yarp.ReverseProxy.Transforms.Builder;

namespace Gateway;

/// <summary>How the services behind are called.</summary>
internal static class UpstreamSetup
{
    private static readonly TimeSpan ProbePatience = TimeSpan.FromSeconds(3);

    public static void AddUpstream(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<UpstreamOptions>().BindConfiguration("Upstream").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<IForwarderHttpClientFactory, BreakerClients>();
        services.AddSingleton<IPassiveHealthCheckPolicy, Aside>();
        services.AddSingleton<Retries>();
    }

    /// <summary>Destinations are asked how they are, and what becomes of calls tells as well. When none is well, all are tried.</summary>
    public static HealthCheckConfig Health(IConfiguration configuration) => new()
    {
        AvailableDestinationsPolicy = HealthCheckConstants.AvailableDestinations.HealthyOrPanic,
        Passive = new() { Enabled = true, Policy = Aside.PolicyName },
        Active = new()
        {
            Enabled = true,
            Policy = HealthCheckConstants.ActivePolicy.ConsecutiveFailures,
            Path = "/health",
            // What is no such number stops the start with the options' own words.
            Interval = TimeSpan.FromSeconds(
                int.TryParse(configuration["Upstream:ProbeSeconds"], CultureInfo.InvariantCulture, out var seconds) && seconds > 0
                    ? seconds : new UpstreamOptions().ProbeSeconds),
            Timeout = ProbePatience,
        },
    };

    public static void Transforms(TransformBuilderContext route)
    {
        route.AddRequestTransform(BreakerClients.OnRequestAsync);
        route.AddResponseTransform(Retries.OnAnswerAsync);
        route.AddResponseTransform(ResponseCache.OnAnswerAsync);
        route.AddResponseTransform(LetEventsGoOn);
        if (route.Route.ClusterId is Routes.Sync)
        {
            route.AddRequestTransform(KeepPath);
        }
    }

    public static void MapUpstream(this WebApplication app)
    {
        var retries = app.Services.GetRequiredService<Retries>();
        app.MapReverseProxy(proxy =>
        {
            proxy.Use(retries.InvokeAsync);
            proxy.UseSessionAffinity();
            proxy.UseLoadBalancing();
            proxy.UsePassiveHealthChecks();
        });
    }

    /// <summary>A stream of events has no end that could be late; silence ends it all the same.</summary>
    private static ValueTask LetEventsGoOn(ResponseTransformContext answer)
    {
        if (answer.ProxyResponse is { } response && (response.Content.Headers.ContentType?.MediaType is "text/event-stream"
            || (response.Headers.TryGetValues("X-Accel-Buffering", out var buffering) && buffering.Contains("no"))))
        {
            answer.HttpContext.Features.Get<IHttpRequestTimeoutFeature>()?.DisableTimeout();
        }
        return ValueTask.CompletedTask;
    }

    /// <summary>The path and query go on as they were sent: what is coded in them twice is not to be decoded once on the way.</summary>
    private static ValueTask KeepPath(RequestTransformContext call)
    {
        var target = call.HttpContext.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (target.StartsWith("/sync/", StringComparison.Ordinal))
        {
            call.ProxyRequest.RequestUri = new($"{call.DestinationPrefix.TrimEnd('/')}{target}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        }
        return ValueTask.CompletedTask;
    }
}
