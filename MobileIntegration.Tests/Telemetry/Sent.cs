using Google.Protobuf;
using Google.Protobuf.Collections;
using MobileIntegration.LocalHost.Telemetry;
using MobileIntegration.LocalHost.Telemetry.Otlp;
using OtlpResource = MobileIntegration.LocalHost.Telemetry.Otlp.Resource;
using OtlpSpan = MobileIntegration.LocalHost.Telemetry.Otlp.Span;

namespace MobileIntegration.Tests.Telemetry;

/// <summary>OTLP messages made by hand.</summary>
internal static class Sent
{
    public static readonly DateTimeOffset Noon = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    public static OtlpResource Service(string name) => new() { Attributes = { Text("service.name", name) } };

    public static KeyValue Text(string key, string value) => new() { Key = key, Value = new() { StringValue = value } };

    public static KeyValue Number(string key, long value) => new() { Key = key, Value = new() { IntValue = value } };

    public static TraceId Trace(int number) => new(1, (ulong)number);

    public static OtlpSpan Span(int trace, int id, int parent = 0, OtlpSpan.Types.SpanKind kind = OtlpSpan.Types.SpanKind.Internal, int milliseconds = 10, DateTimeOffset? start = null,
        bool error = false, string name = "work", params KeyValue[] attributes) => new()
        {
            TraceId = ByteString.CopyFrom(Trace(trace).ToBytes()),
            SpanId = ByteString.CopyFrom(new SpanId((ulong)id).ToBytes()),
            ParentSpanId = parent == 0 ? ByteString.Empty : ByteString.CopyFrom(new SpanId((ulong)parent).ToBytes()),
            Name = name,
            Kind = kind,
            StartTimeUnixNano = Nano(start ?? Noon),
            EndTimeUnixNano = Nano((start ?? Noon).AddMilliseconds(milliseconds)),
            Status = error ? new() { Code = Status.Types.StatusCode.Error } : null,
            Attributes = { attributes },
        };

    public static void Spans(this TelemetryStore store, string service, params OtlpSpan[] spans) =>
        store.Add(new RepeatedField<ResourceSpans> { new ResourceSpans { Resource = Service(service), ScopeSpans = { new ScopeSpans { Spans = { spans } } } } });

    public static void Logs(this TelemetryStore store, string service, params LogRecord[] logs) =>
        store.Add(new RepeatedField<ResourceLogs> { new ResourceLogs { Resource = Service(service), ScopeLogs = { new ScopeLogs { Scope = new() { Name = "Shop.Orders" }, LogRecords = { logs } } } } });

    public static void Metrics(this TelemetryStore store, string service, params Metric[] metrics) =>
        store.Add(new RepeatedField<ResourceMetrics> { new ResourceMetrics { Resource = Service(service), ScopeMetrics = { new ScopeMetrics { Scope = new() { Name = "shop" }, Metrics = { metrics } } } } });

    public static ulong Nano(DateTimeOffset time) => (ulong)(time - DateTimeOffset.UnixEpoch).Ticks * 100;
}
