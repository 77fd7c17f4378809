using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;
using Polly;
using Polly.CircuitBreaker;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Health;
using Yarp.ReverseProxy.Model;

namespace Gateway;

/// <summary>YARP's clients with a circuit breaker for every destination of a service. The answer's status counts, not what comes after it.</summary>
internal sealed class BreakerClients(
    IOptions<UpstreamOptions> options, IHttpContextAccessor accessor, TimeProvider time, ILogger<BreakerClients> logger) : ForwarderHttpClientFactory(logger)
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(10);
    private readonly ConcurrentDictionary<(string Service, string Destination), ResiliencePipeline<HttpResponseMessage>> _breakers = new();

    protected override HttpMessageHandler WrapHandler(ForwarderHttpClientContext context, HttpMessageHandler handler) =>
        new BreakerHandler(this, context.ClusterId, base.WrapHandler(context, handler));

    private ResiliencePipeline<HttpResponseMessage> Of(string service, string destination) => _breakers.GetOrAdd((service, destination), key =>
        new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time }
            .AddCircuitBreaker(new()
            {
                SamplingDuration = Window,
                MinimumThroughput = options.Value.BreakerCalls,
                FailureRatio = options.Value.BreakerPercent / 100.0,
                BreakDuration = TimeSpan.FromSeconds(options.Value.BreakerSeconds),
                ShouldHandle = attempt => ValueTask.FromResult(IsFailure(attempt.Outcome)),
                OnOpened = _ => Tell("{Service} at {Destination} fails too often and is left alone for a moment", key),
                OnClosed = _ => Tell("{Service} at {Destination} is called again", key),
            })
            .Build());

    private ValueTask Tell(string message, (string Service, string Destination) key)
    {
#pragma warning disable CA2254 // Both are constants of this class.
        logger.LogWarning(message, key.Service, key.Destination);
#pragma warning restore CA2254
        return ValueTask.CompletedTask;
    }

    private bool IsFailure(Outcome<HttpResponseMessage> outcome) => outcome switch
    {
        { Result.StatusCode: var status } => (int)status is 502 or 503 or 504,
        { Exception: OperationCanceledException } => IsTimeOut(),
        { Exception: { } exception } => exception is HttpRequestException or IOException,
        _ => false,
    };

    /// <summary>That the client went away is no fault of the service.</summary>
    private bool IsTimeOut() => accessor.HttpContext is { } context
        && (!context.RequestAborted.IsCancellationRequested
            || context.Features.Get<IHttpRequestTimeoutFeature>()?.RequestTimeoutToken.IsCancellationRequested is true);

    private sealed class BreakerHandler(BreakerClients breakers, string service, HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            // By outcome, which costs half of what the same costs by exception.
            var context = ResilienceContextPool.Shared.Get(continueOnCapturedContext: false, cancellationToken);
            try
            {
                var outcome = await breakers.Of(service, request.RequestUri!.Authority).ExecuteOutcomeAsync(
                    static async (context, call) =>
                    {
                        try
                        {
                            return Outcome.FromResult(await call.Handler.ForwardAsync(call.Request, context.CancellationToken));
                        }
                        catch (Exception exception)
                        {
                            return Outcome.FromException<HttpResponseMessage>(exception);
                        }
                    }, context, (Handler: this, Request: request));
                outcome.ThrowIfException();
                return outcome.Result!;
            }
            finally
            {
                ResilienceContextPool.Shared.Return(context);
            }
        }

        private Task<HttpResponseMessage> ForwardAsync(HttpRequestMessage request, CancellationToken ct) => base.SendAsync(request, ct);
    }
}

/// <summary>A destination that cannot be reached is left out at once, and comes back when it answers or after a while.</summary>
internal sealed class Aside(IDestinationHealthUpdater health, IOptions<UpstreamOptions> options) : IPassiveHealthCheckPolicy
{
    public const string PolicyName = "Aside";

    public string Name => PolicyName;

    public void RequestProxied(HttpContext context, ClusterState cluster, DestinationState destination)
    {
        var error = context.Features.Get<IForwarderErrorFeature>();
        if (error is { Error: ForwarderError.Request, Exception: not BrokenCircuitException })
        {
            health.SetPassive(cluster, destination, DestinationHealth.Unhealthy, TimeSpan.FromSeconds(options.Value.AsideSeconds));
        }
        else if (error is null && destination.Health.Passive is DestinationHealth.Unhealthy)
        {
            health.SetPassive(cluster, destination, DestinationHealth.Healthy, TimeSpan.Zero);
        }
    }
}
