using System.ComponentModel.DataAnnotations;

namespace MobileServices.Configuration;

/// <summary>Section <c>Configuration</c>.</summary>
internal sealed class ConfigurationOptions
{
    /// <summary>How often a replica looks for changes although the database tells of none.</summary>
    [Range(1, 3600, ErrorMessage = "Configuration:PollSeconds must be from 1 to 3600.")]
    public int PollSeconds { get; init; } = 30;

    /// <summary>How many flags an app may have: every replica keeps all of them in memory.</summary>
    [Range(1, 10_000, ErrorMessage = "Configuration:MostFlags must be from 1 to 10000.")]
    public int MostFlags { get; init; } = 1000;

    /// <summary>How many streams of changes a replica holds; one more is answered with 503.</summary>
    [Range(1, 1_000_000, ErrorMessage = "Configuration:MostStreams must be from 1 to 1000000.")]
    public int MostStreams { get; init; } = 20_000;

    /// <summary>After how long without a change a stream says that it is alive.</summary>
    [Range(1, 300, ErrorMessage = "Configuration:HeartbeatSeconds must be from 1 to 300.")]
    public int HeartbeatSeconds { get; init; } = 15;
}
