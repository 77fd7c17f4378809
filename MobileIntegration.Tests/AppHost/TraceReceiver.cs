using System.Collections.Concurrent;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MobileIntegration.Tests.AppHost.Otlp;

namespace MobileIntegration.Tests.AppHost;

/// <summary>An OTLP/gRPC endpoint that keeps the spans it is sent.</summary>
public sealed class TraceReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TraceReceiver(WebApplication app) => _app = app;

    public string Address => _app.Urls.Single();

    public IReadOnlyList<ReceivedSpan> All => [.. Received.All];

    private Spans Received => _app.Services.GetRequiredService<Spans>();

    public static async Task<TraceReceiver> StartAsync()
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton<Spans>();
        var app = builder.Build();
        app.MapGrpcService<Service>();
        await app.StartAsync();
        return new TraceReceiver(app);
    }

    /// <summary>Waits until the spans of a trace fulfil a condition and returns them.</summary>
    public async Task<IReadOnlyList<ReceivedSpan>> WaitForTraceAsync(string traceId, Func<IReadOnlyList<ReceivedSpan>, bool> condition, TimeSpan patience)
    {
        using var deadline = new CancellationTokenSource(patience);
        while (true)
        {
            var changed = Received.Changed;
            var spans = Received.All.Where(span => span.TraceId == traceId).ToList();
            if (condition(spans))
            {
                return spans;
            }

            try
            {
                await changed.WaitAsync(deadline.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"The trace {traceId} did not become complete. It has:\n{string.Join('\n', spans)}");
            }
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private sealed class Spans
    {
        private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ConcurrentQueue<ReceivedSpan> All { get; } = new();

        public Task Changed => Volatile.Read(ref _changed).Task;

        public void Signal() => Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
    }

    private sealed class Service(Spans spans) : TraceService.TraceServiceBase
    {
        public override Task<ExportTraceServiceResponse> Export(ExportTraceServiceRequest request, ServerCallContext context)
        {
            foreach (var resource in request.ResourceSpans)
            {
                var service = resource.Resource.Attributes.First(attribute => attribute.Key == "service.name").Value.StringValue;
                foreach (var scope in resource.ScopeSpans)
                {
                    foreach (var span in scope.Spans)
                    {
                        spans.All.Enqueue(new ReceivedSpan(
                            service, scope.Scope.Name, span.Name, Hex(span.TraceId), Hex(span.SpanId), Hex(span.ParentSpanId), PathOf(span)));
                    }
                }
            }

            spans.Signal();
            return Task.FromResult(new ExportTraceServiceResponse());
        }

        private static string? PathOf(Span span) =>
            Text(span, "url.path") ?? (Text(span, "url.full") is { } address ? new Uri(address).AbsolutePath : null);

        private static string? Text(Span span, string key) => span.Attributes.FirstOrDefault(attribute => attribute.Key == key)?.Value.StringValue;

        private static string Hex(Google.Protobuf.ByteString bytes) => Convert.ToHexStringLower(bytes.Span);
    }
}

public sealed record ReceivedSpan(string Service, string Scope, string Name, string TraceId, string SpanId, string ParentSpanId, string? Path);
