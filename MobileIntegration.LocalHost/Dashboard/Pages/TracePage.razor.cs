using Microsoft.AspNetCore.Components;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard.Pages;

public sealed partial class TracePage
{
    private const int FirstRows = 1000;
    private static readonly double[] Scale = [0, 0.25, 0.5, 0.75, 1];
    private readonly HashSet<SpanId> _collapsed = [];
    private int _take = FirstRows;
    private TraceDetails? _trace;
    private List<WaterfallRow> _rows = [];
    private ILookup<SpanId, TelemetryLog> _logs = Array.Empty<TelemetryLog>().ToLookup(log => log.SpanId);

    [Parameter]
    public string Id { get; set; } = "";

    [SupplyParameterFromQuery]
    public string? Span { get; set; }

    protected override TelemetrySignals Signals => TelemetrySignals.Traces | TelemetrySignals.Logs;

    protected override void Read()
    {
        _trace = TraceId.TryParse(Id, out var id) ? Store.Trace(id) : null;
        _logs = (_trace?.Logs ?? []).ToLookup(log => log.SpanId);
        Arrange();
    }

    private void Arrange() => _rows = _trace is null ? [] : Waterfall.Rows(_trace, _collapsed, Board.PeerOf);

    // Of a log storm the first ones: a hundred dots in one line say no more.
    private IEnumerable<TelemetryLog> LogsOf(TelemetrySpan span) => _logs[span.SpanId].Take(100);

    private double Place(DateTimeOffset time) =>
        Math.Clamp((time - _trace!.Summary.Start).TotalMilliseconds / Math.Max(_trace.Summary.Duration.TotalMilliseconds, 0.001) * 100, 0, 100);

    private void Toggle(SpanId id)
    {
        if (!_collapsed.Remove(id))
        {
            _collapsed.Add(id);
        }

        Arrange();
    }

    private void ToggleAll()
    {
        var expand = _collapsed.Count > 0;
        _collapsed.Clear();
        if (!expand)
        {
            _collapsed.UnionWith(_rows.Where(row => row.Children > 0 && row.Depth > 0).Select(row => row.Span.SpanId));
        }

        Arrange();
    }
}
