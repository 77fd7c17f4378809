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
        ("/identity/.well-known/{**rest}", "identity"),
        ("/identity/connect/{**rest}", "identity"),
        ("/identity/device", "identity"),
        ("/identity/logout", "identity"),
    ];

    /// <summary>Neither CONNECT, which asks for a tunnel, nor TRACE, which reads back what a proxy added.</summary>
    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

    public static void AddRoutes(this IHostApplicationBuilder builder)
    {
        // A service may be silent for less than the request may take, so that the answer is the service's fault and says so.
        var limits = builder.Configuration.GetSection("Limits").Get<ServiceLimits>() ?? new();
        var silence = TimeSpan.FromSeconds(limits.RequestSeconds * 5 / 6.0);
        builder.Services
            .AddReverseProxy()
            .LoadFromMemory(
                [.. Public.Select(route => new RouteConfig
                {
                    RouteId = route.Path,
                    ClusterId = route.Service,
                    Match = new() { Path = route.Path, Methods = Methods },
                })],
                [.. Public.Select(route => route.Service).Distinct().Select(service => new ClusterConfig
                {
                    ClusterId = service,
                    Destinations = new Dictionary<string, DestinationConfig> { [service] = new() { Address = $"http://{service}" } },
                    // Kestrel reads headers as UTF-8; the client's default is to refuse what is not ASCII.
                    HttpClient = new HttpClientConfig { RequestHeaderEncoding = "utf-8" },
                    HttpRequest = new ForwarderRequestConfig { ActivityTimeout = silence },
                })])
            .Services.AddSingleton<Yarp.ReverseProxy.ServiceDiscovery.IDestinationResolver, DiscoveredDestinations>();
    }
}
