using System.Text.Json;
using System.Text.Json.Serialization;
using MobileIntegration.LocalHost.Telemetry;
using MobileIntegration.LocalHost.Telemetry.Otlp;
using static MobileIntegration.Tests.Telemetry.Sent;
using Kind = MobileIntegration.LocalHost.Telemetry.Otlp.Span.Types.SpanKind;
using OtlpSpan = MobileIntegration.LocalHost.Telemetry.Otlp.Span;

namespace MobileIntegration.Tests.Telemetry;

/// <summary>Telemetry of every kind, and all that a store keeps as text that can be compared.</summary>
internal static class Contents
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    public static void AddEverything(this TelemetryStore store)
    {
        var rich = Span(1, 2, 1, Kind.Server, 50, error: true, name: "place \"order\" ☃", attributes: [
            Number("lines", long.MaxValue), Text("customer", "C-1"), new() { Key = "empty" }, new() { Key = "weight", Value = new() { DoubleValue = 0.1 } },
            new() { Key = "paid", Value = new() { BoolValue = true } }, new() { Key = "bytes", Value = new() { BytesValue = Google.Protobuf.ByteString.CopyFrom(1, 2, 255) } },
            new() { Key = "list", Value = new() { ArrayValue = new() { Values = { new AnyValue { IntValue = 1 }, new AnyValue { StringValue = "b" }, new AnyValue() } } } },
            new() { Key = "map", Value = new() { KvlistValue = new() { Values = { Text("inner", "value") } } } }]);
        rich.Status.Message = "no stock";
        rich.TraceState = "a=b";
        rich.Flags = 0x301;
        (rich.DroppedAttributesCount, rich.DroppedEventsCount, rich.DroppedLinksCount) = (3, 4, 5);
        rich.Events.Add(new OtlpSpan.Types.Event { Name = "packed", TimeUnixNano = Nano(Noon) + 100, Attributes = { Number("box", 3) }, DroppedAttributesCount = 1 });
        rich.Links.Add(new OtlpSpan.Types.Link
        {
            TraceId = Google.Protobuf.ByteString.CopyFrom(Trace(9).ToBytes()),
            SpanId = Google.Protobuf.ByteString.CopyFrom(new SpanId(7).ToBytes()),
            TraceState = "c=d",
            Flags = 1,
            Attributes = { Text("why", "batch") },
            DroppedAttributesCount = 2,
        });
        store.Spans("gateway", Span(1, 1, kind: Kind.Client, milliseconds: 60), Span(2, 1, kind: Kind.Server, start: Noon.AddSeconds(1)));
        store.Spans("home", rich);
        store.Spans("gateway", Span(3, 1, kind: Kind.Server, start: Noon.AddSeconds(2)));
        store.Logs("home", new LogRecord
        {
            SeverityNumber = SeverityNumber.Error,
            SeverityText = "Error",
            Body = new() { StringValue = "Order failed" },
            EventName = "OrderFailed",
            Flags = 1,
            TimeUnixNano = Nano(Noon) + 1,
            ObservedTimeUnixNano = Nano(Noon) + 2,
            TraceId = Google.Protobuf.ByteString.CopyFrom(Trace(1).ToBytes()),
            SpanId = Google.Protobuf.ByteString.CopyFrom(new SpanId(2).ToBytes()),
            Attributes = { Number("Order", 17) },
            DroppedAttributesCount = 6,
        });
        store.Logs("gateway", new LogRecord { Body = new() { KvlistValue = new() { Values = { Number("a", 1) } } }, ObservedTimeUnixNano = Nano(Noon) });
        store.Logs("home", new LogRecord { SeverityNumber = SeverityNumber.Info });
        for (var second = 0; second < 50; second++)
        {
            store.Metrics("home", Orders(second, second < 45 ? 5 : second), Level(second), Times(second), Sizes(second));
        }
    }

    public static string Of(TelemetryStore store)
    {
        var traces = store.Traces(new() { IncludeHealthChecks = true, Take = int.MaxValue }).Items.Select(trace => store.Trace(trace.TraceId)!).ToList();
        return JsonSerializer.Serialize(
            new
            {
                Resources = store.Resources,
                Traces = traces,
                Times = traces.SelectMany(trace => trace.Spans).Select(span => new { span.StartNano, span.EndNano, span.Peer }),
                Logs = store.Logs(new() { Take = int.MaxValue }).Items.Select(log => new { log, log.TimeNano, log.ObservedNano }),
                Points = store.AllSamples(_ => true).OrderBy(sample => sample.Instrument.Name, StringComparer.Ordinal).Select(sample => new
                {
                    Resource = sample.Instrument.Resource.ToString(),
                    sample.Instrument.Scope,
                    sample.Instrument.Name,
                    sample.Instrument.Description,
                    sample.Instrument.Unit,
                    sample.Instrument.Type,
                    sample.Instrument.Delta,
                    sample.Instrument.Monotonic,
                    sample.Attributes,
                    sample.Point.StartNano,
                    sample.AtNano,
                    sample.Point.Value,
                    sample.Point.Whole,
                    sample.Point.Histogram,
                    sample.Point.Exemplars,
                }),
            },
            Json);
    }

    private static Metric Orders(int second, long value) => new()
    {
        Name = "orders",
        Unit = "{order}",
        Description = "Orders placed",
        Sum = new()
        {
            IsMonotonic = true,
            AggregationTemporality = AggregationTemporality.Cumulative,
            DataPoints = { new NumberDataPoint { StartTimeUnixNano = Nano(Noon), TimeUnixNano = Nano(Noon.AddSeconds(second)), AsInt = value, Attributes = { Text("shop", "a") } } },
        },
    };

    private static Metric Level(int second) => new()
    {
        Name = "level",
        Gauge = new() { DataPoints = { new NumberDataPoint { TimeUnixNano = Nano(Noon.AddSeconds(second)), AsDouble = 0.1 + (second < 40 ? second / 10 : second) } } },
    };

    private static Metric Times(int second) => new()
    {
        Name = "times",
        Histogram = new()
        {
            AggregationTemporality = AggregationTemporality.Delta,
            DataPoints =
            {
                new HistogramDataPoint
                {
                    StartTimeUnixNano = Nano(Noon.AddSeconds(second - 1)), TimeUnixNano = Nano(Noon.AddSeconds(second)), Count = 3, Sum = 4.5, Min = 0.5, Max = 2,
                    ExplicitBounds = { 1, 5 }, BucketCounts = { 1, 2, 0 },
                    Exemplars = { new Exemplar { TimeUnixNano = Nano(Noon), AsDouble = 2, TraceId = Google.Protobuf.ByteString.CopyFrom(Trace(1).ToBytes()), SpanId = Google.Protobuf.ByteString.CopyFrom(new SpanId(2).ToBytes()), FilteredAttributes = { Text("x", "y") } } },
                },
            },
        },
    };

    private static Metric Sizes(int second) => new()
    {
        Name = "sizes",
        ExponentialHistogram = new()
        {
            AggregationTemporality = AggregationTemporality.Cumulative,
            DataPoints =
            {
                new ExponentialHistogramDataPoint
                {
                    StartTimeUnixNano = Nano(Noon), TimeUnixNano = Nano(Noon.AddSeconds(second)), Count = (ulong)(4 + second), Scale = 2, ZeroCount = 1,
                    Positive = new() { Offset = -3, BucketCounts = { 1, (ulong)second } }, Negative = new() { Offset = 2, BucketCounts = { 2 } },
                },
            },
        },
    };
}
