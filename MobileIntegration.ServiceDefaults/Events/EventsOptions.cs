using System.ComponentModel.DataAnnotations;

namespace MobileIntegration.ServiceDefaults.Events;

/// <summary>How subscribers of this process take events; configuration section <c>Events</c>.</summary>
public sealed class EventsOptions
{
    /// <summary>Events that one subscriber of one process handles at the same time, each of another subject; 1 to 100, 4 unless set.</summary>
    [Range(1, 100, ErrorMessage = "Events:Concurrency must be from 1 to 100.")]
    public int Concurrency { get; set; } = 4;

    /// <summary>The pause after the first failure of an event; it doubles with each; 0.01 to 60 s, 1 unless set.</summary>
    [Range(0.01, 60, ErrorMessage = "Events:FirstRetrySeconds must be from 0.01 to 60.")]
    public double FirstRetrySeconds { get; set; } = 1;

    /// <summary>The longest pause between two attempts; 0.01 to 3600 s, 300 unless set.</summary>
    [Range(0.01, 3600, ErrorMessage = "Events:LongestRetrySeconds must be from 0.01 to 3600.")]
    public double LongestRetrySeconds { get; set; } = 300;

    /// <summary>How long an event is tried before its next failure makes it a dead letter; 0.0001 to 720 h, 24 unless set. A replay begins anew.</summary>
    [Range(0.0001, 720, ErrorMessage = "Events:GiveUpHours must be from 0.0001 to 720.")]
    public double GiveUpHours { get; set; } = 24;

    /// <summary>How long events are kept that every subscriber has had; 1 to 3650 days, 30 unless set.</summary>
    [Range(1, 3650, ErrorMessage = "Events:KeepDays must be from 1 to 3650.")]
    public int KeepDays { get; set; } = 30;

    /// <summary>Half to all of the pause that is due, so that what failed together does not come back together.</summary>
    internal TimeSpan Pause(int failures, double jitter) =>
        TimeSpan.FromSeconds(Math.Min(LongestRetrySeconds, FirstRetrySeconds * Math.Pow(2, Math.Min(failures, 30))) * (0.5 + (jitter / 2)));
}
