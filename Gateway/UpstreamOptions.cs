using System.ComponentModel.DataAnnotations;

namespace Gateway;

/// <summary>What the gateway does when a service fails; configuration section <c>Upstream</c>.</summary>
internal sealed class UpstreamOptions
{
    /// <summary>Retries as a percentage of a service's calls; 0 (none at all) to 50, 10 unless set.</summary>
    [Range(0, 50, ErrorMessage = "Upstream:RetryPercent must be from 0 to 50.")]
    public int RetryPercent { get; set; } = 10;

    /// <summary>Seconds between two questions for a destination's <c>/health</c>; 1 to 300, 10 unless set.</summary>
    [Range(1, 300, ErrorMessage = "Upstream:ProbeSeconds must be from 1 to 300.")]
    public int ProbeSeconds { get; set; } = 10;

    /// <summary>Seconds that a destination which could not be reached is left out while there are others; 1 to 300, 5 unless set.</summary>
    [Range(1, 300, ErrorMessage = "Upstream:AsideSeconds must be from 1 to 300.")]
    public int AsideSeconds { get; set; } = 5;

    /// <summary>The calls of a destination within 10 s below which its breaker stays closed; 2 to 1000000, 20 unless set.</summary>
    [Range(2, 1_000_000, ErrorMessage = "Upstream:BreakerCalls must be from 2 to 1000000.")]
    public int BreakerCalls { get; set; } = 20;

    /// <summary>The percentage of these that must fail for the breaker to open; 1 to 100, 50 unless set.</summary>
    [Range(1, 100, ErrorMessage = "Upstream:BreakerPercent must be from 1 to 100.")]
    public int BreakerPercent { get; set; } = 50;

    /// <summary>Seconds that a breaker stays open until one call may try again; 1 to 300, 5 unless set.</summary>
    [Range(1, 300, ErrorMessage = "Upstream:BreakerSeconds must be from 1 to 300.")]
    public int BreakerSeconds { get; set; } = 5;
}
