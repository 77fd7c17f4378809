using System.Text.Json.Serialization;

namespace BackendSystems.Faults;

/// <summary>How a system misbehaves; all off by default.</summary>
/// <param name="LatencyMs">Every answer waits so long; 0 to 60000 ms.</param>
/// <param name="JitterMs">And a random part of this longer; 0 to 60000 ms.</param>
/// <param name="ErrorRate">The share of calls that fail; 0 to 1.</param>
/// <param name="ErrorStatus">The HTTP status of a failing call; 429 or 500 to 599.</param>
/// <param name="Outage">Connections are cut without an answer.</param>
/// <param name="DripBytesPerSecond">How slowly bodies come; 0 is off, or 1 to 1000000.</param>
/// <param name="Seed">Makes the choice of failing calls repeatable.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record FaultSettings(
    int LatencyMs = 0, int JitterMs = 0, double ErrorRate = 0, int ErrorStatus = 503, bool Outage = false, int DripBytesPerSecond = 0, int Seed = 1)
{
    public static readonly FaultSettings Off = new();

    /// <returns>The wrong members by name, each with its range; empty when all is well.</returns>
    public Dictionary<string, string[]> Validate()
    {
        var errors = new Dictionary<string, string[]>();
        if (LatencyMs is < 0 or > 60_000)
        {
            errors["latencyMs"] = ["latencyMs must be from 0 to 60000."];
        }

        if (JitterMs is < 0 or > 60_000)
        {
            errors["jitterMs"] = ["jitterMs must be from 0 to 60000."];
        }

        if (ErrorRate is not (>= 0 and <= 1))
        {
            errors["errorRate"] = ["errorRate must be from 0 to 1."];
        }

        if (ErrorStatus is not (429 or (>= 500 and <= 599)))
        {
            errors["errorStatus"] = ["errorStatus must be 429 or from 500 to 599."];
        }

        if (DripBytesPerSecond is < 0 or > 1_000_000)
        {
            errors["dripBytesPerSecond"] = ["dripBytesPerSecond must be 0 (off) or from 1 to 1000000."];
        }

        return errors;
    }
}
