using MobileIntegration.ServiceDefaults;

namespace Gateway;

/// <summary>One limit after a call was counted, or was not. Times are in microseconds.</summary>
/// <param name="Wait">Until a call passes; none is needed when it is not positive.</param>
/// <param name="Left">Calls that pass at once from now on.</param>
/// <param name="Reset">Until all is there again.</param>
internal readonly record struct LimitCount(long Wait, long Left, long Reset);

/// <summary>
/// The counts of this replica alone, for while Redis is away. At most 50,000 are kept; beyond that those that were not used for longest begin
/// anew.
/// </summary>
internal sealed class LimitCounts(TimeProvider time)
{
    private const int Most = 50_000;
    private const long Day = 86_400_000_000;

    private readonly Lock _lock = new();
    private readonly RecentlyUsed<string, Count> _counts = new(Most);

    /// <summary>Counts the call at all limits, or at none when one refuses.</summary>
    public void Take(Limit[] limits, string[] keys, Span<LimitCount> counts)
    {
        var utc = time.GetUtcNow();
        var now = Micros(utc);
        lock (_lock)
        {
            var refused = false;
            for (var i = 0; i < limits.Length; i++)
            {
                _counts.TryGet(keys[i], out var there);
                counts[i] = Look(limits[i], there.Until, there.Used, now, utc);
                refused |= counts[i].Wait > 0;
            }
            for (var i = 0; i < limits.Length && !refused; i++)
            {
                var used = limits[i].Kind is LimitKind.Rate ? 0 : limits[i].Capacity - counts[i].Left;
                _counts.Set(keys[i], new(now + counts[i].Reset, used));
            }
        }
    }

    /// <summary>Since 1970.</summary>
    public static long Micros(DateTimeOffset utc) => (utc - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    /// <summary>As the script does it: see <see cref="LimitScript"/>.</summary>
    /// <param name="until">When a rate is full again, or a quota's time ends.</param>
    public static LimitCount Look(Limit limit, long until, long usedThen, long now, DateTimeOffset utc)
    {
        if (limit.Kind is LimitKind.Rate)
        {
            var full = Math.Max(until, now) + limit.Emission;
            var wait = full - (limit.Emission * limit.Capacity) - now;
            return wait > 0 ? new(wait, 0, full - limit.Emission - now) : new(0, -wait / limit.Emission, full - now);
        }
        var used = until > now ? usedThen : 0;
        var reset = until > now ? until - now : End(limit.Kind, now, utc) - now;
        return used >= limit.Capacity ? new(reset, 0, reset) : new(0, limit.Capacity - used - 1, reset);
    }

    private static long End(LimitKind kind, long now, DateTimeOffset utc) => kind is LimitKind.Day
        ? ((now / Day) + 1) * Day
        : NextMonth(utc, 1) * 1_000_000;

    /// <summary>In seconds since 1970.</summary>
    public static long NextMonth(DateTimeOffset utc, int months) =>
        new DateTimeOffset(utc.Year, utc.Month, 1, 0, 0, 0, TimeSpan.Zero).AddMonths(months).ToUnixTimeSeconds();

    /// <param name="Until">When a rate is full again, or a quota's time ends.</param>
    private readonly record struct Count(long Until, long Used);
}
