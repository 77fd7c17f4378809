namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// Remembers which traces the last queries chose: pages ask the same again and again, and few traces have changed meanwhile. Holds no trace in memory.
/// </summary>
internal sealed class TraceMemo
{
    private const int Most = 8;

    private readonly Lock _lock = new();
    private readonly List<(string Query, Answers Answers)> _last = [];

    public Answers Of(TraceQuery query)
    {
        var key = string.Join(
            '\u001f', [query.Resource, query.Text, query.ErrorsOnly, query.MinDuration?.Ticks, query.IncludeHealthChecks, .. query.Filters]);
        lock (_lock)
        {
            var index = _last.FindIndex(one => one.Query == key);
            var answers = index < 0 ? new Answers() : _last[index].Answers;
            if (index >= 0 || _last.Count == Most)
            {
                _last.RemoveAt(index >= 0 ? index : Most - 1);
            }

            _last.Insert(0, (key, answers));
            return answers;
        }
    }

    public sealed class Answers
    {
        private readonly Lock _lock = new();
        private Answer[] _known = [];

        /// <summary>Moves the traces that fit to the front, in their order.</summary>
        /// <param name="traces">By number.</param>
        /// <returns>How many fit.</returns>
        public int Choose(Trace[] traces, Func<Trace, bool> fits)
        {
            lock (_lock)
            {
                var (now, before, kept) = (new Answer[traces.Length], 0, 0);
                for (var i = 0; i < traces.Length; i++)
                {
                    var trace = traces[i];
                    while (before < _known.Length && _known[before].Number < trace.Number)
                    {
                        before++;
                    }

                    // Counted before it is looked at: a span that comes meanwhile is looked at the next time.
                    var count = trace.Count;
                    now[i] = before < _known.Length && _known[before] is var known && known.Number == trace.Number && known.Count == count
                        ? known
                        : new(trace.Number, count, fits(trace));
                    if (now[i].Fits)
                    {
                        traces[kept++] = trace;
                    }
                }

                _known = now;
                return kept;
            }
        }
    }

    private readonly record struct Answer(long Number, int Count, bool Fits);
}
