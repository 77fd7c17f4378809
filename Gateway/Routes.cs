using MobileIntegration.ServiceDefaults;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;

namespace Gateway;

/// <summary>What can be reached from outside, with which scope, and which service answers it. Anything that is not listed here is not there.</summary>
internal static class Routes
{
    /// <summary>The scope is what an access token must allow; null for what needs no token, which is what leads to one.</summary>
    private static readonly (string Path, string Service, string? Scope)[] All =
    [
        ("/api/home/{**rest}", "home", Scopes.Home),
        ("/devices/init", "devices", null),
        ("/devices/keys", "devices", null),
        ("/devices/admin/{**rest}", "devices", Scopes.DevicesAdmin),
        ("/devices/{**rest}", "devices", Scopes.Devices),
        ("/identity/.well-known/{**rest}", Identity, null),
        ("/identity/connect/{**rest}", Identity, null),
        ("/identity/device", Identity, null),
        ("/identity/logout", Identity, null),
    ];

    private const string Identity = "identity";

    /// <summary>Neither CONNECT, which asks for a tunnel, nor TRACE, which reads back what a proxy added.</summary>
    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

    public static void AddRoutes(this IHostApplicationBuilder builder)
    {
        // A service may be silent for less than the request may take, so that the answer is the service's fault and says so.
        var limits = builder.Configuration.GetSection("Limits").Get<ServiceLimits>() ?? new();
        var silence = TimeSpan.FromSeconds(limits.RequestSeconds * 5 / 6.0);
        // With an authority outside there is no identity service here.
        var own = builder.Configuration["Authentication:InternalAddress"] is { Length: > 0 };
        var routes = All.Where(route => own || route.Service is not Identity).ToList();
        builder.AddTokenAuthentication();
        var authorization = builder.Services.AddAuthorizationBuilder();
        foreach (var scope in routes.Select(route => route.Scope).OfType<string>().Distinct())
        {
            authorization.AddPolicy(scope, policy => policy.RequireScope(scope));
        }
        builder.Services
            .AddReverseProxy()
            .LoadFromMemory(
                [.. routes.Select(route => new RouteConfig
                {
                    RouteId = route.Path,
                    ClusterId = route.Service,
                    AuthorizationPolicy = route.Scope ?? "anonymous",
                    Match = new() { Path = route.Path, Methods = Methods },
                })],
                [.. routes.Select(route => route.Service).Distinct().Select(service => new ClusterConfig
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
