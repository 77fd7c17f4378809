using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
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
    public static IServiceCollection AddTelemetry(
        this IServiceCollection services, IConfiguration configuration, string? apiKey, Func<string, int, string?>? resolvePeer = null)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        services.AddOptions<TelemetryLimits>().Bind(configuration.GetSection(TelemetryLimits.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(new OtlpKey(apiKey));
        services.AddSingleton(provider => new TelemetryStore(
            provider.GetRequiredService<IOptions<TelemetryLimits>>().Value, provider.GetService<TimeProvider>() ?? TimeProvider.System, resolvePeer));
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MaxBody;
            grpc.ResponseCompressionLevel = CompressionLevel.NoCompression;
        });
        return services;
    }

    /// <summary>
    /// OTLP over gRPC, for an endpoint with HTTP/2, and over HTTP at <c>/v1/traces</c>, <c>/v1/logs</c> and <c>/v1/metrics</c>. Requests without the
    /// key get 401 or Unauthenticated. The routes allow requests without a login: the key is theirs.
    /// </summary>
    public static IEndpointConventionBuilder MapOtlp(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("");
        group.MapGrpcService<OtlpTraceService>();
        group.MapGrpcService<OtlpLogsService>();
        group.MapGrpcService<OtlpMetricsService>();
        OtlpHttp.Map(group);
        return group.AllowAnonymous();
    }
}

internal sealed class OtlpKey(string? key)
{
    private readonly byte[]? _hash = key is null ? null : SHA256.HashData(Encoding.UTF8.GetBytes(key));

    /// <summary>Takes as long for a wrong key as for the right one.</summary>
    public bool Fits(HttpRequest request) => _hash is null ||
        CryptographicOperations.FixedTimeEquals(_hash, SHA256.HashData(Encoding.UTF8.GetBytes(request.Headers[TelemetrySetup.KeyHeader].ToString())));

    public void Check(ServerCallContext context)
    {
        if (!Fits(context.GetHttpContext().Request))
        {
            throw new RpcException(new Grpc.Core.Status(StatusCode.Unauthenticated, $"The header {TelemetrySetup.KeyHeader} is missing or wrong."));
        }
    }
}
