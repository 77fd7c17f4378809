using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MobileIntegration.ServiceDefaults;

namespace Microsoft.Extensions.Hosting;

/// <summary>How every service of the system runs: telemetry, health, discovery, resilience, problems, time-outs, deadlines, limits, OpenAPI.</summary>
public static class ServiceDefaultsExtensions
{
    /// <summary>Registers the defaults. Call it first, and <see cref="MapDefaultEndpoints"/> first after Build.</summary>
    public static TBuilder AddServiceDefaults<TBuilder>(this TBuilder builder) where TBuilder : IHostApplicationBuilder
    {
        builder.AddTelemetry();
        builder.AddProblems();
        builder.AddManagementPort();
        builder.AddListeningServer();

        builder.AddApiDocument();
        builder.Services.AddHealthChecks().AddCheck("self", () => HealthCheckResult.Healthy(), ["live"]);
        builder.Services.AddServiceDiscovery();
        builder.Services.AddOptions<DeadlineOptions>().BindConfiguration("Deadlines").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddTransient<DeadlinePassing>();
        var logsCalls = builder.Configuration["Logging:LogLevel:System.Net.Http.HttpClient"] is not ("Warning" or "Error" or "Critical" or "None");
        builder.Services.ConfigureHttpClientDefaults(http =>
        {
            if (!logsCalls)
            {
                // Each call has its span; a scope for every call is worth its cost only where lines are written in it.
                http.RemoveAllLoggers();
            }
            http.AddHttpMessageHandler<DeadlinePassing>();
            http.AddResilience();
            http.AddServiceDiscovery();
        });
        return builder;
    }

    /// <summary>
    /// Puts the error handling, time-outs and the check of tokens into the pipeline and maps <c>/health</c> (all checks) and <c>/alive</c> (those tagged
    /// "live"), in every environment, and <c>/openapi/v1.json</c>. With <c>Management:Port</c> set, they answer on that port only, and
    /// nothing else does there.
    /// </summary>
    public static WebApplication MapDefaultEndpoints(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        app.UseManagementPort();
        app.UseRequestTimeouts();
        app.UseOverloadProtection();
        app.UseDeadlines();
        app.UseTokenAuthentication();

        app.MapHealthChecks("/health", new() { ResponseWriter = WriteHealthAsync }).WithMetadata(ManagementEndpoint.Instance);
        app.MapHealthChecks("/alive", new() { Predicate = check => check.Tags.Contains("live"), ResponseWriter = WriteHealthAsync })
            .WithMetadata(ManagementEndpoint.Instance);
        app.MapOpenApi(ApiDocument.Path).WithMetadata(ManagementEndpoint.Instance);
        return app;
    }

    private static Task WriteHealthAsync(HttpContext context, HealthReport report)
    {
        if (report.Status is not HealthStatus.Unhealthy)
        {
            context.Response.ContentType = "text/plain";
            return context.Response.WriteAsync(report.Status.ToString());
        }
        var failing = report.Entries.Where(entry => entry.Value.Status is HealthStatus.Unhealthy).Select(entry => entry.Key);
        return TypedResults.Problem(
            $"These checks fail: {string.Join(", ", failing)}. The log of this service says why.",
            statusCode: StatusCodes.Status503ServiceUnavailable).ExecuteAsync(context);
    }
}
