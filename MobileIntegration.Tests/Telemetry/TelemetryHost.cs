using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.Tests.Telemetry;

/// <summary>A web application that receives telemetry as the dashboard does: one port for gRPC, one for HTTP.</summary>
internal sealed class TelemetryHost(WebApplication app) : IAsyncDisposable
{
    public const string Key = "the key of this run";

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public TelemetryStore Store => app.Services.GetRequiredService<TelemetryStore>();

    public string Grpc => app.Urls.First();

    public string Http => app.Urls.Last();

    public TelemetryRuns Runs => app.Services.GetRequiredService<TelemetryRuns>();

    public static Task<TelemetryHost> StartAsync(params (string Name, string Value)[] settings) => StartAsync(null, settings);

    public static async Task<TelemetryHost> StartAsync(string? folder, params (string Name, string Value)[] settings)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)));
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
        });
        builder.Services.AddTelemetry(builder.Configuration, Key, folder: folder);
        var app = builder.Build();
        app.MapOtlp();
        await app.StartAsync();
        return new TelemetryHost(app);
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();
}
