using Microsoft.IdentityModel.Tokens;
using MobileIntegration.Contracts;
using Yarp.ReverseProxy.Configuration;

namespace GatewayBenchmark;

/// <summary>What stands around the gateway, each in a process of its own.</summary>
internal static class Servers
{
    /// <summary>A long poll: answered when the caller goes.</summary>
    public const string Hold = "/api/home/hold";

    /// <summary>How many of them are open.</summary>
    public const string Held = "/held";

    /// <summary>A service that answers 200 bytes, takes telemetry, and has the rules of the app gate: one that blocks an old version.</summary>
    public static Task UpstreamAsync(string port)
    {
        var app = Builder(port).Build();
        var body = new byte[200];
        Array.Fill(body, (byte)'x');
        var rules = new AppRuleSet(1, [new AppRule("stop-1.3", "com.example.shop", AppAction.Block, Versions: "1.3.x")], []);
        var held = 0;
        app.Run(context => context.Request.Path.Value switch
        {
            Hold => HoldAsync(context),
            Held => context.Response.WriteAsync($"{Volatile.Read(ref held)}"),
            AppRuleSet.Path => context.Response.WriteAsJsonAsync(rules),
            "/health" or "/v1/traces" or "/v1/metrics" or "/v1/logs" => Task.CompletedTask,
            _ => AnswerAsync(context.Response, body),
        });
        return app.RunAsync();

        async Task HoldAsync(HttpContext context)
        {
            Interlocked.Increment(ref held);
            var ended = new TaskCompletionSource();
            await using (context.RequestAborted.Register(ended.SetResult))
            {
                await ended.Task;
            }
            Interlocked.Decrement(ref held);
        }
    }

    public static Task YarpAsync(string port, string upstream)
    {
        var builder = Builder(port);
        builder.Services.AddReverseProxy().LoadFromMemory(
            [new RouteConfig { RouteId = "all", ClusterId = "all", Match = new() { Path = "{**rest}" } }],
            [new ClusterConfig { ClusterId = "all", Destinations = new Dictionary<string, DestinationConfig> { ["one"] = new() { Address = upstream } } }]);
        var app = builder.Build();
        app.MapReverseProxy();
        return app.RunAsync();
    }

    public static WebApplication Authority(string address, ECDsaSecurityKey key)
    {
        var builder = WebApplication.CreateSlimBuilder([$"--urls={address}"]);
        builder.Logging.ClearProviders();
        var app = builder.Build();
        var point = key.ECDsa.ExportParameters(includePrivateParameters: false).Q;
        var keys = new
        {
            keys = new[] { new { kty = "EC", crv = "P-256", use = "sig", alg = "ES256", kid = key.KeyId, x = Base64UrlEncoder.Encode(point.X), y = Base64UrlEncoder.Encode(point.Y) } },
        };
        app.MapGet("/.well-known/openid-configuration", () => new Dictionary<string, string> { ["issuer"] = address, ["jwks_uri"] = $"{address}/keys" });
        app.MapGet("/keys", () => Results.Json(keys));
        return app;
    }

    private static WebApplicationBuilder Builder(string port)
    {
        var builder = WebApplication.CreateSlimBuilder([$"--urls=http://127.0.0.1:{port}"]);
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        return builder;
    }

    private static Task AnswerAsync(HttpResponse response, byte[] body)
    {
        response.ContentType = "text/plain";
        response.ContentLength = body.Length;
        return response.Body.WriteAsync(body).AsTask();
    }
}
