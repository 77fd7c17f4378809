using Google.Protobuf.Collections;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>The points of OTLP metrics. Those that say that there was no measurement are left out.</summary>
internal static class MetricPoints
{
    private const uint NoValue = 1;

    public static int Number(Metric metric) => metric.DataCase switch
    {
        Metric.DataOneofCase.Gauge => metric.Gauge.DataPoints.Count,
        Metric.DataOneofCase.Sum => metric.Sum.DataPoints.Count,
        Metric.DataOneofCase.Histogram => metric.Histogram.DataPoints.Count,
        Metric.DataOneofCase.ExponentialHistogram => metric.ExponentialHistogram.DataPoints.Count,
        Metric.DataOneofCase.Summary => metric.Summary.DataPoints.Count,
        _ => 0,
    };

    public static IEnumerable<(TelemetryAttribute[] Attributes, MetricPoint Point)> Read(Metric metric, OtlpReader reader) => metric.DataCase switch
    {
        Metric.DataOneofCase.Gauge => Numbers(metric.Gauge.DataPoints, reader),
        Metric.DataOneofCase.Sum => Numbers(metric.Sum.DataPoints, reader),
        Metric.DataOneofCase.Histogram => metric.Histogram.DataPoints.Where(point => (point.Flags & NoValue) == 0)
            .Select(point => (reader.Attributes(point.Attributes), Read(point, reader))),
        Metric.DataOneofCase.ExponentialHistogram => metric.ExponentialHistogram.DataPoints.Where(point => (point.Flags & NoValue) == 0)
            .Select(point => (reader.Attributes(point.Attributes), Read(point, reader))),
        _ => [],
    };

    private static IEnumerable<(TelemetryAttribute[], MetricPoint)> Numbers(RepeatedField<NumberDataPoint> points, OtlpReader reader) =>
        points.Where(point => (point.Flags & NoValue) == 0).Select(point =>
        {
            var whole = point.ValueCase == NumberDataPoint.ValueOneofCase.AsInt;
            return (reader.Attributes(point.Attributes), new MetricPoint
            {
                StartNano = UnixTime.Nano(point.StartTimeUnixNano),
                FirstNano = UnixTime.Nano(point.TimeUnixNano),
                LastNano = UnixTime.Nano(point.TimeUnixNano),
                Value = whole ? point.AsInt : point.AsDouble,
                Whole = whole ? point.AsInt : null,
                Exemplars = Exemplars(point.Exemplars, reader),
            });
        });

    private static MetricPoint Read(HistogramDataPoint point, OtlpReader reader) => new()
    {
        StartNano = UnixTime.Nano(point.StartTimeUnixNano),
        FirstNano = UnixTime.Nano(point.TimeUnixNano),
        LastNano = UnixTime.Nano(point.TimeUnixNano),
        Exemplars = Exemplars(point.Exemplars, reader),
        Histogram = new(
            (long)point.Count, point.HasSum ? point.Sum : null, point.HasMin ? point.Min : null, point.HasMax ? point.Max : null)
        {
            Bounds = [.. point.ExplicitBounds],
            Buckets = [.. point.BucketCounts],
        },
    };

    private static MetricPoint Read(ExponentialHistogramDataPoint point, OtlpReader reader) => new()
    {
        StartNano = UnixTime.Nano(point.StartTimeUnixNano),
        FirstNano = UnixTime.Nano(point.TimeUnixNano),
        LastNano = UnixTime.Nano(point.TimeUnixNano),
        Exemplars = Exemplars(point.Exemplars, reader),
        Histogram = new(
            (long)point.Count, point.HasSum ? point.Sum : null, point.HasMin ? point.Min : null, point.HasMax ? point.Max : null)
        {
            Scale = point.Scale,
            Zeros = point.ZeroCount,
            PositiveOffset = point.Positive?.Offset ?? 0,
            Positive = [.. point.Positive?.BucketCounts ?? []],
            NegativeOffset = point.Negative?.Offset ?? 0,
            Negative = [.. point.Negative?.BucketCounts ?? []],
        },
    };

    private static MetricExemplar[] Exemplars(RepeatedField<Exemplar> exemplars, OtlpReader reader) => exemplars.Count == 0 ? [] :
    [
        .. exemplars.Select(exemplar => new MetricExemplar(
            UnixTime.From(UnixTime.Nano(exemplar.TimeUnixNano)),
            exemplar.ValueCase == Exemplar.ValueOneofCase.AsInt ? exemplar.AsInt : exemplar.AsDouble,
            TraceId.From(exemplar.TraceId.Span),
            SpanId.From(exemplar.SpanId.Span),
            reader.Attributes(exemplar.FilteredAttributes))),
    ];
}
