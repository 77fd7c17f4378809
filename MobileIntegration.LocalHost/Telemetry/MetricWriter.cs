using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>Metric points as OTLP has them.</summary>
internal static class MetricWriter
{
    public static Metric.DataOneofCase Kind(MetricSample sample) => sample.Instrument.Type switch
    {
        InstrumentType.Gauge => Otlp.Metric.DataOneofCase.Gauge,
        InstrumentType.Sum => Otlp.Metric.DataOneofCase.Sum,
        _ => sample.Point.Histogram?.Scale is null ? Otlp.Metric.DataOneofCase.Histogram : Otlp.Metric.DataOneofCase.ExponentialHistogram,
    };

    public static Metric Metric(MetricInstrument instrument, Metric.DataOneofCase kind)
    {
        var temporality = instrument.Delta ? AggregationTemporality.Delta : AggregationTemporality.Cumulative;
        var metric = new Metric { Name = instrument.Name, Description = instrument.Description, Unit = instrument.Unit };
        switch (kind)
        {
            case Otlp.Metric.DataOneofCase.Gauge: metric.Gauge = new(); break;
            case Otlp.Metric.DataOneofCase.Sum: metric.Sum = new() { AggregationTemporality = temporality, IsMonotonic = instrument.Monotonic }; break;
            case Otlp.Metric.DataOneofCase.Histogram: metric.Histogram = new() { AggregationTemporality = temporality }; break;
            default: metric.ExponentialHistogram = new() { AggregationTemporality = temporality }; break;
        }

        return metric;
    }

    public static void Add(Metric metric, MetricSample sample)
    {
        switch (metric.DataCase)
        {
            case Otlp.Metric.DataOneofCase.Gauge: metric.Gauge.DataPoints.Add(Number(sample)); break;
            case Otlp.Metric.DataOneofCase.Sum: metric.Sum.DataPoints.Add(Number(sample)); break;
            case Otlp.Metric.DataOneofCase.Histogram: metric.Histogram.DataPoints.Add(Explicit(sample, sample.Point.Histogram!)); break;
            default: metric.ExponentialHistogram.DataPoints.Add(Exponential(sample, sample.Point.Histogram!)); break;
        }
    }

    private static NumberDataPoint Number(MetricSample sample)
    {
        var point = new NumberDataPoint
        {
            StartTimeUnixNano = (ulong)sample.Point.StartNano,
            TimeUnixNano = (ulong)sample.AtNano,
            Exemplars = { Exemplars(sample) },
            Attributes = { OtlpWriter.Attributes(sample.Attributes) },
        };
        if (sample.Point.Whole is { } whole)
        {
            point.AsInt = whole;
        }
        else
        {
            point.AsDouble = sample.Point.Value;
        }

        return point;
    }

    private static HistogramDataPoint Explicit(MetricSample sample, HistogramData data)
    {
        var point = new HistogramDataPoint
        {
            StartTimeUnixNano = (ulong)sample.Point.StartNano,
            TimeUnixNano = (ulong)sample.AtNano,
            Count = (ulong)data.Count,
            ExplicitBounds = { data.Bounds },
            BucketCounts = { data.Buckets },
            Exemplars = { Exemplars(sample) },
            Attributes = { OtlpWriter.Attributes(sample.Attributes) },
        };
        if (data.Sum is { } sum)
        {
            point.Sum = sum;
        }

        if (data.Min is { } min)
        {
            point.Min = min;
        }

        if (data.Max is { } max)
        {
            point.Max = max;
        }

        return point;
    }

    private static ExponentialHistogramDataPoint Exponential(MetricSample sample, HistogramData data)
    {
        var point = new ExponentialHistogramDataPoint
        {
            StartTimeUnixNano = (ulong)sample.Point.StartNano,
            TimeUnixNano = (ulong)sample.AtNano,
            Count = (ulong)data.Count,
            Scale = data.Scale ?? 0,
            ZeroCount = data.Zeros,
            Positive = new() { Offset = data.PositiveOffset, BucketCounts = { data.Positive } },
            Negative = new() { Offset = data.NegativeOffset, BucketCounts = { data.Negative } },
            Exemplars = { Exemplars(sample) },
            Attributes = { OtlpWriter.Attributes(sample.Attributes) },
        };
        if (data.Sum is { } sum)
        {
            point.Sum = sum;
        }

        if (data.Min is { } min)
        {
            point.Min = min;
        }

        if (data.Max is { } max)
        {
            point.Max = max;
        }

        return point;
    }

    // Exemplars are of the first time; with them, a point would not be taken for a repeated one.
    private static IEnumerable<Exemplar> Exemplars(MetricSample sample) => sample.AtNano != sample.Point.FirstNano ? [] :
        sample.Point.Exemplars.Select(exemplar => new Exemplar
        {
            TimeUnixNano = OtlpWriter.Nano(exemplar.Time),
            AsDouble = exemplar.Value,
            TraceId = OtlpWriter.Bytes(exemplar.TraceId),
            SpanId = OtlpWriter.Bytes(exemplar.SpanId),
            FilteredAttributes = { OtlpWriter.Attributes(exemplar.Attributes) },
        });
}
