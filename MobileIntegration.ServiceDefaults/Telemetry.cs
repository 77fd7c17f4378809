using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MobileIntegration.Contracts;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace MobileIntegration.ServiceDefaults;

internal static class Telemetry
{
    /// <summary>
    /// Logs, metrics and traces. Database clients add their own sources when registered; a slice's meters and sources are taken
    /// when their names start with <c>mobile.</c>.
    /// </summary>
    public static void AddTelemetry(this IHostApplicationBuilder builder)
    {
        // A line a request, a statement or a step of a connection says nothing that its trace does not; a service's configuration may ask for them.
        foreach (var category in (string[])["Microsoft.AspNetCore", "System.Net.Http.HttpClient", "Npgsql", "StackExchange.Redis"])
        {
            builder.Configuration[$"Logging:LogLevel:{category}"] ??= "Warning";
        }
        // An attempt that is made again is counted by Polly's meter; what fails in the end is told by who asked. A breaker that opens is an error.
        builder.Configuration["Logging:LogLevel:Polly"] ??= "Error";
        builder.Logging.AddOpenTelemetry(logging =>
        {
            logging.IncludeFormattedMessage = true;
            logging.IncludeScopes = true;
        });
        var telemetry = builder.Services.AddOpenTelemetry()
            .WithMetrics(metrics => metrics
                .AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation()
                .AddRuntimeInstrumentation()
                .AddMeter("Polly", "mobile.*"))
            .WithTracing(traces => traces
                .AddSource(builder.Environment.ApplicationName, "mobile.*")
                .AddAspNetCoreInstrumentation(options => options.Filter = context => !IsRoutine(context.Request.Path))
                .AddHttpClientInstrumentation(options => options.FilterHttpRequestMessage = request => !IsRoutine(request.RequestUri?.AbsolutePath)));
        if (!string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
        {
            telemetry.UseOtlpExporter();
        }
    }

    /// <summary>What processes ask one another every second, whatever happens.</summary>
    private static bool IsRoutine(string? path) => path is "/health" or "/alive" or AppRuleSet.Path or Revocations.FullPath;
}
