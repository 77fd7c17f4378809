using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
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
        services.AddExceptionHandler<UnreadableRequestHandler>();
        services.AddExceptionHandler<DatabaseAwayHandler>();
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.ConfigureHttpJsonOptions(options =>
        {
            options.SerializerOptions.AllowDuplicateProperties = false;
            options.SerializerOptions.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false));
        });

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

/// <summary>
/// Writes every problem, whatever the request accepts: an error in an unexpected format is better than an empty one.
/// An unexpected exception tells of itself in Development only.
/// </summary>
internal sealed class ProblemWriter(IOptions<JsonOptions> json, IOptions<ProblemDetailsOptions> options, IHostEnvironment environment) : IProblemDetailsWriter
{
    public bool CanWrite(ProblemDetailsContext context) => true;

    public ValueTask WriteAsync(ProblemDetailsContext context)
    {
        var http = context.HttpContext;
        var problem = context.ProblemDetails;
        problem.Status ??= http.Response.StatusCode;
        problem.Title ??= ReasonPhrases.GetReasonPhrase(problem.Status.Value);
        if (environment.IsDevelopment() && context.Exception is { } exception && problem.Status is StatusCodes.Status500InternalServerError)
        {
            problem.Detail ??= exception.Message;
            problem.Extensions["exception"] = exception.ToString();
        }
        problem.Detail ??= Describe(problem.Status.Value, http);
        problem.Extensions["traceId"] = Activity.Current?.TraceId.ToString() ?? http.TraceIdentifier;
        options.Value.CustomizeProblemDetails?.Invoke(context);
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

/// <summary>Requests that could not be read are the caller's fault, and are told why.</summary>
internal sealed class UnreadableRequestHandler(IProblemDetailsService problems) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is not BadHttpRequestException unreadable)
        {
            // The JSON reader says of a charset that does not exist that the operation is invalid.
            if (exception is not InvalidOperationException { InnerException: ArgumentException } || IsKnownCharset(httpContext.Request))
            {
                return false;
            }
            unreadable = new("The body's charset is not known. Send UTF-8.", StatusCodes.Status415UnsupportedMediaType, exception);
        }
        var problem = new ProblemDetails { Status = unreadable.StatusCode };
        if (unreadable.StatusCode is not StatusCodes.Status413PayloadTooLarge)
        {
            problem.Detail = unreadable.InnerException is JsonException syntax ? $"{unreadable.Message} {syntax.Message}" : unreadable.Message;
        }
        httpContext.Response.StatusCode = unreadable.StatusCode;
        return await problems.TryWriteAsync(new() { HttpContext = httpContext, ProblemDetails = problem, Exception = exception });
    }

    private static bool IsKnownCharset(HttpRequest request)
    {
        var charset = request.GetTypedHeaders().ContentType?.Charset.Value ?? "";
        return charset.Length is 0 || Encoding.GetEncodings().Any(known => known.Name.Equals(charset.Trim('"'), StringComparison.OrdinalIgnoreCase));
    }
}

/// <summary>A database that cannot be reached, has no room or no session left, or is being stopped, is no fault of the service, and goes by.</summary>
internal sealed partial class DatabaseAwayHandler(IProblemDetailsService problems, ILogger<DatabaseAwayHandler> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (Unwrap(exception) is not { } failure || !IsPassing(failure))
        {
            return false;
        }
        Away(logger, httpContext.Request.Method, (httpContext.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText, failure.Message);
        httpContext.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        httpContext.Response.Headers.RetryAfter = "5";
        return await problems.TryWriteAsync(new()
        {
            HttpContext = httpContext,
            ProblemDetails = new()
            {
                Status = StatusCodes.Status503ServiceUnavailable,
                Detail = "The database of this service cannot be used now. Try again later; a change, with the same Idempotency-Key.",
            },
            Exception = exception,
        });
    }

    /// <summary>Entity Framework wraps it. In an exception of ours it is somebody else's database, of which that exception tells.</summary>
    private static NpgsqlException? Unwrap(Exception exception) => exception switch
    {
        NpgsqlException failure => failure,
        { InnerException: { } inner } when exception is InvalidOperationException || exception.GetType().Name is "DbUpdateException" => Unwrap(inner),
        _ => null,
    };

    private static bool IsPassing(NpgsqlException failure) =>
        failure is not PostgresException answer || answer.IsTransient || answer.SqlState.StartsWith("57P", StringComparison.Ordinal);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Route} was answered with 503, as the database cannot be used: {Reason}")]
    private static partial void Away(ILogger logger, string method, string? route, string reason);
}
