using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;
using Polly;
using Polly.CircuitBreaker;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Health;
using Yarp.ReverseProxy.Model;
using Yarp.ReverseProxy.Transforms;

namespace Gateway;

/// <summary>
/// YARP's clients with a circuit breaker for every destination of a service. The answer's status counts, not what comes after it. A call that is traced has a span
/// (HTTP client semantic conventions); of others the trace goes on, and nothing else is done.
/// </summary>
internal sealed class BreakerClients(IOptions<UpstreamOptions> options, TimeProvider time, ILogger<BreakerClients> logger) : ForwarderHttpClientFactory(logger)
{
    private static readonly HttpRequestOptionsKey<HttpContext> Caller = new("caller");
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(10);
    private static readonly ActivitySource Spans = new(Idempotency.MeterName);
    private static readonly ReverseProxyPropagator Trace = new(DistributedContextPropagator.Current);

    private readonly ConcurrentDictionary<(string Service, string Destination), Breaker> _breakers = new();

    /// <summary>Whoever sends the request is to know whose it is.</summary>
    public static ValueTask OnRequestAsync(RequestTransformContext call)
    {
        call.ProxyRequest.Options.Set(Caller, call.HttpContext);
        return ValueTask.CompletedTask;
    }

    protected override void ConfigureHandler(ForwarderHttpClientContext context, SocketsHttpHandler handler)
    {
        base.ConfigureHandler(context, handler);
        // It makes a span for every call, and throws it away unless the call is traced.
        handler.ActivityHeadersPropagator = null;
    }

    protected override HttpMessageHandler WrapHandler(ForwarderHttpClientContext context, HttpMessageHandler handler) =>
        new BreakerHandler(this, context.ClusterId, base.WrapHandler(context, handler));

    private Breaker Of(string service, string destination) => _breakers.GetOrAdd((service, destination), key =>
    {
        var state = new CircuitBreakerStateProvider();
        return new(state, new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time }
            .AddCircuitBreaker(new()
            {
                SamplingDuration = Window,
                MinimumThroughput = options.Value.BreakerCalls,
                FailureRatio = options.Value.BreakerPercent / 100.0,
                BreakDuration = TimeSpan.FromSeconds(options.Value.BreakerSeconds),
                StateProvider = state,
                ShouldHandle = attempt => ValueTask.FromResult(IsFailure(attempt.Outcome)),
                OnOpened = _ => Tell("{Service} at {Destination} fails too often and is left alone for a moment", key),
                OnClosed = _ => Tell("{Service} at {Destination} is called again", key),
            })
            .Build());
    });

    private ValueTask Tell(string message, (string Service, string Destination) key)
    {
#pragma warning disable CA2254 // Both are constants of this class.
        logger.LogWarning(message, key.Service, key.Destination);
#pragma warning restore CA2254
        return ValueTask.CompletedTask;
    }

    private static bool IsFailure(Outcome<HttpResponseMessage> outcome) => outcome switch
    {
        { Result.StatusCode: var status } => (int)status is 502 or 503 or 504,
        { Exception: { } exception } => exception is HttpRequestException or IOException or OperationCanceledException,
        _ => false,
    };

    private sealed class BreakerHandler(BreakerClients breakers, string service, HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        private readonly ConditionalWeakTable<DestinationState, Breaker> _known = [];

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var parent = Activity.Current;
            using var span = parent is { Recorded: true } ? Begin(request) : null;
            if ((span ?? parent) is { } trace)
            {
                Trace.Inject(trace, request, static (request, name, value) => ((HttpRequestMessage)request!).Headers.TryAddWithoutValidation(name, value));
            }
            var breaker = BreakerOf(request);
            Outcome<HttpResponseMessage> outcome;
            if (breaker.State.CircuitState is CircuitState.Closed)
            {
                // While it lets all pass, what became of the call is told afterwards: through the pipeline each call would wait in five methods instead of one.
                outcome = await ForwardAsync(request, cancellationToken);
                if (breaker.State.CircuitState is CircuitState.Closed)
                {
                    // With its own token Polly would take a call that its client gave up for one that failed.
                    await ThroughAsync(breaker, outcome, static (_, outcome) => new(outcome), CancellationToken.None);
                }
            }
            else
            {
                outcome = await ThroughAsync(breaker, (Handler: this, Request: request), static (context, call) => call.Handler.ForwardAsync(call.Request, context.CancellationToken), cancellationToken);
            }
            if (span is not null)
            {
                End(span, outcome);
            }
            if (outcome.Exception is CallerGoneException { InnerException: { } gone })
            {
                ExceptionDispatchInfo.Throw(gone);
            }
            outcome.ThrowIfException();
            return outcome.Result!;
        }

        private static async ValueTask<Outcome<HttpResponseMessage>> ThroughAsync<TState>(
            Breaker breaker, TState state, Func<ResilienceContext, TState, ValueTask<Outcome<HttpResponseMessage>>> call, CancellationToken ct)
        {
            var context = ResilienceContextPool.Shared.Get(continueOnCapturedContext: false, ct);
            try
            {
                return await breaker.Pipeline.ExecuteOutcomeAsync(call, context, state);
            }
            finally
            {
                ResilienceContextPool.Shared.Return(context);
            }
        }

        /// <summary>By outcome, which costs half of what the same costs by exception.</summary>
        private async ValueTask<Outcome<HttpResponseMessage>> ForwardAsync(HttpRequestMessage request, CancellationToken ct)
        {
            try
            {
                return Outcome.FromResult(await base.SendAsync(request, ct));
            }
            catch (OperationCanceledException exception) when (IsGone(request))
            {
                return Outcome.FromException<HttpResponseMessage>(new CallerGoneException(exception));
            }
            catch (Exception exception)
            {
                return Outcome.FromException<HttpResponseMessage>(exception);
            }
        }

        private Breaker BreakerOf(HttpRequestMessage request)
        {
            if (!request.Options.TryGetValue(Caller, out var caller) || caller.GetReverseProxyFeature().ProxiedDestination is not { } destination)
            {
                return breakers.Of(service, request.RequestUri!.Authority);
            }
            // To take the authority out of an address for every call costs more than the breaker does.
            if (!_known.TryGetValue(destination, out var breaker))
            {
                _known.AddOrUpdate(destination, breaker = breakers.Of(service, request.RequestUri!.Authority));
            }
            return breaker;
        }

        /// <summary>That the client went away is no fault of the service; that the time was over is. Probes are judged by who makes them.</summary>
        private static bool IsGone(HttpRequestMessage request) => !request.Options.TryGetValue(Caller, out var caller)
            || (caller.RequestAborted.IsCancellationRequested && caller.Features.Get<IHttpRequestTimeoutFeature>()?.RequestTimeoutToken.IsCancellationRequested is not true);

        private static Activity? Begin(HttpRequestMessage request)
        {
            var (method, address) = (request.Method.Method, request.RequestUri!);
            return Spans.StartActivity(method, ActivityKind.Client)?.SetTag("http.request.method", method).SetTag("server.address", address.Host).SetTag("server.port", address.Port)
                // What stands in the query is nobody's business.
                .SetTag("url.full", address.Query is "" ? address.AbsoluteUri : $"{address.GetLeftPart(UriPartial.Path)}?*");
        }

        private static void End(Activity span, Outcome<HttpResponseMessage> outcome)
        {
            var error = outcome.Exception?.GetType().FullName;
            if (outcome.Result is { } answer)
            {
                var status = (int)answer.StatusCode;
                span.SetTag("http.response.status_code", status).SetTag("network.protocol.version", answer.Version.ToString(answer.Version.Major > 1 ? 1 : 2));
                error = status >= 400 ? status.ToString(CultureInfo.InvariantCulture) : null;
            }
            if (error is not null)
            {
                span.SetTag("error.type", error).SetStatus(ActivityStatusCode.Error);
            }
        }
    }

    private sealed record Breaker(CircuitBreakerStateProvider State, ResiliencePipeline<HttpResponseMessage> Pipeline);

    private sealed class CallerGoneException(OperationCanceledException gone) : Exception(gone.Message, gone);
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
