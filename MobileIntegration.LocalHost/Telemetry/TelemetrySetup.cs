using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>Sets up the receiving of telemetry in the dashboard's web application.</summary>
public static class TelemetrySetup
{
    /// <summary>The most that one message may have, also after decompression.</summary>
    internal const int MaxBody = 4 * 1024 * 1024;

    internal const string KeyHeader = "x-otlp-api-key";

    /// <summary>Adds the <see cref="TelemetryStore"/> of this run and the services that receive into it.</summary>
    /// <param name="apiKey">What senders must give in the header <c>x-otlp-api-key</c>; null takes telemetry from anybody.</param>
    /// <param name="resolvePeer">Which resource listens at a host and port (0 if not said); null if none of ours.</param>
    /// <param name="folder">Where the telemetry of runs is kept; null keeps it in memory alone.</param>
    public static IServiceCollection AddTelemetry(
        this IServiceCollection services, IConfiguration configuration, string? apiKey, Func<string, int, string?>? resolvePeer = null,
        string? folder = null)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        services.AddOptions<TelemetryLimits>().Bind(configuration.GetSection(TelemetryLimits.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(new OtlpKey(apiKey));
        services.AddOptions<TelemetryRecording>().Bind(configuration.GetSection(TelemetryRecording.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(provider => new TelemetryRuns(
            folder, provider.GetRequiredService<IOptions<TelemetryLimits>>().Value, provider.GetRequiredService<IOptions<TelemetryRecording>>().Value,
            Time(provider), resolvePeer));
        services.AddSingleton(provider => new TelemetryRecorder(
            provider.GetRequiredService<TelemetryRuns>(), provider.GetRequiredService<IOptions<TelemetryRecording>>().Value, Time(provider),
            provider.GetService<ILogger<TelemetryRecorder>>() ?? NullLogger<TelemetryRecorder>.Instance));
        services.AddSingleton(provider =>
        {
            var records = folder is not null && provider.GetRequiredService<IOptions<TelemetryRecording>>().Value.MaxRuns > 0;
            return provider.GetRequiredService<TelemetryRuns>().Current = new TelemetryStore(
                provider.GetRequiredService<IOptions<TelemetryLimits>>().Value, Time(provider), resolvePeer)
            {
                Recorder = records ? provider.GetRequiredService<TelemetryRecorder>() : null,
            };
        });
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MaxBody;
            grpc.ResponseCompressionLevel = CompressionLevel.NoCompression;
        });
        return services;

        static TimeProvider Time(IServiceProvider provider) => provider.GetService<TimeProvider>() ?? TimeProvider.System;
    }

    /// <summary>
    /// OTLP over gRPC, for an endpoint with HTTP/2, and over HTTP at <c>/v1/traces</c>, <c>/v1/logs</c> and <c>/v1/metrics</c>. Requests without the
    /// key get 401 or Unauthenticated. The routes allow requests without a login: the key is theirs.
    /// </summary>
    public static IEndpointConventionBuilder MapOtlp(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("");
        var grpc = group.MapGroup("");
        grpc.MapGrpcService<OtlpTraceService>();
        grpc.MapGrpcService<OtlpLogsService>();
        grpc.MapGrpcService<OtlpMetricsService>();
        ((IEndpointConventionBuilder)grpc).Add(CheckKey);
        OtlpHttp.Map(group);
        return group.AllowAnonymous();
    }

    /// <summary>Before the message is read: who has no key costs no more than its headers.</summary>
    private static void CheckKey(EndpointBuilder endpoint)
    {
        var next = endpoint.RequestDelegate!;
        endpoint.RequestDelegate = context =>
        {
            if (context.RequestServices.GetRequiredService<OtlpKey>().Fits(context.Request))
            {
                return next(context);
            }

            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = ((int)StatusCode.Unauthenticated).ToString(CultureInfo.InvariantCulture);
            context.Response.Headers["grpc-message"] = $"The header {KeyHeader} is missing or wrong.";
            return Task.CompletedTask;
        };
    }
}

internal sealed class OtlpKey(string? key)
{
    private readonly byte[]? _hash = key is null ? null : SHA256.HashData(Encoding.UTF8.GetBytes(key));

    /// <summary>Takes as long for a wrong key as for the right one.</summary>
    public bool Fits(HttpRequest request) => _hash is null ||
        CryptographicOperations.FixedTimeEquals(_hash, SHA256.HashData(Encoding.UTF8.GetBytes(request.Headers[TelemetrySetup.KeyHeader].ToString())));
}
