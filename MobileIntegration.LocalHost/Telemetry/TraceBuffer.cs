namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>The newest traces. Spans are added under the buffer's lock; queries copy the list of traces and read them without it.</summary>
internal sealed class TraceBuffer(TelemetryLimits limits, FlowTable flows)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<TraceId, Trace> _byId = [];
    private readonly Queue<Trace> _order = [];
    private int _spans;
    private long _lastNumber;

    public long EvictedTraces { get; private set; }

    public long EvictedSpans { get; private set; }

    public long DroppedSpans { get; private set; }

    public (int Traces, int Spans) Count
    {
        get
        {
            lock (_lock)
            {
                return (_byId.Count, _spans);
            }
        }
    }

    public void Add(List<TelemetrySpan> spans)
    {
        lock (_lock)
        {
            foreach (var span in spans)
            {
                if (!_byId.TryGetValue(span.TraceId, out var trace))
                {
                    _byId.Add(span.TraceId, trace = new Trace(span.TraceId, ++_lastNumber));
                    _order.Enqueue(trace);
                }

                if (trace.Count >= limits.MaxSpansPerTrace)
                {
                    DroppedSpans++;
                }
                else if (trace.Add(span))
                {
                    _spans++;
                    flows.Add(span);
                }
            }

            while (_order.Count > limits.MaxTraceCount || (_spans > limits.MaxSpanCount && _order.Count > 1))
            {
                var oldest = _order.Dequeue();
                _byId.Remove(oldest.Id);
                _spans -= oldest.Count;
                EvictedTraces++;
                EvictedSpans += oldest.Count;
            }
        }
    }

    public Trace? Find(TraceId id)
    {
        lock (_lock)
        {
            return _byId.GetValueOrDefault(id);
        }
    }

    public Trace[] All()
    {
        lock (_lock)
        {
            return [.. _order];
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _byId.Clear();
            _order.Clear();
            _spans = 0;
        }
    }
}

/// <summary>
/// The spans of a trace as they came. One thread at a time adds; others read meanwhile: the array is replaced before the count rises, so as many
/// spans as a reader sees counted are there.
/// </summary>
/// <param name="number">Rises by one a trace in its store.</param>
internal sealed class Trace(TraceId id, long number)
{
    private const int SearchedByHand = 16;

    private TelemetrySpan[] _spans = new TelemetrySpan[4];
    private HashSet<SpanId>? _ids;
    private int _count;
    private int _errors;
    private long _start = long.MaxValue;
    private long _end = long.MinValue;
    private TelemetrySpan? _first;

    public TraceId Id => id;

    public long Number => number;

    public int Count => Volatile.Read(ref _count);

    public bool HasError => Volatile.Read(ref _errors) > 0;

    public long Start => Volatile.Read(ref _start);

    public long Duration => Math.Max(0, Volatile.Read(ref _end) - Volatile.Read(ref _start));

    /// <summary>The root span; the earliest one as long as that is not there.</summary>
    public TelemetrySpan? First => Volatile.Read(ref _first);

    public ReadOnlySpan<TelemetrySpan> Spans
    {
        get
        {
            var count = Count;
            return Volatile.Read(ref _spans).AsSpan(0, count);
        }
    }

    /// <summary>False if it has that span already, as when a sender repeats what it had no answer to.</summary>
    public bool Add(TelemetrySpan span)
    {
        if (IsKnown(span.SpanId))
        {
            return false;
        }

        if (_count == _spans.Length)
        {
            var larger = new TelemetrySpan[_count * 2];
            _spans.CopyTo(larger, 0);
            Volatile.Write(ref _spans, larger);
        }

        _spans[_count] = span;
        _errors += span.IsError ? 1 : 0;
        Volatile.Write(ref _start, Math.Min(_start, span.StartNano));
        Volatile.Write(ref _end, Math.Max(_end, span.EndNano));
        if (_first is null || Rank(span).CompareTo(Rank(_first)) < 0)
        {
            Volatile.Write(ref _first, span);
        }

        Volatile.Write(ref _count, _count + 1);
        return true;
    }

    private static (bool HasParent, long Start) Rank(TelemetrySpan span) => (!span.ParentId.IsEmpty, span.StartNano);

    private bool IsKnown(SpanId id)
    {
        if (_ids is not null)
        {
            return !_ids.Add(id);
        }

        for (var i = 0; i < _count; i++)
        {
            if (_spans[i].SpanId == id)
            {
                return true;
            }
        }

        if (_count == SearchedByHand)
        {
            _ids = [.. _spans.Take(_count).Select(span => span.SpanId), id];
        }

        return false;
    }
}
