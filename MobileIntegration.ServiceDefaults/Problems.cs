using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using JsonOptions = Microsoft.AspNetCore.Http.Json.JsonOptions;

namespace MobileIntegration.ServiceDefaults;

internal static class Problems
{
    /// <summary>Every error as problem+json (RFC 9457): status, what was wrong, how to mend it, and the trace to look for.</summary>
    public static void AddProblems(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<IProblemDetailsWriter, ProblemWriter>();
        services.AddProblemDetails();
        services.AddExceptionHandler<ProblemExceptionHandler>();
        // A handled exception is not logged by default, and in Development every exception is handled below.
        services.Configure<ExceptionHandlerOptions>(options =>
            options.SuppressDiagnosticsCallback = context => context.Exception is BadHttpRequestException);
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.ConfigureHttpJsonOptions(options =>
            options.SerializerOptions.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false)));

        services.AddOptions<ServiceLimits>().BindConfiguration("Limits").ValidateDataAnnotations().ValidateOnStart();
        services.AddRequestTimeouts();
        services.AddOptions<Microsoft.AspNetCore.Http.Timeouts.RequestTimeoutOptions>()
            .Configure<IOptions<ServiceLimits>>((options, limits) => options.DefaultPolicy = new()
            {
                Timeout = TimeSpan.FromSeconds(limits.Value.RequestSeconds),
                TimeoutStatusCode = StatusCodes.Status504GatewayTimeout,
            });
        services.AddOptions<Microsoft.AspNetCore.Server.Kestrel.Core.KestrelServerOptions>()
            .Configure<IOptions<ServiceLimits>>((options, limits) => options.Limits.MaxRequestBodySize = limits.Value.BodyBytes);
    }
}

/// <summary>Writes every problem, whatever the request accepts: an error in an unexpected format is better than an empty one.</summary>
internal sealed class ProblemWriter(IOptions<JsonOptions> json) : IProblemDetailsWriter
{
    public bool CanWrite(ProblemDetailsContext context) => true;

    public ValueTask WriteAsync(ProblemDetailsContext context)
    {
        var http = context.HttpContext;
        var problem = context.ProblemDetails;
        problem.Status ??= http.Response.StatusCode;
        problem.Title ??= ReasonPhrases.GetReasonPhrase(problem.Status.Value);
        problem.Detail ??= Describe(problem.Status.Value, http);
        problem.Extensions["traceId"] = Activity.Current?.TraceId.ToString() ?? http.TraceIdentifier;
        http.Response.StatusCode = problem.Status.Value;
        return new(http.Response.WriteAsJsonAsync(
            problem, problem.GetType(), json.Value.SerializerOptions, "application/problem+json", http.RequestAborted));
    }

    private static string Describe(int status, HttpContext http) => status switch
    {
        StatusCodes.Status401Unauthorized => "The request carries no valid credentials. Send an access token.",
        StatusCodes.Status403Forbidden => "The credentials do not allow this.",
        StatusCodes.Status404NotFound => "Nothing is here. Check the path.",
        StatusCodes.Status405MethodNotAllowed =>
            $"{http.Request.Method} is not possible here. Allowed: {http.Response.Headers.Allow}.",
        StatusCodes.Status413PayloadTooLarge => "The body is larger than this service takes. Send less at a time.",
        StatusCodes.Status415UnsupportedMediaType => "The body's media type is not understood. Send application/json.",
        StatusCodes.Status500InternalServerError => "The service failed. Try again later; if it stays, report the traceId.",
        StatusCodes.Status502BadGateway => "A service behind this one could not be reached or answered nonsense. Try again later.",
        StatusCodes.Status503ServiceUnavailable => "The service cannot answer now. Try again later.",
        StatusCodes.Status504GatewayTimeout => "The answer took too long. Try again later.",
        _ => $"The request cannot be answered ({status} {ReasonPhrases.GetReasonPhrase(status)}).",
    };
}

/// <summary>Requests that could not be read are the caller's fault and say why; anything else is ours and says nothing outside Development.</summary>
internal sealed class ProblemExceptionHandler(IProblemDetailsService problems, IHostEnvironment environment) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        ProblemDetails problem;
        if (exception is BadHttpRequestException unreadable)
        {
            problem = new() { Status = unreadable.StatusCode };
            if (unreadable.StatusCode is not StatusCodes.Status413PayloadTooLarge)
            {
                problem.Detail = exception.InnerException is JsonException syntax ? $"{exception.Message} {syntax.Message}" : exception.Message;
            }
        }
        else if (environment.IsDevelopment())
        {
            problem = new() { Status = StatusCodes.Status500InternalServerError, Detail = exception.Message };
            problem.Extensions["exception"] = exception.ToString();
        }
        else
        {
            return false;
        }
        httpContext.Response.StatusCode = problem.Status.Value;
        return await problems.TryWriteAsync(new() { HttpContext = httpContext, ProblemDetails = problem, Exception = exception });
    }
}
