using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.Tests;

/// <summary>A service that the gateway leads to: writes down every request that reaches it and answers as the test says.</summary>
internal sealed class Upstream : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _probes;

    private Upstream(RequestDelegate answer)
    {
        var builder = WebApplication.CreateBuilder(["--urls=http://127.0.0.1:0"]);
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        _app = builder.Build();
        _app.Run(async context =>
        {
            if (context.Request.Path == "/health")
            {
                // Asked by the gateway itself, for as long as it runs.
                Interlocked.Increment(ref _probes);
                context.Response.StatusCode = Healthy ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
                return;
            }
            context.Request.EnableBuffering();
            using var reader = new StreamReader(context.Request.Body, leaveOpen: true);
            var body = await reader.ReadToEndAsync();
            context.Request.Body.Position = 0;
            Journal.Enqueue(new(
                context.Request.Method, $"{context.Request.Path}{context.Request.QueryString}", body,
                context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase)));
            await answer(context);
        });
    }

    public ConcurrentQueue<Received> Journal { get; } = new();

    public bool Healthy { get; set; } = true;

    public int Probes => Volatile.Read(ref _probes);

    public Uri Address => TestServices.AddressOf(_app.Services);

    public static async Task<Upstream> StartAsync(RequestDelegate? answer = null)
    {
        var upstream = new Upstream(answer ?? (context => context.Response.WriteAsync("answer")));
        await upstream._app.StartAsync();
        return upstream;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    internal sealed record Received(string Method, string Path, string Body, IReadOnlyDictionary<string, string> Headers);
}
