using MobileIntegration.ServiceDefaults;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;

namespace Gateway;

/// <summary>What is public, and which service answers it. Anything that is not listed here is not reachable from outside.</summary>
internal static class Routes
{
    private static readonly (string Path, string Service)[] Public =
    [
        ("/api/home/{**rest}", "home"),
        ("/devices/{**rest}", "devices"),
    ];

    public static void AddRoutes(this IHostApplicationBuilder builder)
    {
        // A service may be silent for less than the request may take, so that the answer is the service's fault and says so.
        var limits = builder.Configuration.GetSection("Limits").Get<ServiceLimits>() ?? new();
        var silence = TimeSpan.FromSeconds(limits.RequestSeconds * 5 / 6.0);
        builder.Services
            .AddReverseProxy()
            .LoadFromMemory(
                [.. Public.Select(route => new RouteConfig { RouteId = route.Path, ClusterId = route.Service, Match = new() { Path = route.Path } })],
                [.. Public.Select(route => route.Service).Distinct().Select(service => new ClusterConfig
                {
                    ClusterId = service,
                    Destinations = new Dictionary<string, DestinationConfig> { [service] = new() { Address = $"http://{service}" } },
                    HttpRequest = new ForwarderRequestConfig { ActivityTimeout = silence },
                })])
            .Services.AddSingleton<Yarp.ReverseProxy.ServiceDiscovery.IDestinationResolver, DiscoveredDestinations>();
    }
}
