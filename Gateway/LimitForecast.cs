using MobileIntegration.ServiceDefaults;

namespace Gateway;

internal enum Outlook
{
    /// <summary>One of the limits may be near: whoever counts must be asked before the call goes on.</summary>
    Tight,

    /// <summary>None is near, but how much is left is not known well enough to be told.</summary>
    Plenty,

    /// <summary>None is near, and what is left is known.</summary>
    Known,
}

/// <summary>
/// What is left to callers, by what Redis said last and what passed here since. As long as that is more than half of every limit, a call need not
/// wait for Redis, and right after another one its answer need not either. Of at most 50,000 counts; the least used are asked for again.
/// </summary>
internal sealed class LimitForecast(TimeProvider time)
{
    /// <summary>From this capacity on, a call too much now and then does not matter.</summary>
    private const int Large = 200;
    private const int Most = 50_000;

    /// <summary>For so long, in microseconds, what other replicas have counted meanwhile may be left out of what a caller is told.</summary>
    private const long Lately = 2_000_000;

    private readonly Lock _lock = new();
    private RecentlyUsed<string, Count> _counts = new(Most);

    /// <summary>Counts the call here when the outlook is known.</summary>
    /// <param name="counts">Filled when known.</param>
    public Outlook Take(Limit[] limits, string[] keys, Span<LimitCount> counts)
    {
        var utc = time.GetUtcNow();
        var now = LimitCounts.Micros(utc);
        lock (_lock)
        {
            var outlook = Outlook.Known;
            Span<Count> there = stackalloc Count[limits.Length];
            for (var i = 0; i < limits.Length; i++)
            {
                if (limits[i].Capacity < Large)
                {
                    return Outlook.Tight;
                }
                if (!_counts.TryGet(keys[i], out there[i]))
                {
                    outlook = Outlook.Plenty;
                    continue;
                }
                counts[i] = LimitCounts.Look(limits[i], there[i].Until, there[i].Used, now, utc);
                if (counts[i].Left < limits[i].Capacity / 2)
                {
                    return Outlook.Tight;
                }
                if (now - there[i].Told is < 0 or > Lately)
                {
                    outlook = Outlook.Plenty;
                }
            }
            for (var i = 0; i < limits.Length && outlook is Outlook.Known; i++)
            {
                _counts.Set(keys[i], Of(limits[i], counts[i], now, there[i].Told, there[i].Untold + 1));
            }
            return outlook;
        }
    }

    /// <summary>What Redis says after it has counted calls.</summary>
    /// <param name="taken">How many of them were counted here before.</param>
    public void Told(Limit limit, string key, LimitCount count, int taken)
    {
        var now = LimitCounts.Micros(time.GetUtcNow());
        lock (_lock)
        {
            // Of those that passed here Redis does not know these yet.
            var ahead = Math.Max(0, (_counts.TryGet(key, out var there) ? there.Untold : 0) - taken);
            count = limit.Kind is LimitKind.Rate ? count with { Reset = count.Reset + (ahead * limit.Emission) } : count with { Left = count.Left - ahead };
            _counts.Set(key, Of(limit, count, now, now, ahead));
        }
    }

    /// <summary>Redis was asked and did not answer: what it has counted of what passed here, nobody knows.</summary>
    public void Forget()
    {
        lock (_lock)
        {
            _counts = new(Most);
        }
    }

    private static Count Of(Limit limit, LimitCount count, long now, long told, int untold) =>
        new(now + count.Reset, limit.Kind is LimitKind.Rate ? 0 : limit.Capacity - count.Left, told, untold);

    /// <param name="Until">When a rate is full again, or a quota's time ends.</param>
    /// <param name="Told">When Redis spoke last.</param>
    /// <param name="Untold">Calls that are counted here and that Redis has not answered for yet.</param>
    private readonly record struct Count(long Until, long Used, long Told, int Untold);
}
