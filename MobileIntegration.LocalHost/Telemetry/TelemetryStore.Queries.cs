namespace MobileIntegration.LocalHost.Telemetry;

public sealed partial class TelemetryStore
{
    /// <summary>All that have sent something, by name and instance.</summary>
    public IReadOnlyList<TelemetryResource> Resources =>
        [.. _resources.Values.OrderBy(resource => resource.Name, StringComparer.Ordinal).ThenBy(resource => resource.InstanceId, StringComparer.Ordinal)];

    /// <summary>The newest traces first, by the start of their earliest span.</summary>
    public Page<TraceSummary> Traces(TraceQuery query)
    {
        ArgumentNullException.ThrowIfNull(query);
        var traces = _traces.All();
        var (filters, text) = Prepare(query.Filters, query.Text);
        var kept = _memo.Of(query).Choose(traces, trace => Matches(trace, query, filters, text));
        var starts = new long[kept];
        for (var i = 0; i < kept; i++)
        {
            starts[i] = -traces[i].Start;
        }

        Array.Sort(starts, traces, 0, kept);
        return new([.. traces.Take(kept).Skip(query.Skip).Take(query.Take).Select(trace => Summary(trace.Id, trace.Spans.ToArray()))], kept);
    }

    /// <summary>All traces, by when they began to come.</summary>
    internal Trace[] AllTraces() => _traces.All();

    /// <summary>All log records, by when they came.</summary>
    internal TelemetryLog[] AllLogs() => _logs.All();

    /// <inheritdoc cref="MetricBuffer.Samples"/>
    internal List<MetricSample> AllSamples(Func<TelemetryResource, bool> chosen) => _metrics.Samples(chosen);

    /// <summary>Null if nothing is kept of it.</summary>
    public TraceDetails? Trace(TraceId id)
    {
        if (_traces.Find(id) is not { } trace)
        {
            return null;
        }

        TelemetrySpan[] spans = [.. trace.Spans.ToArray().OrderBy(span => span.StartNano).ThenBy(span => !span.ParentId.IsEmpty)];
        return new(Summary(id, spans), spans, [.. _logs.All().Where(log => log.TraceId == id).OrderBy(log => log.TimeNano)]);
    }

    /// <summary>The newest records first, by when they came.</summary>
    public Page<TelemetryLog> Logs(LogQuery query)
    {
        ArgumentNullException.ThrowIfNull(query);
        var logs = _logs.All();
        var (filters, text) = Prepare(query.Filters, query.Text);
        var kept = Array.FindAll(logs, log => Matches(log, query, filters, text));
        Array.Reverse(kept);
        return new([.. kept.Skip(query.Skip).Take(query.Take)], kept.Length);
    }

    /// <summary>By resource, meter and name.</summary>
    /// <param name="resource">A service name; null for all.</param>
    public IReadOnlyList<InstrumentInfo> Instruments(string? resource = null) =>
        [.. _metrics.Locked(() => _metrics.Instruments(one => resource is null || one.Name == resource).Select(instrument => instrument.Info).ToList())
            .OrderBy(info => info.Resource.ToString(), StringComparer.Ordinal).ThenBy(info => info.Meter, StringComparer.Ordinal)
            .ThenBy(info => info.Name, StringComparer.Ordinal)];

    /// <summary>Null if there is no such instrument.</summary>
    public MetricChart? Chart(MetricQuery query)
    {
        ArgumentNullException.ThrowIfNull(query);
        return _metrics.Locked(() => MetricCharts.Make(
            [.. _metrics.Instruments(one => one.Name == query.Resource && (query.InstanceId is null || one.InstanceId == query.InstanceId))
                .Where(instrument => instrument.Scope.Name == query.Meter && instrument.Name == query.Instrument)],
            query, query.Until ?? _time.GetUtcNow()));
    }

    /// <summary>Who called whom in the last <paramref name="window"/> (at most a minute), health checks aside.</summary>
    public IReadOnlyList<Flow> Flows(TimeSpan window) => _flows.Read(window, IsPast);

    private static (FieldMatcher[] Filters, TextMatcher? Text) Prepare(IReadOnlyList<FieldFilter> filters, string? text) =>
        ([.. filters.Select(filter => new FieldMatcher(filter))], string.IsNullOrEmpty(text) ? null : new TextMatcher(text));

    private static bool Matches(Trace trace, TraceQuery query, FieldMatcher[] filters, TextMatcher? text)
    {
        if ((query.ErrorsOnly && !trace.HasError) ||
            (!query.IncludeHealthChecks && trace.First?.IsHealthCheck != false) ||
            (query.MinDuration is { } least && UnixTime.Span(trace.Duration) < least))
        {
            return false;
        }

        if (query.Resource is { } resource && !Any(trace, span => span.Resource.Name == resource))
        {
            return false;
        }

        if (filters.Length > 0 && !Any(trace, span => Array.TrueForAll(filters, filter => filter.Matches(span))))
        {
            return false;
        }

        return text is null || (char.IsAsciiHexDigit(query.Text![0]) && trace.Id.ToString().StartsWith(query.Text, StringComparison.OrdinalIgnoreCase)) ||
            Any(trace, span => text.Matches(span.Name) || text.Matches(span.AttributeArray));
    }

    private static bool Any(Trace trace, Func<TelemetrySpan, bool> condition)
    {
        foreach (var span in trace.Spans)
        {
            if (condition(span))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Matches(TelemetryLog log, LogQuery query, FieldMatcher[] filters, TextMatcher? text) =>
        log.Severity >= query.MinSeverity &&
        (query.Resource is null || log.Resource.Name == query.Resource) &&
        (query.TraceId is null || log.TraceId == query.TraceId) &&
        (query.SpanId is null || log.SpanId == query.SpanId) &&
        Array.TrueForAll(filters, filter => filter.Matches(log)) &&
        (text is null || text.Matches(log.Message) || text.Matches(log.Scope.Name) || text.Matches(log.AttributeArray));

    private static TraceSummary Summary(TraceId id, TelemetrySpan[] spans)
    {
        var (start, end) = (spans.Min(span => span.StartNano), spans.Max(span => span.EndNano));
        var root = spans.MinBy(span => (!span.ParentId.IsEmpty, span.StartNano))!;
        return new(
            id, root.Name, root.Resource.Name, UnixTime.From(start), UnixTime.Span(end - start), spans.Length, spans.Count(span => span.IsError),
            [.. spans.GroupBy(span => span.Resource.Name).Select(group => new TraceResource(group.Key, group.Count(), group.Count(span => span.IsError)))]);
    }
}
