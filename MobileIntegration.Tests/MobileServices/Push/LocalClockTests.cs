using MobileServices.Push.Deliveries;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Times of the day on days with 23 and 25 hours too.</summary>
public sealed class LocalClockTests
{
    /// <summary>A year, in steps of some minutes, with hours that lie in, over and around the changes of the clocks; against a clock that is watched minute by minute.</summary>
    [Theory]
    [InlineData("Europe/Vienna", "22:00", "07:00")]
    [InlineData("Europe/Vienna", "02:15", "02:45")]
    [InlineData("Europe/Vienna", "23:30", "02:30")]
    [InlineData("Europe/Vienna", "02:30", "03:00")]
    [InlineData("Europe/Vienna", "02:59", "01:30")]
    [InlineData("America/New_York", "00:00", "01:30")]
    [InlineData("America/New_York", "21:00", "08:30")]
    [InlineData("Australia/Lord_Howe", "01:45", "02:00")]
    [InlineData("America/Sao_Paulo", "23:00", "06:00")]
    [InlineData("Asia/Kathmandu", "12:00", "13:00")]
    [InlineData("UTC", "00:00", "23:59")]
    public void A_year_of_quiet_hours_ends_each_time_when_the_users_clock_says_so(string zoneId, string fromText, string untilText)
    {
        var zone = TimeZoneInfo.FindSystemTimeZoneById(zoneId);
        var (from, until) = (TimeOnly.Parse(fromText), TimeOnly.Parse(untilText));
        var begin = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        const int Minutes = 367 * 24 * 60;
        // From the end to the beginning: when it is next not quiet.
        var free = new int[Minutes];
        var next = Minutes;
        for (var minute = Minutes - 1; minute >= 0; minute--)
        {
            var local = TimeOnly.FromDateTime(TimeZoneInfo.ConvertTime(begin.AddMinutes(minute), zone).DateTime);
            var isQuiet = from < until ? local >= from && local < until : local >= from || local < until;
            next = isQuiet ? next : minute;
            free[minute] = next;
        }

        var held = 0;
        for (var minute = 0; minute < 365 * 24 * 60; minute += minute % (24 * 60) < 5 * 60 ? 1 : 7)
        {
            var expected = free[minute] == minute ? (DateTimeOffset?)null : begin.AddMinutes(free[minute]);
            var actual = LocalClock.QuietUntil(from, until, zone, begin.AddMinutes(minute));
            Assert.True(expected == actual, $"{begin.AddMinutes(minute):u}: {actual:u} instead of {expected:u}");
            held += expected is null ? 0 : 1;
        }
        Assert.True(held > 500, $"{held} were quiet");
    }

    [Theory]
    [InlineData("2026-03-29T01:59:59", "2026-03-29T00:59:59Z")]
    [InlineData("2026-03-29T02:30:00", "2026-03-29T01:00:00Z")]
    [InlineData("2026-03-29T03:00:00", "2026-03-29T01:00:00Z")]
    [InlineData("2026-10-25T02:30:00", "2026-10-25T00:30:00Z")]
    [InlineData("2026-10-25T03:00:00", "2026-10-25T02:00:00Z")]
    [InlineData("2026-12-24T09:00:00", "2026-12-24T08:00:00Z")]
    public void A_local_time_is_the_first_moment_of_that_name_or_the_one_that_jumps_over_it(string local, string utc) =>
        Assert.Equal(DateTimeOffset.Parse(utc), LocalClock.ToUtc(DateTime.Parse(local), TimeZoneInfo.FindSystemTimeZoneById("Europe/Vienna")));
}
