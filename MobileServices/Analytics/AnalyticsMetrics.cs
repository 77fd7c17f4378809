using System.Diagnostics.Metrics;

namespace MobileServices.Analytics;

internal sealed class AnalyticsMetrics(IMeterFactory meters)
{
    private readonly Counter<long> _events = meters.Create("mobile.analytics").CreateCounter<long>(
        "mobile.analytics.events", "{event}", "Events by what became of them: stored, duplicate, counted");

    private readonly Counter<long> _dropped = meters.Create("mobile.analytics").CreateCounter<long>(
        "mobile.analytics.dropped", "{event}", "Events, and requests as one, that were not taken, by reason");

    private readonly Histogram<double> _step = meters.Create("mobile.analytics").CreateHistogram<double>(
        "mobile.analytics.rollup.duration", "s", "How long it took to bring a portion of events into the numbers");

    public void Stored(int events) => _events.Add(events, new KeyValuePair<string, object?>("outcome", "stored"));

    public void Counted(int events, int duplicates, TimeSpan took)
    {
        _events.Add(events, new KeyValuePair<string, object?>("outcome", "counted"));
        _events.Add(duplicates, new KeyValuePair<string, object?>("outcome", "duplicate"));
        _step.Record(took.TotalSeconds);
    }

    public void Dropped(string reason, long events) => _dropped.Add(events, new KeyValuePair<string, object?>("reason", reason));
}
