using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <param name="Children">How many spans are below it.</param>
/// <param name="From">Where it begins, in percent of the trace.</param>
/// <param name="Part">How long it takes, in percent of the trace.</param>
/// <param name="Peer">Who was called, if that has no span of its own here.</param>
internal sealed record WaterfallRow(TelemetrySpan Span, int Depth, int Children, double From, double Part, string? Peer);

/// <summary>A trace's spans, each below the one that caused it.</summary>
internal static class Waterfall
{
    /// <param name="collapsed">Spans whose descendants are left out.</param>
    public static List<WaterfallRow> Rows(TraceDetails trace, IReadOnlySet<SpanId> collapsed, Func<TelemetrySpan, string?> resolvePeer)
    {
        var known = trace.Spans.Select(span => span.SpanId).ToHashSet();
        var children = trace.Spans.Where(span => known.Contains(span.ParentId) && span.ParentId != span.SpanId).ToLookup(span => span.ParentId);
        var whole = Math.Max(trace.Summary.Duration.TotalMilliseconds, 0.001);
        var visited = new HashSet<TelemetrySpan>();
        List<WaterfallRow> rows = [];

        // Not by recursion: a trace may be thousands of spans deep.
        var open = new Stack<(TelemetrySpan Span, int Depth, bool Shown)>();
        foreach (var root in trace.Spans.Where(span => !known.Contains(span.ParentId) || span.ParentId == span.SpanId).Reverse())
        {
            open.Push((root, 0, true));
        }

        while (open.TryPop(out var next))
        {
            var (span, depth, shown) = next;
            if (!visited.Add(span))
            {
                continue;
            }

            var below = children[span.SpanId].ToList();
            if (shown)
            {
                var from = Math.Clamp((span.Start - trace.Summary.Start).TotalMilliseconds / whole * 100, 0, 99.7);
                var part = Math.Clamp(span.Duration.TotalMilliseconds / whole * 100, 0.3, 100 - from);
                var isCall = span.Kind is SpanKind.Client or SpanKind.Producer && !below.Exists(child => child.Resource.Name != span.Resource.Name);
                rows.Add(new(span, depth, below.Count, from, part, isCall ? resolvePeer(span) ?? span.Peer : null));
            }

            for (var i = below.Count - 1; i >= 0; i--)
            {
                open.Push((below[i], depth + 1, shown && !collapsed.Contains(span.SpanId)));
            }
        }

        return rows;
    }
}
