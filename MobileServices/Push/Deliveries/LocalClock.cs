namespace MobileServices.Push.Deliveries;

/// <summary>Times of the day where a user is, on days with 23 and 25 hours too.</summary>
internal static class LocalClock
{
    /// <returns>Until when nothing may come; null when something may now.</returns>
    public static DateTimeOffset? QuietUntil(TimeOnly from, TimeOnly until, TimeZoneInfo zone, DateTimeOffset now)
    {
        var local = TimeZoneInfo.ConvertTime(now, zone).DateTime;
        if (!IsQuiet(from, until, local))
        {
            return null;
        }
        var date = DateOnly.FromDateTime(local);
        var release = ToUtc(date.ToDateTime(until) > local ? date.ToDateTime(until) : date.AddDays(1).ToDateTime(until), zone, now);
        // A clock that is put back on the way may stand before the quiet hours again.
        if (zone.GetUtcOffset(release) != zone.GetUtcOffset(now) && Transition(zone, now, release) is var turn && !IsQuiet(from, until, TimeZoneInfo.ConvertTime(turn, zone).DateTime))
        {
            return turn;
        }
        return release;
    }

    /// <summary>When clocks in a zone show that time: the first time when they do twice, the moment they jump over it when they never do.</summary>
    public static DateTimeOffset ToUtc(DateTime local, TimeZoneInfo zone) => ToUtc(local, zone, DateTimeOffset.MinValue);

    private static DateTimeOffset ToUtc(DateTime local, TimeZoneInfo zone, DateTimeOffset after)
    {
        if (zone.IsInvalidTime(local))
        {
            var guess = new DateTimeOffset(local, TimeSpan.Zero) - zone.GetUtcOffset(local.AddHours(-4));
            return Transition(zone, guess.AddHours(-4), guess.AddHours(4));
        }
        if (zone.IsAmbiguousTime(local))
        {
            var times = zone.GetAmbiguousTimeOffsets(local).Select(offset => new DateTimeOffset(local, TimeSpan.Zero) - offset).Order().ToList();
            return times.Find(time => time > after) is { Ticks: > 0 } next ? next : times[^1];
        }
        return new DateTimeOffset(local, TimeSpan.Zero) - zone.GetUtcOffset(local);
    }

    private static bool IsQuiet(TimeOnly from, TimeOnly until, DateTime local)
    {
        var time = TimeOnly.FromDateTime(local);
        return from < until ? time >= from && time < until : time >= from || time < until;
    }

    /// <summary>The first moment with the later offset.</summary>
    private static DateTimeOffset Transition(TimeZoneInfo zone, DateTimeOffset before, DateTimeOffset after)
    {
        var offset = zone.GetUtcOffset(before);
        while (after - before > TimeSpan.FromMilliseconds(1))
        {
            var middle = before + ((after - before) / 2);
            if (zone.GetUtcOffset(middle) == offset)
            {
                before = middle;
            }
            else
            {
                after = middle;
            }
        }
        // Clocks are changed at full seconds.
        return DateTimeOffset.FromUnixTimeSeconds((long)Math.Round(after.ToUnixTimeMilliseconds() / 1000.0));
    }
}
