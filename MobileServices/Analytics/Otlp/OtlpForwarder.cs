using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Threading.RateLimiting;
using Microsoft.Extensions.Options;

namespace MobileServices.Analytics.Otlp;

/// <summary>
/// Passes what apps export on to the collector that this service exports to itself (the variables OTEL_EXPORTER_OTLP_*), as it is. A collector that takes gRPC
/// gets the same messages in gRPC's framing.
/// </summary>
internal sealed class OtlpForwarder(HttpClient http, IConfiguration configuration, OtlpLimits limits)
{
    public const string Protobuf = "application/x-protobuf";
    public const string Json = "application/json";

    private readonly string? _endpoint = configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]?.TrimEnd('/');
    private readonly bool _isGrpc = configuration["OTEL_EXPORTER_OTLP_PROTOCOL"] is null or "" or "grpc";

    public bool IsThere => !string.IsNullOrWhiteSpace(_endpoint);

    public string Types => _isGrpc ? Protobuf : $"{Protobuf} and {Json}";

    public int PerMinute => limits.PerMinute;

    public bool Takes(string? type) => type is Protobuf || (type is Json && !_isGrpc);

    /// <returns>How long the app has to wait; null when it need not.</returns>
    public TimeSpan? Wait(int app) => limits.Wait(app);

    /// <returns>Why it was not taken; null when it was.</returns>
    public async Task<string?> SendAsync(string signal, string type, byte[] body, CancellationToken ct)
    {
        using var request = _isGrpc ? Grpc(signal, body) : Http(signal, type, body);
        foreach (var header in (configuration["OTEL_EXPORTER_OTLP_HEADERS"] ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = header.Split('=', 2);
            request.Headers.TryAddWithoutValidation(parts[0].Trim(), Uri.UnescapeDataString(parts[^1].Trim()));
        }
        try
        {
            using var response = await http.SendAsync(request, ct);
            if (!response.IsSuccessStatusCode)
            {
                return $"The collector answered {(int)response.StatusCode}. Try again later.";
            }
            if (!_isGrpc)
            {
                return null;
            }
            await response.Content.LoadIntoBufferAsync(ct);
            var status = response.TrailingHeaders.TryGetValues("grpc-status", out var trailer) ? trailer.First() : response.Headers.TryGetValues("grpc-status", out var header) ? header.First() : "2";
            return status is "0" ? null : $"The collector answered with gRPC status {status}. Try again later.";
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !ct.IsCancellationRequested)
        {
            return "The collector cannot be reached. Try again later.";
        }
    }

    private HttpRequestMessage Http(string signal, string type, byte[] body) => new(HttpMethod.Post, $"{_endpoint}/v1/{signal}")
    {
        Content = new ByteArrayContent(body) { Headers = { ContentType = new(type) } },
    };

    private HttpRequestMessage Grpc(string signal, byte[] body)
    {
        var service = signal switch { "traces" => "trace.v1.TraceService", "metrics" => "metrics.v1.MetricsService", _ => "logs.v1.LogsService" };
        // A byte for "not compressed", then the length.
        var framed = new byte[5 + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(framed.AsSpan(1), body.Length);
        body.CopyTo(framed, 5);
        var request = new HttpRequestMessage(HttpMethod.Post, $"{_endpoint}/opentelemetry.proto.collector.{service}/Export")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(framed) { Headers = { ContentType = new MediaTypeHeaderValue("application/grpc") } },
        };
        request.Headers.TE.Add(new("trailers"));
        return request;
    }
}

/// <summary>How often each app may send to this replica.</summary>
internal sealed class OtlpLimits(IOptions<AnalyticsOptions> options) : IDisposable
{
    private readonly PartitionedRateLimiter<int> _limiter = PartitionedRateLimiter.Create<int, int>(app => RateLimitPartition.GetFixedWindowLimiter(
        app, _ => new() { PermitLimit = options.Value.OtlpPerMinute, Window = TimeSpan.FromMinutes(1) }));

    public int PerMinute => options.Value.OtlpPerMinute;

    public TimeSpan? Wait(int app)
    {
        using var lease = _limiter.AttemptAcquire(app);
        return lease.IsAcquired ? null : lease.TryGetMetadata(MetadataName.RetryAfter, out var after) ? after : TimeSpan.FromMinutes(1);
    }

    public void Dispose() => _limiter.Dispose();
}
