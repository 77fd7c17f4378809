using System.Text.Json;
using System.Text.Json.Serialization;

namespace MobileIntegration.Contracts;

/// <summary>Problem details (RFC 9457), as every service answers errors.</summary>
/// <param name="Status">The HTTP status code.</param>
/// <param name="Title">What the status means.</param>
/// <param name="Detail">What was wrong this time, and how to mend it.</param>
public sealed record Problem(int Status, string? Title, string? Detail)
{
    /// <summary>Further members, such as <c>traceId</c> or <c>system</c>.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Extensions { get; init; }
}

/// <summary>A service answered with an error.</summary>
public sealed class ProblemException(Problem problem, TimeSpan? retryAfter) : Exception(problem.Detail ?? problem.Title)
{
    public Problem Problem { get; } = problem;

    /// <summary>How long the service asked to be left alone; null when it did not say.</summary>
    public TimeSpan? RetryAfter { get; } = retryAfter;
}
