using System.Globalization;
using Microsoft.AspNetCore.Components;
using Microsoft.JSInterop;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Dashboard.Pages;

public sealed partial class ConsoleLogs
{
    private List<ConsoleLine> _lines = [];
    private IReadOnlyList<(ResourceEvent Item, int Depth)> _resources = [];
    private ResourceEvent? _chosen;
    private ConsoleFeed _feed = null!;
    private string? _fed;
    private ElementReference _console;
    private bool _paused;
    private bool _withTimes = true;
    private bool _utc;

    [Parameter]
    public string? Resource { get; set; }

    [SupplyParameterFromQuery]
    public string? Text { get; set; }

    protected override bool ShowsResources => true;

    protected override IAsyncEnumerable<bool>? OwnChanges(CancellationToken ct) => _feed.Changes(ct);

    protected override void OnInitialized() => _feed = new ConsoleFeed(Loggers);

    protected override async Task OnParametersSetAsync()
    {
        if (_fed != (Resource ?? ""))
        {
            var resource = _fed = Resource ?? "";
            _paused = false;
            await _feed.BeginAsync(resource.Length == 0 ? Board.Tree().Select(row => row.Item.ResourceId) : [resource], id => resource.Length == 0 || id == resource);
            Read();
        }
    }

    protected override void Read()
    {
        _resources = Board.Tree();
        _chosen = string.IsNullOrEmpty(Resource) ? null : Board.Find(Resource);
        _feed.Take();
        if (!_paused)
        {
            _lines = string.IsNullOrEmpty(Text) ? _feed.Lines : _feed.Lines.FindAll(line => line.Text.Contains(Text, StringComparison.OrdinalIgnoreCase));
        }
    }

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (!_paused)
        {
            try
            {
                await Script.InvokeVoidAsync("dashboard.follow", _console);
            }
            catch (JSDisconnectedException)
            {
                // The page was left.
            }
        }
    }

    protected override void Dispose(bool disposing)
    {
        _feed.Dispose();
        base.Dispose(disposing);
    }

    private void Pause()
    {
        _paused = !_paused;
        _lines = [.. _lines];
        Read();
    }

    private void Clear()
    {
        _feed.Lines.Clear();
        Read();
    }

    private string Time(ConsoleLine line) => !_utc && DateTimeOffset.TryParse(line.Time, CultureInfo.InvariantCulture, out var time)
        ? Formats.Time(time)
        : line.Time;
}
