using Microsoft.AspNetCore.Components;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard.Pages;

public sealed partial class Metrics
{
    private const int MostLines = 10;
    private const int DefaultMinutes = 5;

    // What tells most about a service is shown first.
    private static readonly string[] First = ["http.server.request.duration", "http.client.request.duration"];

    private static readonly (int Minutes, string Name)[] Windows =
    [
        (1, "1 minute"), (5, "5 minutes"), (15, "15 minutes"), (30, "30 minutes"), (60, "1 hour"), (180, "3 hours"), (360, "6 hours"), (720, "12 hours"),
    ];

    private string _search = "";
    private string _resource = "";
    private string _unit = "";
    private IReadOnlyList<string> _resources = [];
    private IReadOnlyList<InstrumentInfo> _instruments = [];
    private MetricChart? _chart;
    private ChartPicture? _picture;

    [SupplyParameterFromQuery]
    public string? Resource { get; set; }

    [SupplyParameterFromQuery]
    public string? Meter { get; set; }

    [SupplyParameterFromQuery]
    public string? Instrument { get; set; }

    /// <summary>Minutes.</summary>
    [SupplyParameterFromQuery]
    public int Window { get; set; }

    /// <summary>Of a histogram its count, of a sum its total.</summary>
    [SupplyParameterFromQuery]
    public bool Count { get; set; }

    [SupplyParameterFromQuery]
    public bool Split { get; set; }

    [SupplyParameterFromQuery]
    public bool Table { get; set; }

    /// <summary>The values taken of a dimension: <c>key=value</c>.</summary>
    [SupplyParameterFromQuery]
    public string[]? Dim { get; set; }

    protected override TelemetrySignals Signals => TelemetrySignals.Metrics;

    protected override TimeSpan? Beat => TimeSpan.FromSeconds(Minutes <= 5 ? 1 : 5);

    private int Minutes => Window is > 0 and <= 720 ? Window : DefaultMinutes;

    protected override void Read()
    {
        var all = Store.Instruments();
        _resources = [.. all.Select(one => one.Resource.Name).Distinct()];
        _resource = _resources.Count == 0 ? "" : _resources.FirstOrDefault(name => name == Resource) ?? _resources[0];
        _instruments = [.. all.Where(one => one.Resource.Name == _resource)];
        var chosen = _instruments.FirstOrDefault(one => one.Name == Instrument && (Meter is null || one.Meter == Meter))
            ?? First.Select(name => _instruments.FirstOrDefault(one => one.Name == name)).FirstOrDefault(one => one is not null) ?? (_instruments.Count > 0 ? _instruments[0] : null);
        _chart = chosen is null ? null : Store.Chart(new MetricQuery(_resource, chosen.Meter, chosen.Name)
        {
            Window = TimeSpan.FromMinutes(Minutes),
            Steps = 45,
            Dimensions = Parsed().ToDictionary(group => group.Key, group => (IReadOnlyCollection<string>)[.. group]),
        });
        if (_chart is not null)
        {
            var isRate = _chart.Instrument is { Type: InstrumentType.Sum, Monotonic: true } && !Count;
            _unit = _chart.Instrument.Type == InstrumentType.Histogram && Count ? "/s" : Formats.Unit(_chart.Instrument.Unit) + (isRate ? "/s" : "");
            _picture = new([.. _chart.Combined.Select(step => step.Time)], [.. Lines(_chart)], Count || Table ? [] : _chart.Exemplars);
        }
    }

    private IEnumerable<ChartLine> Lines(MetricChart chart)
    {
        Func<MetricStep, double?> value = chart.Instrument.Type switch
        {
            InstrumentType.Histogram => Count ? step => step.Rate : step => step.P99,
            InstrumentType.Sum when !Count && chart.Instrument.Monotonic => step => step.Rate,
            _ => step => step.Value,
        };
        if (Split && chart.Series.Count > 1)
        {
            return chart.Series.Select(series => (Series: series, Values: series.Steps.Select(value).ToList())).OrderByDescending(one => one.Values.Max() ?? double.MinValue)
                .Take(MostLines).Select((one, i) => new ChartLine(Name(chart, one.Series), $"hue{i}", one.Values));
        }

        return chart.Instrument.Type == InstrumentType.Histogram && !Count
            ? [Line("p50", "hue0", step => step.P50), Line("p90", "hue1", step => step.P90), Line("p99", "hue2", step => step.P99)]
            : [Line(chart.Instrument.Type == InstrumentType.Gauge || chart.Instrument.Type == InstrumentType.Sum && (Count || !chart.Instrument.Monotonic) ? "value" : "per second", "hue0", value)];

        ChartLine Line(string name, string colour, Func<MetricStep, double?> of) => new(name, colour, [.. chart.Combined.Select(of)]);
    }

    /// <summary>What tells a series from the others: attributes that are the same in all say nothing.</summary>
    private static string Name(MetricChart chart, MetricSeries series) =>
        string.Join(", ", series.Attributes.Where(attribute => chart.DimensionValues[attribute.Key].Count > 1).Select(attribute => attribute.Text)) is { Length: > 0 } name
            ? name
            : "others";

    private ILookup<string, string> Parsed() => (Dim ?? []).Select(text => text.Split('=', 2)).Where(parts => parts.Length == 2).ToLookup(parts => parts[0], parts => parts[1]);

    private List<string> Taken(string key) => [.. Parsed()[key]];

    private void Choose(string key, IReadOnlyList<string> values, string value, bool isOn)
    {
        var taken = Taken(key) is { Count: > 0 } some ? some : [.. values];
        taken.Remove(value);
        if (isOn)
        {
            taken.Add(value);
        }

        var others = (Dim ?? []).Where(text => !text.StartsWith($"{key}=", StringComparison.Ordinal));
        Go((nameof(Dim), (string[])[.. others, .. taken.Count == values.Count ? [] : taken.Select(one => $"{key}={one}")]));
    }
}
