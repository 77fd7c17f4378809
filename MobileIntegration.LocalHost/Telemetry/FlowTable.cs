namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// Who calls whom, counted as spans come: a call's two sides arrive from two processes in any order, so either waits for the other. A call whose other
/// side does not come goes to a peer without telemetry, a request without a caller's span comes from outside.
/// </summary>
internal sealed class FlowTable(TimeProvider time, Func<string, int, string?>? resolvePeer)
{
    private const int Seconds = 64;
    private const int MostWaiting = 50_000;
    private const int MostFlows = 2_000;
    private static readonly long Patience = TimeSpan.FromSeconds(5).Ticks;
    private static readonly TimeSpan Ahead = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<(TraceId, SpanId), TelemetrySpan> _calls = [];
    private readonly Dictionary<(TraceId, SpanId), TelemetrySpan> _requests = [];
    private readonly Queue<(TelemetrySpan Span, long Since)> _waiting = [];
    private readonly Dictionary<(string From, string To, bool Known), Seconded> _flows = [];
    private long _newest;

    public void Add(TelemetrySpan span)
    {
        lock (_lock)
        {
            switch (span.Kind)
            {
                case SpanKind.Client or SpanKind.Producer when span["db.system.name"] is not null || span["db.system"] is not null:
                    Count(span, null);
                    break;
                case SpanKind.Client or SpanKind.Producer when _requests.Remove((span.TraceId, span.SpanId), out var request):
                    Count(span, request);
                    break;
                case SpanKind.Client or SpanKind.Producer:
                    Wait(_calls, span.SpanId, span);
                    break;
                case SpanKind.Server or SpanKind.Consumer when span.ParentId.IsEmpty:
                    Count(null, span);
                    break;
                case SpanKind.Server or SpanKind.Consumer when _calls.Remove((span.TraceId, span.ParentId), out var call):
                    Count(call, span);
                    break;
                case SpanKind.Server or SpanKind.Consumer:
                    Wait(_requests, span.ParentId, span);
                    break;
            }
        }
    }

    /// <param name="latest">Flows are of the time before the newest span, not before now: of a run that has ended.</param>
    public IReadOnlyList<Flow> Read(TimeSpan window, bool latest)
    {
        lock (_lock)
        {
            GiveUp(latest);
            var now = (latest ? _newest : UnixTime.Nano(time.GetUtcNow())) / 1_000_000_000;
            var seconds = (int)Math.Clamp(window.TotalSeconds, 1, Seconds - 4);
            return [.. _flows.Select(flow => flow.Value.Read(flow.Key, now - seconds, now, seconds)).OfType<Flow>()
                .OrderBy(flow => flow.From, StringComparer.Ordinal).ThenBy(flow => flow.To, StringComparer.Ordinal)];
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _calls.Clear();
            _requests.Clear();
            _waiting.Clear();
            _flows.Clear();
        }
    }

    private void Wait(Dictionary<(TraceId, SpanId), TelemetrySpan> others, SpanId call, TelemetrySpan span)
    {
        if (others.TryAdd((span.TraceId, call), span))
        {
            _waiting.Enqueue((span, time.GetUtcNow().Ticks));
            if (_waiting.Count > MostWaiting || _waiting.Peek().Since < time.GetUtcNow().Ticks - Patience)
            {
                GiveUp();
            }
        }
    }

    /// <param name="all">Nothing more will come.</param>
    private void GiveUp(bool all = false)
    {
        var before = all ? long.MaxValue : time.GetUtcNow().Ticks - Patience;
        while (_waiting.TryPeek(out var oldest) && (oldest.Since < before || _waiting.Count > MostWaiting))
        {
            _waiting.Dequeue();
            var span = oldest.Span;
            if (_calls.TryGetValue((span.TraceId, span.SpanId), out var call) && call == span)
            {
                _calls.Remove((span.TraceId, span.SpanId));
                Count(span, null);
            }
            else if (_requests.TryGetValue((span.TraceId, span.ParentId), out var request) && request == span)
            {
                _requests.Remove((span.TraceId, span.ParentId));
                Count(null, span);
            }
        }
    }

    private void Count(TelemetrySpan? call, TelemetrySpan? request)
    {
        var span = call ?? request!;
        // A span from a clock that is far ahead would hold its second's place until then.
        if (span.IsHealthCheck || span.EndNano > UnixTime.Nano(time.GetUtcNow() + Ahead))
        {
            return;
        }

        var resolved = request is null && resolvePeer is not null && SpanFields.Address(span) is { } address ? resolvePeer(address.Host, address.Port) : null;
        var key = (call?.Resource.Name ?? "", request?.Resource.Name ?? resolved ?? span.Peer ?? "unknown", request is not null || resolved is not null);
        if (!_flows.TryGetValue(key, out var flow))
        {
            if (_flows.Count >= MostFlows)
            {
                return;
            }

            _flows[key] = flow = new Seconded();
        }

        _newest = Math.Max(_newest, span.EndNano);
        flow.Add(span.EndNano / 1_000_000_000, span.EndNano - span.StartNano, span.IsError || request?.IsError == true);
    }

    /// <summary>What each of the last seconds saw: counts, errors and durations in steps of a tenth.</summary>
    private sealed class Seconded
    {
        private const int Steps = 256;
        private static readonly double Step = Math.Log(1.1);
        private readonly long[] _seconds = new long[Seconds];
        private readonly int[] _counts = new int[Seconds];
        private readonly int[] _errors = new int[Seconds];
        private readonly Dictionary<byte, int>?[] _durations = new Dictionary<byte, int>?[Seconds];

        public void Add(long second, long duration, bool error)
        {
            var slot = (int)(second % Seconds);
            if (second < _seconds[slot])
            {
                return;
            }

            if (second > _seconds[slot])
            {
                (_seconds[slot], _counts[slot], _errors[slot]) = (second, 0, 0);
                _durations[slot]?.Clear();
            }

            _counts[slot]++;
            _errors[slot] += error ? 1 : 0;
            // Steps of a tenth from a microsecond on reach beyond ten hours.
            var step = (byte)Math.Clamp(Math.Log(Math.Max(1, duration / 1000.0)) / Step, 0, Steps - 1);
            var durations = _durations[slot] ??= [];
            durations[step] = durations.GetValueOrDefault(step) + 1;
        }

        public Flow? Read((string From, string To, bool Known) key, long after, long until, int seconds)
        {
            var (count, errors, steps) = (0L, 0L, new long[Steps]);
            for (var slot = 0; slot < Seconds; slot++)
            {
                if (_seconds[slot] > after && _seconds[slot] <= until)
                {
                    count += _counts[slot];
                    errors += _errors[slot];
                    foreach (var (step, number) in _durations[slot] ?? [])
                    {
                        steps[step] += number;
                    }
                }
            }

            return count == 0 ? null : new Flow(
                key.From, key.To, key.Known, (double)count / seconds, (double)errors / count, Quantile(steps, count, 0.95), count);
        }

        private static TimeSpan Quantile(long[] steps, long count, double quantile)
        {
            var rank = (long)Math.Ceiling(count * quantile);
            var step = 0;
            while ((rank -= steps[step]) > 0)
            {
                step++;
            }

            return TimeSpan.FromMicroseconds(Math.Exp((step + 0.5) * Step));
        }
    }
}
