using System.Globalization;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Mvc;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices;

/// <summary>Hands on the problem of the service behind a screen, or says that it gave no answer.</summary>
internal sealed class ServiceFailures(IProblemDetailsService problems, ILogger<ServiceFailures> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        ProblemDetails problem;
        TimeSpan? retryAfter;
        if (exception is ProblemException { Problem: var known } answered)
        {
            problem = new() { Status = known.Status, Title = known.Title, Detail = known.Detail };
            foreach (var (name, value) in known.Extensions?.Where(extension => extension.Key is not ("traceId" or "type")) ?? [])
            {
                problem.Extensions[name] = value;
            }
            retryAfter = answered.RetryAfter;
        }
        else if (CallFailure.From(exception) is { } failure)
        {
            logger.LogWarning(exception, "{Path}: the service behind {Failure}", httpContext.Request.Path, failure.Reason);
            problem = new() { Status = failure.Status, Detail = $"A service behind this one {failure.Reason}. Try again later." };
            retryAfter = failure.RetryAfter;
        }
        else
        {
            return false;
        }
        httpContext.Response.StatusCode = problem.Status.Value;
        if (retryAfter is { } delay)
        {
            httpContext.Response.Headers.RetryAfter = Math.Max(1, (int)Math.Ceiling(delay.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }
        return await problems.TryWriteAsync(new() { HttpContext = httpContext, Exception = exception, ProblemDetails = problem });
    }
}
