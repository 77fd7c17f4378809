namespace MobileIntegration.LocalHost.Telemetry;

public enum FieldOperator { Equal, NotEqual, Contains, NotContains, GreaterThan, LessThan, AtLeast, AtMost }

/// <summary>
/// A condition on a field: an attribute's key or, of spans, <c>name kind status duration</c> (ms) <c>resource scope trace_id span_id</c>, and, of
/// logs, <c>message severity category event resource trace_id span_id</c>. Numbers are compared as numbers, texts without regard to case. A field
/// that is absent fulfils only the negative operators.
/// </summary>
public sealed record FieldFilter(string Field, FieldOperator Operator, string Value);

/// <summary>Which traces to list, newest first. The field filters must all hold for one span.</summary>
public sealed record TraceQuery
{
    /// <summary>A service name that has a span in it.</summary>
    public string? Resource { get; init; }

    /// <summary>In a span's name or attributes, or the beginning of the trace id.</summary>
    public string? Text { get; init; }

    public bool ErrorsOnly { get; init; }

    public TimeSpan? MinDuration { get; init; }

    public IReadOnlyList<FieldFilter> Filters { get; init; } = [];

    /// <summary>Also traces that begin with a health check.</summary>
    public bool IncludeHealthChecks { get; init; }

    public int Skip { get; init; }

    public int Take { get; init; } = 100;
}

/// <param name="Total">How many there are on all pages.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, int Total);

/// <param name="RootName">The root span's name or, as long as it has not come, that of the earliest span.</param>
public sealed record TraceSummary(
    TraceId TraceId, string RootName, string RootResource, DateTimeOffset Start, TimeSpan Duration, int SpanCount, int ErrorCount,
    IReadOnlyList<TraceResource> Resources);

/// <summary>A service's part in a trace.</summary>
public sealed record TraceResource(string Name, int SpanCount, int ErrorCount);

/// <summary>A trace with all that is kept of it.</summary>
/// <param name="Spans">By start time.</param>
/// <param name="Logs">By time.</param>
public sealed record TraceDetails(TraceSummary Summary, IReadOnlyList<TelemetrySpan> Spans, IReadOnlyList<TelemetryLog> Logs);

/// <summary>Which log records to list, newest first.</summary>
public sealed record LogQuery
{
    /// <summary>See <see cref="TelemetryLog.Severity"/>; 0 takes all.</summary>
    public int MinSeverity { get; init; }

    public string? Resource { get; init; }

    public TraceId? TraceId { get; init; }

    public SpanId? SpanId { get; init; }

    /// <summary>In the message, the category or an attribute.</summary>
    public string? Text { get; init; }

    public IReadOnlyList<FieldFilter> Filters { get; init; } = [];

    public int Skip { get; init; }

    public int Take { get; init; } = 100;
}

/// <summary>Calls from one service to another, or to a peer without telemetry, in a window of at most a minute.</summary>
/// <param name="From">A service name; empty for callers outside the system.</param>
/// <param name="To">A service name, or the peer's (<see cref="ToKnown"/> tells).</param>
/// <param name="P95">Of the caller's durations, to within a tenth.</param>
public sealed record Flow(string From, string To, bool ToKnown, double RequestsPerSecond, double ErrorRate, TimeSpan P95, long Count);

/// <summary>Counts since the store was made.</summary>
/// <param name="EvictedTraces">Made room for newer ones.</param>
/// <param name="DroppedSpans">Beyond the spans that one trace may have.</param>
/// <param name="Rejected">Spans, records and points that were refused: bad ids, summaries, too many resources.</param>
/// <param name="Unrecorded">Kept in memory but not in this run's file: it could not be written, or not as fast as they came.</param>
public sealed record TelemetryCounts(
    int Resources, int Traces, int Spans, int Logs, int MetricPoints,
    long ReceivedSpans, long ReceivedLogs, long ReceivedPoints,
    long EvictedTraces, long EvictedSpans, long EvictedLogs, long EvictedPoints, long DroppedSpans, long Rejected,
    long Unrecorded);
