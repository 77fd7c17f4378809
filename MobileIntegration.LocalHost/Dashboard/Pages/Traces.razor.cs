using Microsoft.AspNetCore.Components;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard.Pages;

public sealed partial class Traces
{
    private const int PageSize = 100;

    private static readonly string[] KnownFields =
    [
        "name", "kind", "status", "duration", "scope", "trace_id", "span_id", "http.request.method", "http.route", "http.response.status_code", "url.path",
        "server.address", "db.system.name", "error.type",
    ];

    private readonly string[] _fields = KnownFields;
    private int _take = PageSize;
    private Page<TraceSummary> _page = new([], 0);
    private IReadOnlyList<string> _resources = [];
    private double _longest;

    [SupplyParameterFromQuery]
    public string? Resource { get; set; }

    [SupplyParameterFromQuery]
    public string? Text { get; set; }

    /// <summary>Milliseconds.</summary>
    [SupplyParameterFromQuery]
    public double? Min { get; set; }

    [SupplyParameterFromQuery]
    public bool Errors { get; set; }

    [SupplyParameterFromQuery]
    public bool Health { get; set; }

    [SupplyParameterFromQuery]
    public string[]? Filter { get; set; }

    protected override TelemetrySignals Signals => TelemetrySignals.Traces;

    protected override void Read()
    {
        _page = Store.Traces(new TraceQuery
        {
            Resource = string.IsNullOrEmpty(Resource) ? null : Resource,
            Text = Text,
            ErrorsOnly = Errors,
            IncludeHealthChecks = Health,
            MinDuration = Min is > 0 and < 1e9 ? TimeSpan.FromMilliseconds(Min.Value) : null,
            Filters = FilterText.Active(Filter),
            Take = _take,
        });
        _longest = _page.Items.Select(trace => trace.Duration.TotalMilliseconds).DefaultIfEmpty(1).Max();
        _resources = [.. Store.Resources.Select(resource => resource.Name).Distinct()];
    }

    private double Share(TraceSummary trace) => Math.Clamp(trace.Duration.TotalMilliseconds / Math.Max(_longest, 0.001) * 100, 1, 100);

    private void More()
    {
        _take += PageSize;
        Read();
    }
}
