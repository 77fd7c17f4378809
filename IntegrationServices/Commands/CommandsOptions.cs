using System.ComponentModel.DataAnnotations;

namespace IntegrationServices.Commands;

/// <summary>How commands are worked on; configuration section <c>Commands</c>.</summary>
internal sealed class CommandsOptions
{
    /// <summary>Commands that one process works on at the same time; 1 to 100, 8 unless set.</summary>
    [Range(1, 100, ErrorMessage = "Commands:Concurrency must be from 1 to 100.")]
    public int Concurrency { get; set; } = 8;

    /// <summary>How long a process may be silent before another takes its commands over; 2 to 600 s, 30 unless set.</summary>
    [Range(2, 600, ErrorMessage = "Commands:LeaseSeconds must be from 2 to 600.")]
    public double LeaseSeconds { get; set; } = 30;

    /// <summary>The pause after the first failure of a step; it doubles with each; 0.01 to 60 s, 1 unless set. A system's own Retry-After is waited for.</summary>
    [Range(0.01, 60, ErrorMessage = "Commands:FirstRetrySeconds must be from 0.01 to 60.")]
    public double FirstRetrySeconds { get; set; } = 1;

    /// <summary>The longest pause between two attempts; 0.01 to 3600 s, 300 unless set.</summary>
    [Range(0.01, 3600, ErrorMessage = "Commands:LongestRetrySeconds must be from 0.01 to 3600.")]
    public double LongestRetrySeconds { get; set; } = 300;

    /// <summary>How old a command may grow before its next failure makes it a dead letter; 0.0001 to 720 h, 24 unless set. A replay begins anew.</summary>
    [Range(0.0001, 720, ErrorMessage = "Commands:GiveUpHours must be from 0.0001 to 720.")]
    public double GiveUpHours { get; set; } = 24;

    /// <summary>How long done, refused and discarded commands are kept, and with them their idempotency keys; 1 to 3650 days, 30 unless set.</summary>
    [Range(1, 3650, ErrorMessage = "Commands:KeepDays must be from 1 to 3650.")]
    public int KeepDays { get; set; } = 30;

    public TimeSpan Lease => TimeSpan.FromSeconds(LeaseSeconds);

    /// <summary>Half to all of the pause that is due, so that what failed together does not come back together.</summary>
    public TimeSpan Pause(int failures, double jitter) =>
        TimeSpan.FromSeconds(Math.Min(LongestRetrySeconds, FirstRetrySeconds * Math.Pow(2, Math.Min(failures, 30))) * (0.5 + (jitter / 2)));
}
