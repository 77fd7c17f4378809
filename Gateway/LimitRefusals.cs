using System.Collections.Concurrent;

namespace Gateway;

/// <summary>
/// Callers that are known to be over a limit: refused from memory, so that one who does not stop costs Redis nothing. At most 10,000, and none
/// for longer than 10 s, so that an operator who removes a count in Redis is heeded.
/// </summary>
internal sealed class LimitRefusals(TimeProvider time)
{
    private const int Most = 10_000;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    /// <summary>By limit as well: another plan has others.</summary>
    private readonly ConcurrentDictionary<(Limit, string), Until> _over = new();
    private int _count;
    private long _swept;

    /// <returns>Microseconds until a call passes; 0 when nothing is known.</returns>
    public long Wait(Limit limit, string key)
    {
        if (Volatile.Read(ref _count) is 0 || !_over.TryGetValue((limit, key), out var until))
        {
            return 0;
        }
        var now = time.GetTimestamp();
        if (now < until.Known)
        {
            return Math.Max(1, (long)time.GetElapsedTime(now, until.Passes).TotalMicroseconds);
        }
        Remove((limit, key), until);
        return 0;
    }

    public void Add(Limit limit, string key, long wait)
    {
        var now = time.GetTimestamp();
        if (Volatile.Read(ref _count) >= Most)
        {
            Sweep(now);
        }
        if (Volatile.Read(ref _count) >= Most)
        {
            return;
        }
        var passes = now + (long)(wait / 1e6 * time.TimestampFrequency);
        if (_over.TryAdd((limit, key), new(passes, Math.Min(passes, now + (long)(Longest.TotalSeconds * time.TimestampFrequency)))))
        {
            Interlocked.Increment(ref _count);
        }
    }

    /// <summary>Once a second at most: all of them may be in force.</summary>
    private void Sweep(long now)
    {
        var last = Volatile.Read(ref _swept);
        if (now - last < time.TimestampFrequency || Interlocked.CompareExchange(ref _swept, now, last) != last)
        {
            return;
        }
        foreach (var (key, until) in _over)
        {
            if (now >= until.Known)
            {
                Remove(key, until);
            }
        }
    }

    private void Remove((Limit, string) key, Until until)
    {
        if (_over.TryRemove(new(key, until)))
        {
            Interlocked.Decrement(ref _count);
        }
    }

    private readonly record struct Until(long Passes, long Known);
}
