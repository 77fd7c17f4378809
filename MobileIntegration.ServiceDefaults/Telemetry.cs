using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
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
        // A line a request or a statement says nothing that its trace does not; a service's configuration may ask for them.
        foreach (var category in (string[])["Microsoft.AspNetCore", "System.Net.Http.HttpClient", "Npgsql", "Polly"])
        {
            builder.Configuration[$"Logging:LogLevel:{category}"] ??= "Warning";
        }
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
                .AddAspNetCoreInstrumentation(options => options.Filter = context =>
                    !context.Request.Path.StartsWithSegments("/health") && !context.Request.Path.StartsWithSegments("/alive"))
                .AddHttpClientInstrumentation());
        if (!string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
        {
            telemetry.UseOtlpExporter();
        }
    }
}
