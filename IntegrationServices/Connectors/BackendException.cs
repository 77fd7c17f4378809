using System.Globalization;
using Microsoft.AspNetCore.Diagnostics;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Connectors;

/// <summary>A backend system gave no usable answer.</summary>
internal sealed class BackendException(string system, int status, string reason, TimeSpan retryAfter, Exception? inner = null)
    : Exception($"{system} {reason}.", inner)
{
    /// <summary>How long to leave a system alone whose data somebody has to mend first.</summary>
    private static readonly TimeSpan UntilMended = TimeSpan.FromMinutes(1);

    public string System { get; } = system;

    /// <summary>502, 503 or 504.</summary>
    public int Status { get; } = status;

    public TimeSpan RetryAfter { get; } = retryAfter;

    /// <summary>The same call will fail again until somebody has mended data or a program.</summary>
    public bool NeedsMending { get; private init; }

    public static BackendException From(string system, CallFailure failure, Exception inner) =>
        new(system, failure.Status, failure.Reason, failure.RetryAfter, inner);

    /// <summary>A record that lacks what its contract promises, or holds something else.</summary>
    public static BackendException Unusable(string system, string record, string field, string what) =>
        new(system, StatusCodes.Status502BadGateway, $"answered {record} whose {field} {what}", UntilMended) { NeedsMending = true };

    /// <summary>An answer that says that the call itself is wrong.</summary>
    public static BackendException Misunderstood(string system, string reason, Exception? inner = null) =>
        new(system, StatusCodes.Status502BadGateway, reason, UntilMended, inner) { NeedsMending = true };

    /// <summary>What an HTTP status other than the expected ones means.</summary>
    public static BackendException Answered(string system, HttpResponseMessage response)
    {
        var status = (int)response.StatusCode;
        if (status is StatusCodes.Status401Unauthorized or StatusCodes.Status403Forbidden)
        {
            return new(system, StatusCodes.Status502BadGateway, $"does not take our credentials ({status}): see Backends:{system}", TimeSpan.FromSeconds(10));
        }
        return status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable
            ? new(system, StatusCodes.Status503ServiceUnavailable, $"refuses calls for now ({status})", Delay(response) ?? TimeSpan.FromSeconds(1))
            : status is StatusCodes.Status408RequestTimeout or StatusCodes.Status504GatewayTimeout
                ? new(system, StatusCodes.Status504GatewayTimeout, $"took too long ({status})", TimeSpan.FromSeconds(1))
                : new(system, StatusCodes.Status502BadGateway, $"answered {status}", Delay(response) ?? TimeSpan.FromSeconds(1));
    }

    private static TimeSpan? Delay(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date - (response.Headers.Date ?? date),
        _ => null,
    };
}

/// <summary>Answers with the status of the failure, the system's name, and Retry-After.</summary>
internal sealed class BackendExceptionHandler(IProblemDetailsService problems, ILogger<BackendExceptionHandler> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is not BackendException failure)
        {
            return false;
        }
        logger.LogWarning(failure.InnerException, "{Path}: {Failure}", httpContext.Request.Path, failure.Message);
        var seconds = Math.Max(1, (int)Math.Ceiling(failure.RetryAfter.TotalSeconds));
        httpContext.Response.StatusCode = failure.Status;
        httpContext.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        return await problems.TryWriteAsync(new()
        {
            HttpContext = httpContext,
            Exception = exception,
            ProblemDetails = new()
            {
                Status = failure.Status,
                Detail = $"{failure.Message} Try again in {seconds} s.",
                Extensions = { ["system"] = failure.System },
            },
        });
    }
}
