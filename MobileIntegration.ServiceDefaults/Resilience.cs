using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Options;
using Polly;
using Polly.Telemetry;

namespace MobileIntegration.ServiceDefaults;

/// <summary>How the system's HTTP clients deal with services and systems that fail.</summary>
internal static class Resilience
{
    public static void AddResilience(this IHttpClientBuilder client)
    {
        // Ahead of the library's own, which then is not registered.
        client.Services.AddTransient(static services =>
        {
            var pipeline = new ResiliencePipelineBuilder();
            pipeline.ConfigureTelemetry(services.GetRequiredService<IOptions<TelemetryOptions>>().Value);
            pipeline.TelemetryListener = new TroubleOnly(pipeline.TelemetryListener!);
            return pipeline;
        });
        // What one service does is not counted against another.
        client.AddStandardResilienceHandler(SuitMobileCallers).SelectPipelineByAuthority();
    }

    /// <summary>
    /// A person waits for the answer: two quick retries of safe methods within 15 s in all, none where the server said when to come back
    /// (Retry-After goes up to the caller instead, who knows whether waiting is worth it, and layers do not multiply their attempts).
    /// </summary>
    internal static void SuitMobileCallers(HttpStandardResilienceOptions options)
    {
        options.AttemptTimeout.Timeout = TimeSpan.FromSeconds(5);
        options.TotalRequestTimeout.Timeout = TimeSpan.FromSeconds(15);
        options.Retry.MaxRetryAttempts = 2;
        options.Retry.Delay = TimeSpan.FromMilliseconds(150);
        options.Retry.ShouldRetryAfterHeader = false;
        options.Retry.ShouldHandle = static attempt => ValueTask.FromResult(
            HttpClientResiliencePredicates.IsTransient(attempt.Outcome) && attempt.Outcome.Result?.Headers.RetryAfter is null);
        options.Retry.DisableForUnsafeHttpMethods();
    }

    /// <summary>
    /// Counts retries, timeouts and breakers that open. That calls begin and end well is told by HttpClient's own metrics and spans, and need not be told
    /// here as well, several times a call.
    /// </summary>
    private sealed class TroubleOnly(TelemetryListener inner) : TelemetryListener
    {
        public override void Write<TResult, TArgs>(in TelemetryEventArguments<TResult, TArgs> args)
        {
            if (args.Event.Severity >= ResilienceEventSeverity.Warning)
            {
                inner.Write(args);
            }
        }
    }
}
