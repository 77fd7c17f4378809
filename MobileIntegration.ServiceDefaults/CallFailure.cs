using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace MobileIntegration.ServiceDefaults;

/// <summary>Why a call to another system gave no answer, as the status to answer with in turn.</summary>
/// <param name="Status">502 for an answer that makes no sense, 503 for none, 504 for one that took too long.</param>
/// <param name="Reason">Completes a sentence that starts with the system's name, such as "took too long".</param>
/// <param name="RetryAfter">When trying again may be worth it.</param>
public readonly record struct CallFailure(int Status, string Reason, TimeSpan RetryAfter)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Recognises what HttpClient and its resilience throw. Null for an exception that is not about the call, and for a cancellation
    /// (a deadline that the caller set is the caller's to recognise, see <see cref="TooLate"/>).
    /// </summary>
    public static CallFailure? From(Exception exception) => exception switch
    {
        TimeoutRejectedException or TimeoutException => TooLate,
        BrokenCircuitException => new(
            StatusCodes.Status503ServiceUnavailable, "failed too often and is left alone for a moment", TimeSpan.FromSeconds(5)),
        ExecutionRejectedException => new(StatusCodes.Status503ServiceUnavailable, "has more calls under way than it may have", Soon),
        HttpIOException or IOException => new(StatusCodes.Status502BadGateway, "broke off its answer", Soon),
        HttpRequestException { InnerException: HttpIOException or IOException } => new(StatusCodes.Status502BadGateway, "broke off its answer", Soon),
        HttpRequestException => new(StatusCodes.Status503ServiceUnavailable, "cannot be reached", Soon),
        JsonException json => new(StatusCodes.Status502BadGateway, $"answered what cannot be read: {json.Message}", TimeSpan.FromMinutes(1)),
        OperationCanceledException { InnerException: TimeoutException } => TooLate,
        _ => null,
    };

    public static CallFailure TooLate { get; } = new(StatusCodes.Status504GatewayTimeout, "took too long", Soon);
}
