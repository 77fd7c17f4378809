using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using Polly.CircuitBreaker;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Model;
using Yarp.ReverseProxy.Transforms;

namespace Gateway;

/// <summary>
/// Sends a call that only reads to another destination when one cannot be reached or says 502 or 503, as far as the service's budget reaches. Where
/// the service says when to come back (Retry-After), the client is told so instead.
/// </summary>
internal sealed class Retries(IOptions<UpstreamOptions> options, IMeterFactory meters)
{
    public const string CounterName = "mobile.gateway.retries";
    private const int Most = 2;

    private readonly ConcurrentDictionary<string, RetryBudget> _budgets = new();
    private readonly Counter<long> _retries = meters.Create(Idempotency.MeterName).CreateCounter<long>(CounterName, "{retry}", "Retries, by service and outcome");

    public async Task InvokeAsync(HttpContext context, RequestDelegate forward)
    {
        var proxy = context.GetReverseProxyFeature();
        var service = proxy.Cluster.Config.ClusterId;
        var budget = _budgets.GetOrAdd(service, _ => new(options.Value.RetryPercent));
        budget.Called();
        if (proxy.AvailableDestinations.Count > 1 && IsSafe(context))
        {
            await TryAsync(context, proxy, forward, new(this, service, budget, proxy.AvailableDestinations));
        }
        else
        {
            await forward(context);
        }
        Tell(context);
    }

    /// <summary>An answer that is about to be copied to the client: one that a retry follows is not.</summary>
    public static ValueTask OnAnswerAsync(ResponseTransformContext answer)
    {
        if (answer.ProxyResponse is { } response && answer.HttpContext.Features.Get<Attempts>() is { } attempts
            && (int)response.StatusCode is 502 or 503 && response.Headers.RetryAfter is null && attempts.MayGoOn(answer.HttpContext) && attempts.TryTake())
        {
            attempts.Suppressed = true;
            answer.SuppressResponseBody = true;
        }
        return ValueTask.CompletedTask;
    }

    private static async Task TryAsync(HttpContext context, IReverseProxyFeature proxy, RequestDelegate forward, Attempts attempts)
    {
        var before = context.Response.Headers.ToArray();
        context.Features.Set(attempts);
        while (true)
        {
            await forward(context);
            if (context.Response.HasStarted || !(attempts.Suppressed || Failed(context, attempts)))
            {
                return;
            }
            attempts.Next(proxy.ProxiedDestination);
            proxy.AvailableDestinations = attempts.Left;
            proxy.ProxiedDestination = null;
            context.Features.Set<IForwarderErrorFeature>(null);
            Restore(context.Response, before);
        }
    }

    private static bool Failed(HttpContext context, Attempts attempts) =>
        context.Features.Get<IForwarderErrorFeature>() is { Error: ForwarderError.Request } error && attempts.MayGoOn(context)
        // A destination whose breaker is open was not called, so calling another adds nothing.
        && (error.Exception is BrokenCircuitException || attempts.TryTake());

    private static void Restore(HttpResponse response, KeyValuePair<string, StringValues>[] headers)
    {
        response.Headers.Clear();
        foreach (var (name, value) in headers)
        {
            response.Headers[name] = value;
        }
        response.StatusCode = StatusCodes.Status200OK;
    }

    private static bool IsSafe(HttpContext context) =>
        (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method) || HttpMethods.IsOptions(context.Request.Method))
        && context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true };

    /// <summary>Failures of the proxy by their causes, where it knows them as "502" only.</summary>
    private void Tell(HttpContext context)
    {
        if (context.Response.HasStarted || context.Features.Get<IForwarderErrorFeature>() is not { } error)
        {
            return;
        }
        if (error.Exception is BrokenCircuitException)
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.Headers.RetryAfter = options.Value.BreakerSeconds.ToString(CultureInfo.InvariantCulture);
        }
        else if (context.Features.Get<IHttpRequestTimeoutFeature>()?.RequestTimeoutToken.IsCancellationRequested is true)
        {
            context.Response.StatusCode = StatusCodes.Status504GatewayTimeout;
        }
    }

    private sealed class Attempts(Retries retries, string service, RetryBudget budget, IReadOnlyList<DestinationState> destinations)
    {
        private int _made;

        public IReadOnlyList<DestinationState> Left { get; private set; } = destinations;

        /// <summary>The answer was kept from the client, as a retry follows.</summary>
        public bool Suppressed { get; set; }

        public bool MayGoOn(HttpContext context) => Left.Count > 1 && _made < Most && !context.RequestAborted.IsCancellationRequested;

        public bool TryTake()
        {
            var taken = budget.TryTake();
            retries._retries.Add(1, new("service", service), new("outcome", taken ? "retried" : "no_budget"));
            return taken;
        }

        public void Next(DestinationState? failed)
        {
            _made++;
            Suppressed = false;
            Left = [.. Left.Where(destination => destination != failed)];
        }
    }
}

/// <summary>
/// How many retries the calls of a service allow: never more than a percentage of all of them, so that a service that fails altogether is not called
/// much more for it; the first few in advance, so that one that was seldom called is retried as well; and no more saved up than a moment needs.
/// </summary>
internal sealed class RetryBudget(int percent)
{
    private const long InAdvance = 10;
    private const long MostSaved = 100;

    private readonly Lock _lock = new();
    private long _earnedPercent;
    private long _taken;

    public void Called()
    {
        lock (_lock)
        {
            _earnedPercent = Math.Min(_earnedPercent + percent, 100 * (_taken + MostSaved));
        }
    }

    public bool TryTake()
    {
        lock (_lock)
        {
            if (percent is 0 || 100 * (_taken + 1) > Math.Max(100 * InAdvance, _earnedPercent))
            {
                return false;
            }
            _taken++;
            return true;
        }
    }
}
