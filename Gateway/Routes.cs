using MobileIntegration.ServiceDefaults;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;

namespace Gateway;

/// <summary>What can be reached from outside, with which scope, and which service answers it. Anything that is not listed here is not there.</summary>
internal static class Routes
{
    /// <summary>The scope is what an access token must allow; null for what needs no token, which is what leads to one.</summary>
    private static readonly Route[] All =
    [
        new("/api/home/{**rest}", "home", Scopes.Home),
        new("/api/catalog/{**rest}", "catalog", Scopes.Catalog),
        new("/api/orders/{**rest}", "app-orders", Scopes.Orders),
        new("/api/account/{**rest}", "account", Scopes.Account),
        new("/changes/{**rest}", "changes", Scopes.IntegrationAdmin),
        new("/commands/{**rest}", "commands", Scopes.IntegrationAdmin),
        new("/devices/init", "devices", null),
        new("/devices/keys", "devices", null),
        new("/devices/admin/{**rest}", "devices", Scopes.DevicesAdmin),
        new("/devices/{**rest}", "devices", Scopes.Devices),
        new("/sync/_admin/{**rest}", Sync, Scopes.SyncAdmin),
        new("/sync/{**rest}", Sync, Scopes.Sync, BodyBytes: 134_217_728, TakesLarge: true),
        new("/ofrep/v1/{**rest}", "configuration", null, BodyBytes: 65536),
        new("/configuration/admin/{**rest}", "configuration", Scopes.ConfigurationAdmin),
        new("/push/endpoint/{**rest}", "push", null, BodyBytes: 8192),
        new("/push/message/{**rest}", "push", null, BodyBytes: 8192),
        new("/push/receipt/{**rest}", "push", null, BodyBytes: 8192),
        new("/push/registrations/{**rest}", "push", Scopes.Push, BodyBytes: 65536),
        new("/push/preferences", "push", Scopes.Push, BodyBytes: 65536),
        new("/push/own/{**rest}", "push", Scopes.Push, BodyBytes: 65536),
        new("/push/apps/{app}/vapid", "push", Scopes.Push),
        new("/push/{**rest}", "push", Scopes.PushSend),
        new("/v1/{**rest}", "analytics", null),
        new("/analytics/admin/{**rest}", "analytics", Scopes.AnalyticsAdmin),
        new("/analytics/{**rest}", "analytics", Scopes.Analytics),
        new("/identity/.well-known/{**rest}", Identity, null),
        new("/identity/connect/{**rest}", Identity, null, BodyBytes: 65536, Seconds: 10),
        new("/identity/device", Identity, null),
        new("/identity/logout", Identity, null),
    ];

    public const string Identity = "identity";

    /// <summary>Its protocol puts anything into paths, has feeds without end, and large bodies.</summary>
    public const string Sync = "sync";

    /// <summary>Neither CONNECT, which asks for a tunnel, nor TRACE, which reads back what a proxy added.</summary>
    public static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

    public static void AddRoutes(this IHostApplicationBuilder builder)
    {
        // A service may be silent for less than the request may take, so that the answer is the service's fault and says so.
        var limits = builder.Configuration.GetSection("Limits").Get<ServiceLimits>() ?? new();
        var silence = TimeSpan.FromSeconds(limits.RequestSeconds * 5 / 6.0);
        var routes = Of(builder.Configuration);
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
                    // COPY, which a list of methods may not hold here, is for the service to tell from what is no method at all.
                    Match = new() { Path = route.Path, Methods = route.Service is Sync ? null : Methods },
                    MaxRequestBodySize = route.BodyBytes,
                    Metadata = route.TakesLarge ? new Dictionary<string, string> { [RequestGuard.TakesLarge] = "" } : null,
                    Timeout = route.Seconds is { } seconds ? TimeSpan.FromSeconds(Math.Min(seconds, limits.RequestSeconds)) : null,
                })],
                [.. routes.Select(route => route.Service).Distinct().Select(service => new ClusterConfig
                {
                    ClusterId = service,
                    Destinations = new Dictionary<string, DestinationConfig> { [service] = new() { Address = $"http://{service}" } },
                    // Kestrel reads headers as UTF-8; the client's default is to refuse what is not ASCII.
                    HttpClient = new HttpClientConfig { RequestHeaderEncoding = "utf-8" },
                    HttpRequest = new ForwarderRequestConfig { ActivityTimeout = silence },
                    HealthCheck = UpstreamSetup.Health(builder.Configuration),
                })])
            .AddTransforms(UpstreamSetup.Transforms)
            .Services.AddSingleton<Yarp.ReverseProxy.ServiceDiscovery.IDestinationResolver, DiscoveredDestinations>();
    }

    /// <summary>The routes that there are. With an authority outside there is no identity service here.</summary>
    public static IReadOnlyList<Route> Of(IConfiguration configuration)
    {
        var own = configuration["Authentication:InternalAddress"] is { Length: > 0 };
        return [.. All.Where(route => own || route.Service is not Identity)];
    }

    /// <returns>The route that leads from outside to the path of a service; null when none does.</returns>
    public static Route? To(string path, IEnumerable<Route> routes) => routes.Where(route => route.Leads(path)).MaxBy(route => route.Steady.Length);

    /// <param name="BodyBytes">The largest body, when less than <see cref="ServiceLimits.BodyBytes"/>.</param>
    /// <param name="TakesLarge"><paramref name="BodyBytes"/> holds although it is more than that.</param>
    /// <param name="Seconds">The time to the end of the answer, when less than <see cref="ServiceLimits.RequestSeconds"/>.</param>
    internal sealed record Route(string Path, string Service, string? Scope, long? BodyBytes = null, int? Seconds = null, bool TakesLarge = false)
    {
        private const string Rest = "/{**rest}";

        /// <summary>What it is about, in the names of the document: the path's first word that says anything.</summary>
        public string Area => Path.Split('/').First(word => word is not ("" or "api"));

        /// <summary>The part before what may be anything.</summary>
        public string Steady => Path.EndsWith(Rest, StringComparison.Ordinal) ? Path[..^Rest.Length] : Path;

        public bool Leads(string path) => path.Equals(Steady, StringComparison.Ordinal)
            || (Steady.Length < Path.Length && path.StartsWith(Steady, StringComparison.Ordinal) && path[Steady.Length] is '/');
    }
}
