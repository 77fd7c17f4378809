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

    /// <summary>How long a service may be silent: shorter than the request's own time-out, so that the answer is the service's fault and says so.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(25);

    public static void AddRoutes(this IHostApplicationBuilder builder) => builder.Services
        .AddReverseProxy()
        .LoadFromMemory(
            [.. Public.Select(route => new RouteConfig { RouteId = route.Path, ClusterId = route.Service, Match = new() { Path = route.Path } })],
            [.. Public.Select(route => route.Service).Distinct().Select(service => new ClusterConfig
            {
                ClusterId = service,
                Destinations = new Dictionary<string, DestinationConfig> { [service] = new() { Address = $"http://{service}" } },
                HttpRequest = new ForwarderRequestConfig { ActivityTimeout = Silence },
            })])
        .Services.AddSingleton<Yarp.ReverseProxy.ServiceDiscovery.IDestinationResolver, DiscoveredDestinations>();
}
