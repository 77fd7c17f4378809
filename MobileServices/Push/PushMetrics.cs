using System.Diagnostics;
using System.Diagnostics.Metrics;
using MobileServices.Push.Networks;

namespace MobileServices.Push;

/// <summary>Meter and source <c>mobile.push</c>. No address and no device is in them.</summary>
internal sealed class PushMetrics(IMeterFactory meters) : IDisposable
{
    private const string Name = "mobile.push";

    private readonly ActivitySource _source = new(Name);
    private readonly Counter<long> _ended = Meter(meters).CreateCounter<long>("mobile.push.deliveries", description: "Deliveries that came to an end, by network, app and state");
    private readonly Histogram<double> _attempts = Meter(meters).CreateHistogram<double>(
        "mobile.push.attempt.duration", "s", "Requests to networks, by network, app and class of what came of them");

    private readonly Counter<long> _told = Meter(meters).CreateCounter<long>("mobile.push.webhooks", description: "Events that webhooks were told of or not, by type and state");

    public void Ended(string network, string app, string state) => _ended.Add(1, new("network", network), new("app", app), new("state", state));

    public void Attempted(string network, string app, OutcomeClass outcome, TimeSpan took) =>
        _attempts.Record(took.TotalSeconds, new("network", network), new("app", app), new("class", outcome.ToString()));

    public void Told(string type, string state) => _told.Add(1, new("type", type), new("state", state));

    /// <summary>The app and the network name the credential.</summary>
    public Activity? Start(string network, string app) =>
        _source.HasListeners() ? _source.StartActivity($"send {network}", ActivityKind.Client)?.SetTag("push.network", network).SetTag("push.app", app) : null;

    public Activity? StartFanOut(MobileIntegration.ServiceDefaults.TraceContext trace) => trace.StartConsumer(_source, "process push");

    public void Dispose() => _source.Dispose();

    private static Meter Meter(IMeterFactory meters) => meters.Create(Name);
}
