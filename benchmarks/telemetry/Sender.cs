using System.Diagnostics;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace TelemetryBenchmark;

/// <summary>A process that sends requests made beforehand over one connection, each with 512 spans of one service, and prints how many were answered.</summary>
internal static class Sender
{
    public const int BatchSize = 512;

    // Enough that a trace has left the receiver's memory before it comes again.
    private const int Rounds = 60;
    private static readonly string[] Services = ["gateway", "home", "products", "pim"];

    public static async Task RunAsync(string address, string path, int inFlight, int seconds, int rate)
    {
        var requests = Make();
        using var channel = GrpcChannel.ForAddress(address);
        var invoker = channel.CreateCallInvoker();
        var bytes = Marshallers.Create<byte[]>(data => data, data => data);
        var names = path.Split('/');
        var method = new Method<byte[], byte[]>(MethodType.Unary, names[0], names[1], bytes, bytes);
        var headers = new Metadata { { "x-otlp-api-key", Receiver.Key } };
        var (next, answered, clock, cpu) = (-1, 0L, Stopwatch.StartNew(), Environment.CpuUsage.TotalTime);
        var end = TimeSpan.FromSeconds(seconds);
        await Task.WhenAll(Enumerable.Range(0, inFlight).Select(async _ =>
        {
            while (clock.Elapsed < end)
            {
                if (rate > 0 && next * (double)BatchSize / rate > clock.Elapsed.TotalSeconds)
                {
                    await Task.Delay(1);
                    continue;
                }

                var request = requests[(uint)Interlocked.Increment(ref next) % requests.Length];
                var answer = await invoker.AsyncUnaryCall(method, null, new CallOptions(headers), request);
                if (answer.Length > 0)
                {
                    throw new InvalidOperationException("The receiver rejected spans.");
                }

                Interlocked.Increment(ref answered);
            }
        }));
        Console.WriteLine($"{answered * BatchSize} {clock.Elapsed.TotalSeconds:f3} {(Environment.CpuUsage.TotalTime - cpu).TotalSeconds:f3} {requests.Average(request => request.Length) / BatchSize:f0}");
    }

    private static byte[][] Make()
    {
        var random = new Random(1);
        var start = (ulong)(DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;
        List<byte[]> requests = [];
        for (var round = 0; round < Rounds; round++)
        {
            var traces = Enumerable.Range(0, BatchSize / 2).Select(_ => Id(random, 16)).ToArray();
            var callers = traces.Select(_ => ByteString.Empty).ToArray();
            foreach (var service in Services)
            {
                var group = new ScopeSpans { Scope = new() { Name = "Microsoft.AspNetCore", Version = "10.0.0" } };
                for (var i = 0; i < traces.Length; i++)
                {
                    var (server, client) = (Id(random, 8), Id(random, 8));
                    group.Spans.Add(Span(traces[i], server, callers[i], MobileIntegration.LocalHost.Telemetry.Otlp.Span.Types.SpanKind.Server, service, random, start));
                    group.Spans.Add(Span(traces[i], client, server, MobileIntegration.LocalHost.Telemetry.Otlp.Span.Types.SpanKind.Client, service, random, start));
                    callers[i] = client;
                }

                requests.Add(new ExportTraceServiceRequest
                {
                    ResourceSpans =
                    {
                        new ResourceSpans
                        {
                            Resource = new() { Attributes = { Text("service.name", service), Text("service.instance.id", service + "-1"), Text("telemetry.sdk.name", "opentelemetry") } },
                            ScopeSpans = { group },
                        },
                    },
                }.ToByteArray());
            }
        }

        return [.. requests];
    }

    private static Span Span(ByteString trace, ByteString id, ByteString parent, Span.Types.SpanKind kind, string service, Random random, ulong start)
    {
        var status = random.Next(100) == 0 ? 500 : 200;
        var begin = start + (ulong)random.Next(1_000_000_000);
        return new Span
        {
            TraceId = trace,
            SpanId = id,
            ParentSpanId = parent,
            Kind = kind,
            Name = $"GET /api/{service}/{{id}}",
            Flags = 0x101,
            StartTimeUnixNano = begin,
            EndTimeUnixNano = begin + (ulong)random.Next(1_000_000, 200_000_000),
            Status = status == 500 ? new() { Code = MobileIntegration.LocalHost.Telemetry.Otlp.Status.Types.StatusCode.Error } : null,
            Attributes =
            {
                Text("http.request.method", "GET"), Text("url.scheme", "http"), Text("http.route", $"/api/{service}/{{id}}"),
                Text("url.path", $"/api/{service}/C-{random.Next(1_000_000):d6}"), Text("network.protocol.version", "1.1"),
                Text("server.address", "localhost"), Number("server.port", 5080), Number("http.response.status_code", status),
            },
        };
    }

    private static ByteString Id(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return ByteString.CopyFrom(bytes);
    }

    private static KeyValue Text(string key, string value) => new() { Key = key, Value = new() { StringValue = value } };

    private static KeyValue Number(string key, long value) => new() { Key = key, Value = new() { IntValue = value } };
}
