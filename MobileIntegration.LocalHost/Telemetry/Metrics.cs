namespace MobileIntegration.LocalHost.Telemetry;

public enum InstrumentType { Gauge, Sum, Histogram }

/// <summary>A measurement series' source: one instrument of one resource.</summary>
public sealed record InstrumentInfo(
    TelemetryResource Resource, string Meter, string Name, string Description, string Unit, InstrumentType Type, bool Monotonic, int Dimensions);

/// <summary>Which points to show: a window divided into steps of the same length.</summary>
public sealed record MetricQuery(string Resource, string Meter, string Instrument)
{
    /// <summary>One instance of the resource; all together if null.</summary>
    public string? InstanceId { get; init; }

    public TimeSpan Window { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The window's end; null means now.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>How many points a series has.</summary>
    public int Steps { get; init; } = 60;

    /// <summary>Only dimensions whose attribute has one of these values; keys that are not there are not filtered.</summary>
    public IReadOnlyDictionary<string, IReadOnlyCollection<string>> Dimensions { get; init; } = new Dictionary<string, IReadOnlyCollection<string>>();
}

/// <param name="Combined">All chosen dimensions as one.</param>
/// <param name="Series">Each chosen dimension by itself.</param>
/// <param name="DimensionValues">Each attribute key with the values it has, for filters.</param>
public sealed record MetricChart(
    InstrumentInfo Instrument, IReadOnlyList<MetricStep> Combined, IReadOnlyList<MetricSeries> Series,
    IReadOnlyDictionary<string, IReadOnlyList<string>> DimensionValues, IReadOnlyList<MetricExemplar> Exemplars);

public sealed record MetricSeries(IReadOnlyList<TelemetryAttribute> Attributes, IReadOnlyList<MetricStep> Steps);

/// <summary>What was measured from one step's end to the next; null where nothing is known.</summary>
/// <param name="Time">The step's end.</param>
/// <param name="Value">The value at that time: of a gauge the last, of a sum its total, of a histogram the mean of the step.</param>
/// <param name="Rate">Of a sum and of a histogram's count: increase per second.</param>
/// <param name="Count">Of a histogram: measurements in the step.</param>
public sealed record MetricStep(DateTimeOffset Time, double? Value, double? Rate, double? Count, double? P50, double? P90, double? P99);

/// <summary>One measurement with the trace that it was made in.</summary>
public sealed record MetricExemplar(DateTimeOffset Time, double Value, TraceId TraceId, SpanId SpanId, IReadOnlyList<TelemetryAttribute> Attributes);

/// <summary>A point as it came; repeated ones only move <see cref="LastNano"/>.</summary>
internal sealed class MetricPoint
{
    public long StartNano { get; init; }

    public long FirstNano { get; init; }

    public long LastNano { get; set; }

    /// <summary>The last time of this value that was handed to the recorder.</summary>
    public long RecordedNano { get; set; }

    /// <summary>Points between the one before and this were left out: what they measured is taken as evenly spread.</summary>
    public bool Joined { get; set; }

    /// <summary>Where it is among all points of its resource.</summary>
    public LinkedListNode<(MetricInstrument Instrument, string Dimension)>? Place { get; set; }

    public double Value { get; init; }

    /// <summary>The value as a whole number, if it came as one.</summary>
    public long? Whole { get; init; }

    public HistogramData? Histogram { get; init; }

    public MetricExemplar[] Exemplars { get; init; } = [];

    public bool Repeats(MetricPoint other) =>
        Exemplars.Length == 0 && StartNano == other.StartNano && Value.Equals(other.Value) && Whole == other.Whole &&
        Histogram?.Count == other.Histogram?.Count && Histogram?.Sum == other.Histogram?.Sum && FirstNano >= other.LastNano;
}

/// <summary>A point with what it belongs to, at one of the times that it was told for.</summary>
internal readonly record struct MetricSample(MetricInstrument Instrument, TelemetryAttribute[] Attributes, MetricPoint Point, long AtNano);

internal sealed class MetricInstrument(TelemetryResource resource, TelemetryScope scope, string name, InstrumentType type)
{
    public TelemetryResource Resource => resource;

    public TelemetryScope Scope => scope;

    public string Name => name;

    public InstrumentType Type => type;

    public string Description { get; init; } = "";

    public string Unit { get; init; } = "";

    public bool Monotonic { get; init; }

    /// <summary>Each point counts from the one before it instead of from the start.</summary>
    public bool Delta { get; init; }

    public Dictionary<string, MetricDimension> Dimensions { get; } = [];

    public InstrumentInfo Info => new(resource, scope.Name, name, Description, Unit, type, Monotonic, Dimensions.Count);
}
