using System.Collections.Concurrent;
using Google.Protobuf.Collections;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// The telemetry of one run, in memory, within limits: the newest stays. Any number of threads may add and read at the same time.
/// </summary>
public sealed partial class TelemetryStore
{
    private readonly TimeProvider _time;
    private readonly TelemetryLimits _limits;
    private readonly OtlpReader _reader;
    private readonly FlowTable _flows;
    private readonly TraceBuffer _traces;
    private readonly LogBuffer _logs;
    private readonly MetricBuffer _metrics;
    private readonly TraceMemo _memo = new();
    private readonly ConcurrentDictionary<(string Name, string Instance), TelemetryResource> _resources = new();
    private long _spansReceived;
    private long _logsReceived;
    private long _pointsReceived;
    private long _rejected;

    /// <param name="resolvePeer">Which resource listens at a host and port (0 if not said); null if none of ours.</param>
    /// <param name="isPast">The store of a run that has ended: its flows are those of its last minute.</param>
    public TelemetryStore(TelemetryLimits limits, TimeProvider time, Func<string, int, string?>? resolvePeer = null, bool isPast = false)
    {
        ArgumentNullException.ThrowIfNull(limits);
        (_limits, _time, IsPast) = (limits, time, isPast);
        _reader = new(limits);
        _flows = new(time, resolvePeer);
        _traces = new(limits, _flows);
        _logs = new(limits);
        _metrics = new(limits, _reader);
        Changes = new(time);
    }

    public bool IsPast { get; }

    /// <summary>Gets what is added, to write it to this run's file; null if nothing does.</summary>
    internal TelemetryRecorder? Recorder { get; init; }

    public TelemetryChanges Changes { get; }

    public TelemetryCounts Counts
    {
        get
        {
            var (traces, spans) = _traces.Count;
            return new(
                _resources.Count, traces, spans, _logs.Count, _metrics.Count,
                Interlocked.Read(ref _spansReceived), Interlocked.Read(ref _logsReceived), Interlocked.Read(ref _pointsReceived),
                _traces.EvictedTraces, _traces.EvictedSpans, _logs.Evicted, _metrics.Evicted, _traces.DroppedSpans, Interlocked.Read(ref _rejected),
                Recorder?.Lost ?? 0);
        }
    }

    /// <summary>Forgets traces, logs and metrics in memory; what is counted and what is in files stays.</summary>
    public void Clear()
    {
        _traces.Clear();
        _flows.Clear();
        _logs.Clear();
        _metrics.Clear();
        Changes.Signal(TelemetrySignals.Traces);
        Changes.Signal(TelemetrySignals.Logs);
        Changes.Signal(TelemetrySignals.Metrics);
    }

    /// <returns>How many were rejected.</returns>
    internal int Add(RepeatedField<ResourceSpans> all)
    {
        var (spans, rejected) = (new List<TelemetrySpan>(), 0);
        foreach (var from in all)
        {
            var resource = Resource(from.Resource);
            foreach (var group in from.ScopeSpans)
            {
                var scope = _reader.Scope(group.Scope);
                foreach (var sent in group.Spans)
                {
                    if (resource is not null && _reader.Span(resource, scope, sent) is { } span)
                    {
                        spans.Add(span);
                    }
                    else
                    {
                        rejected++;
                    }
                }
            }
        }

        _traces.Add(spans);
        Recorder?.Record(spans);
        Done(TelemetrySignals.Traces, ref _spansReceived, spans.Count, rejected);
        return rejected;
    }

    /// <inheritdoc cref="Add(RepeatedField{ResourceSpans})"/>
    internal int Add(RepeatedField<ResourceLogs> all)
    {
        var (logs, rejected) = (new List<TelemetryLog>(), 0);
        foreach (var from in all)
        {
            var resource = Resource(from.Resource);
            foreach (var group in from.ScopeLogs)
            {
                var scope = _reader.Scope(group.Scope);
                foreach (var sent in group.LogRecords)
                {
                    if (resource is not null && _reader.Log(resource, scope, sent) is { } log)
                    {
                        logs.Add(log);
                    }
                    else
                    {
                        rejected++;
                    }
                }
            }
        }

        _logs.Add(logs);
        Recorder?.Record(logs);
        Done(TelemetrySignals.Logs, ref _logsReceived, logs.Count, rejected);
        return rejected;
    }

    /// <inheritdoc cref="Add(RepeatedField{ResourceSpans})"/>
    internal int Add(RepeatedField<ResourceMetrics> all)
    {
        var (added, rejected) = (0, 0);
        var recorded = Recorder is null ? null : new List<MetricSample>();
        foreach (var from in all)
        {
            var resource = Resource(from.Resource);
            foreach (var group in from.ScopeMetrics)
            {
                var scope = _reader.Scope(group.Scope);
                foreach (var metric in group.Metrics)
                {
                    var (took, refused) = resource is null ? (0, MetricPoints.Number(metric)) : _metrics.Add(resource, scope, metric, recorded);
                    (added, rejected) = (added + took, rejected + refused);
                }
            }
        }

        Recorder?.Record(recorded!);
        Done(TelemetrySignals.Metrics, ref _pointsReceived, added, rejected);
        return rejected;
    }

    private void Done(TelemetrySignals signal, ref long received, int added, int rejected)
    {
        Interlocked.Add(ref received, added);
        Interlocked.Add(ref _rejected, rejected);
        if (added > 0)
        {
            Changes.Signal(signal);
        }
    }

    private TelemetryResource? Resource(Resource? sent)
    {
        var attributes = sent?.Attributes ?? [];
        string Named(string key, string otherwise) =>
            attributes.FirstOrDefault(attribute => attribute.Key == key)?.Value?.StringValue is { Length: > 0 } text ? _reader.Text(text) : otherwise;

        var id = (Named("service.name", "unknown_service"), Named("service.instance.id", ""));
        if (_resources.TryGetValue(id, out var known))
        {
            return known;
        }

        return _resources.Count >= _limits.MaxResourceCount
            ? null
            : _resources.GetOrAdd(id, _ => new TelemetryResource(id.Item1, id.Item2, _reader.Attributes(attributes)));
    }
}
