using System.ComponentModel.DataAnnotations;

namespace MobileServices.Analytics;

/// <summary>Section <c>Analytics</c>.</summary>
internal sealed class AnalyticsOptions : IValidatableObject
{
    /// <summary>How long a session survives without an event. A change holds for events that come from then on.</summary>
    [Range(1, 1440, ErrorMessage = "Analytics:SessionMinutes must be from 1 to 1440.")]
    public int SessionMinutes { get; init; } = 30;

    /// <summary>Events that happened longer ago are dropped (<c>ancient</c>).</summary>
    [Range(1, 365, ErrorMessage = "Analytics:MostAgeDays must be from 1 to 365.")]
    public int MostAgeDays { get; init; } = 30;

    /// <summary>Events that would happen later than this, after the correction of the device's clock, are dropped (<c>future</c>); those before it count as of now.</summary>
    [Range(0, 1440, ErrorMessage = "Analytics:FutureMinutes must be from 0 to 1440.")]
    public int FutureMinutes { get; init; } = 60;

    /// <summary>How long events, and what is known of single people, are kept; an app may have less or more. Totals are kept for good.</summary>
    [Range(2, 3650, ErrorMessage = "Analytics:RetentionDays must be from 2 to 3650.")]
    public int RetentionDays { get; init; } = 400;

    /// <summary>How long a message is known after it was first received, so that it is not counted again.</summary>
    [Range(2, 3650, ErrorMessage = "Analytics:DedupeDays must be from 2 to 3650.")]
    public int DedupeDays { get; init; } = 90;

    /// <summary>Groups of fewer people are not told of.</summary>
    [Range(1, 1000, ErrorMessage = "Analytics:SmallestGroup must be from 1 to 1000.")]
    public int SmallestGroup { get; init; } = 5;

    /// <summary>The longest range of a query.</summary>
    [Range(1, 3660, ErrorMessage = "Analytics:MostDays must be from 1 to 3660.")]
    public int MostDays { get; init; } = 400;

    /// <summary>After how long a query is given up, with 503.</summary>
    [Range(1, 60, ErrorMessage = "Analytics:QuerySeconds must be from 1 to 60.")]
    public int QuerySeconds { get; init; } = 10;

    /// <summary>How many megabytes of batches a replica works on at once; more are answered with 503 and Retry-After.</summary>
    [Range(1, 1024, ErrorMessage = "Analytics:MostMegabytes must be from 1 to 1024.")]
    public int MostMegabytes { get; init; } = 16;

    /// <summary>How many transactions write events at the same time.</summary>
    [Range(1, 16, ErrorMessage = "Analytics:Writers must be from 1 to 16.")]
    public int Writers { get; init; } = 2;

    /// <summary>How often a replica looks for events that are not in the numbers yet, besides its own.</summary>
    [Range(1, 3600, ErrorMessage = "Analytics:PollSeconds must be from 1 to 3600.")]
    public int PollSeconds { get; init; } = 5;

    /// <summary>How many OTLP requests of an app a replica passes on in a minute; more are answered with 429.</summary>
    [Range(1, 1_000_000, ErrorMessage = "Analytics:OtlpPerMinute must be from 1 to 1000000.")]
    public int OtlpPerMinute { get; init; } = 600;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (RetentionDays <= MostAgeDays || DedupeDays <= MostAgeDays)
        {
            yield return new("Analytics:RetentionDays and Analytics:DedupeDays must be more than Analytics:MostAgeDays: what is still taken must still be known.");
        }
    }
}
