using System.Diagnostics;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// The W3C trace context (<see href="https://www.w3.org/TR/trace-context/"/>) as two text columns of a queue row, so that the work done
/// later stands in the trace of the request that asked for it.
/// </summary>
/// <param name="Traceparent">The traceparent header's value, at most 55 characters; null when nothing was being traced.</param>
/// <param name="Tracestate">The tracestate header's value, at most 512 characters by the standard; often null.</param>
public readonly record struct TraceContext(string? Traceparent, string? Tracestate)
{
    /// <summary>What to write into the row: the context of the activity that is current now.</summary>
    public static TraceContext Current =>
        Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity ? new(activity.Id, activity.TraceStateString) : default;

    /// <summary>
    /// Starts the consumer's activity as a child of the row's context, whatever activity is current here (a worker's own loop, say).
    /// A missing or malformed context starts a new trace. Returns null when nobody listens to <paramref name="source"/>.
    /// </summary>
    /// <param name="source">The slice's source, named <c>mobile.{slice}</c>.</param>
    /// <param name="name">OpenTelemetry's messaging form: the operation, then the queue, such as <c>process push</c>.</param>
    public Activity? StartConsumer(ActivitySource source, string name)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (ActivityContext.TryParse(Traceparent, Tracestate, isRemote: true, out var parent))
        {
            return source.StartActivity(name, ActivityKind.Consumer, parent);
        }
        var surrounding = Activity.Current;
        Activity.Current = null;
        var activity = source.StartActivity(name, ActivityKind.Consumer);
        if (activity is null)
        {
            Activity.Current = surrounding;
        }
        return activity;
    }
}
