using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MobileIntegration.Contracts;
using OpenTelemetry;
using OpenTelemetry.Context.Propagation;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace MobileIntegration.ServiceDefaults;

internal static class Telemetry
{
    /// <summary>Source and meter of HttpClient.</summary>
    private const string HttpClients = "System.Net.Http";

    /// <summary>Measured in every call, some several times, which its duration and how many are open make needless.</summary>
    private static readonly string[] Costly =
    [
        "http.client.active_requests", "http.client.open_connections", "http.client.request.time_in_queue", "aspnetcore.routing.match_attempts",
        "aspnetcore.authentication.authenticate.duration", "aspnetcore.authorization.attempts",
    ];

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
        var exports = !string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        if (exports)
        {
            // A line goes out with its trace and span in fields of their own; the scope that the host adds would say them a second time.
            builder.Logging.Configure(logging => logging.ActivityTrackingOptions = ActivityTrackingOptions.None);
        }
        builder.Logging.AddOpenTelemetry(logging =>
        {
            logging.IncludeFormattedMessage = true;
            logging.IncludeScopes = true;
        });
        // Of what comes with a call only its trace goes on; to read the rest costs every call.
        Sdk.SetDefaultTextMapPropagator(new TraceContextPropagator());
        var telemetry = builder.Services.AddOpenTelemetry()
            .WithMetrics(metrics => metrics
                .AddAspNetCoreInstrumentation()
                .AddRuntimeInstrumentation()
                .AddMeter(HttpClients, "System.Net.NameResolution", "Polly", "mobile.*")
                .AddView(instrument => Array.IndexOf(Costly, instrument.Name) < 0 ? null : MetricStreamConfiguration.Drop))
            .WithTracing(traces => traces
                // The client itself names what the conventions ask for; the instrumentation library would do all of it a second time.
                .AddSource(builder.Environment.ApplicationName, HttpClients, "mobile.*")
                .AddProcessor<WithoutRoutine>()
                .AddAspNetCoreInstrumentation(options => options.Filter = context => !IsRoutine(context.Request.Path.Value)));
        if (exports)
        {
            telemetry.UseOtlpExporter();
        }
    }

    /// <summary>What processes ask one another every second, whatever happens.</summary>
    private static bool IsRoutine(ReadOnlySpan<char> path) => path is "/health" or "/alive" or AppRuleSet.Path or Revocations.FullPath;

    private sealed class WithoutRoutine : BaseProcessor<Activity>
    {
        public override void OnEnd(Activity data)
        {
            if (data.Kind is ActivityKind.Client && data.Source.Name is HttpClients && IsRoutine(PathOf(data.GetTagItem("url.full") as string)))
            {
                data.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
            }
        }

        private static ReadOnlySpan<char> PathOf(ReadOnlySpan<char> address)
        {
            var authority = address[(address.IndexOf("://") + 3)..];
            var path = authority.IndexOf('/') is >= 0 and var begin ? authority[begin..] : "/";
            return path.IndexOf('?') is >= 0 and var query ? path[..query] : path;
        }
    }
}
