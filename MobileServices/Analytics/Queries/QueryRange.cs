using System.Globalization;

namespace MobileServices.Analytics.Queries;

/// <summary>Days in UTC, both ends included.</summary>
internal readonly record struct QueryRange(DateOnly From, DateOnly To)
{
    private const int UsualDays = 30;

    /// <param name="from">Such as 2030-01-31; 30 days before <paramref name="to"/> when it is left out.</param>
    /// <param name="to">Today when it is left out.</param>
    /// <param name="errors">What is wrong, when null is returned.</param>
    public static QueryRange? Read(string? from, string? to, DateOnly today, int mostDays, Dictionary<string, string[]> errors)
    {
        var end = Day(to, "to") ?? today;
        var start = Day(from, "from") ?? end.AddDays(1 - UsualDays);
        if (start > end)
        {
            errors["from"] = ["Must not be after 'to'."];
        }
        else if (end.DayNumber - start.DayNumber >= mostDays)
        {
            errors["from"] = [$"Must be at most {mostDays} days before 'to' (Analytics:MostDays)."];
        }
        return errors.Count > 0 ? null : new(start, end);

        DateOnly? Day(string? text, string name)
        {
            if (text is null)
            {
                return null;
            }
            if (DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) && day.Year is > 1970 and < 9000)
            {
                return day;
            }
            errors[name] = ["Must be a day such as 2030-01-31."];
            return null;
        }
    }
}
