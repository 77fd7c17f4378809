using System.ComponentModel.DataAnnotations;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>What of the telemetry is kept in files, one a run. Section <c>Dashboard:TelemetryRecording</c>.</summary>
public sealed class TelemetryRecording
{
    public const string Section = "Dashboard:TelemetryRecording";

    /// <summary>How many runs are kept, this one included; older ones are deleted. 0 records nothing, and keeps what is there.</summary>
    [Range(0, 10_000)]
    public int MaxRuns { get; set; } = 10;

    /// <summary>
    /// Bytes of compressed telemetry of a run; the oldest goes first. So does what the memory could not hold anyway (<see cref="TelemetryLimits"/>).
    /// The file has some per cent more, and a log of at most about 16 MB beside it while it is written.
    /// </summary>
    [Range(1_000_000, long.MaxValue)]
    public long MaxRunBytes { get; set; } = 64_000_000;

    /// <summary>Spans, log records and points that may wait to be written; what comes beyond them is not recorded.</summary>
    [Range(1, 10_000_000)]
    public int MaxWaiting { get; set; } = 100_000;
}

/// <summary>A run whose telemetry is kept.</summary>
/// <param name="Ended">When it ended; of one that was killed, when the last telemetry was written; null if it has not ended.</param>
/// <param name="Spans">How many the file has.</param>
/// <param name="Unrecorded">Not in the file, as it could not be written, or not as fast as they came.</param>
/// <param name="Bytes">Of the file.</param>
/// <param name="IsCurrent">It is this run.</param>
/// <param name="Problem">Why its file cannot be read; null if it can.</param>
public sealed record TelemetryRun(
    string Id, DateTimeOffset Started, DateTimeOffset? Ended, long Spans, long Logs, long Points, long Unrecorded, long Bytes, bool IsCurrent, string? Problem = null);

/// <summary>Telemetry cannot be read; the message says why.</summary>
public sealed class TelemetryException : Exception
{
    public TelemetryException()
    {
    }

    public TelemetryException(string message)
        : base(message)
    {
    }

    public TelemetryException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
