using Microsoft.AspNetCore.Components;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard.Pages;

public sealed partial class StructuredLogs
{
    private const int PageSize = 200;

    private static readonly (int Least, string Name)[] Levels =
        [(0, "All"), (5, "Debug"), (9, "Information"), (13, "Warning"), (17, "Error"), (21, "Critical")];

    private int _take = PageSize;
    private Page<TelemetryLog> _page = new([], 0);
    private IReadOnlyList<string> _resources = [];
    private IReadOnlyList<string> _fields = [];
    private TelemetryLog? _chosen;

    [SupplyParameterFromQuery]
    public string? Resource { get; set; }

    [SupplyParameterFromQuery]
    public int Level { get; set; }

    [SupplyParameterFromQuery]
    public string? Text { get; set; }

    [SupplyParameterFromQuery]
    public string[]? Filter { get; set; }

    [SupplyParameterFromQuery]
    public string? Trace { get; set; }

    [SupplyParameterFromQuery]
    public string? Span { get; set; }

    [SupplyParameterFromQuery]
    public long? Log { get; set; }

    protected override TelemetrySignals Signals => TelemetrySignals.Logs;

    private bool IsFiltered => Level > 0 || !string.IsNullOrEmpty(Resource) || !string.IsNullOrEmpty(Text) || Filter?.Length > 0 || Trace is not null;

    protected override void Read()
    {
        _page = Store.Logs(new LogQuery
        {
            MinSeverity = Level,
            Resource = string.IsNullOrEmpty(Resource) ? null : Resource,
            Text = Text,
            Filters = FilterText.Active(Filter),
            TraceId = Telemetry.TraceId.TryParse(Trace, out var trace) ? trace : null,
            SpanId = Telemetry.SpanId.TryParse(Span, out var span) ? span : null,
            Take = _take,
        });
        _resources = [.. Store.Resources.Select(resource => resource.Name).Distinct()];
        _fields = [.. _page.Items.SelectMany(log => log.Attributes).Select(attribute => attribute.Key).Distinct().Order(StringComparer.Ordinal)
            .Concat(["message", "severity", "category", "event", "trace_id", "span_id"])];

        // One that has been chosen stays in view when newer ones push it off the list.
        _chosen = Log is not { } id ? null
            : _page.Items.FirstOrDefault(log => log.Id == id) ?? (_chosen?.Id == id ? _chosen : Store.Logs(new LogQuery { Take = int.MaxValue }).Items.FirstOrDefault(log => log.Id == id));
    }

    private void More()
    {
        _take += PageSize;
        Read();
    }
}
