using System.Threading.Channels;
using Microsoft.AspNetCore.Components;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>A page that renders when what it shows has changed, at most every 250 ms, and not again before the browser has shown it. What it is asked to show is in its address, so that links can be shared.</summary>
public abstract class LivePage : ComponentBase, IDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(250);
    private readonly CancellationTokenSource _closed = new();
    private TaskCompletionSource _rendered = new();

    private protected TelemetryStore Store => View.Store;

    [Inject]
    private protected DashboardView View { get; set; } = null!;

    [Inject]
    private protected NavigationManager Navigation { get; set; } = null!;

    [Inject]
    private protected ResourceBoard Board { get; set; } = null!;

    [Inject]
    private ResourceNotificationService Notifications { get; set; } = null!;

    /// <summary>The telemetry that the page shows.</summary>
    protected virtual TelemetrySignals Signals => TelemetrySignals.None;

    protected virtual bool ShowsResources => false;

    /// <summary>How often a page reads whose time window moves on even when nothing comes; null for others.</summary>
    protected virtual TimeSpan? Beat => null;

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        _closed.Cancel();
        _closed.Dispose();
    }

    /// <summary>Takes the newest data.</summary>
    protected abstract void Read();

    /// <summary>The signals of what else the page shows.</summary>
    protected virtual IAsyncEnumerable<bool>? OwnChanges(CancellationToken ct) => null;

    protected virtual Task ShownAsync() => Task.CompletedTask;

    protected override void OnParametersSet() => Read();

    protected override void OnAfterRender(bool firstRender)
    {
        if (firstRender)
        {
            _ = FollowAsync(_closed.Token);
        }

        // The browser has said that it is there.
        _rendered.TrySetResult();
    }

    /// <summary>The page's address with some of its query changed; null takes a part away.</summary>
    private protected string Link(params (string Name, object? Value)[] changes) =>
        Navigation.GetUriWithQueryParameters(changes.ToDictionary(change => char.ToLowerInvariant(change.Name[0]) + change.Name[1..], change => change.Value is "" or 0 ? null : change.Value));

    private protected void Go(params (string Name, object? Value)[] changes) => Navigation.NavigateTo(Link(changes), replace: true);

    private async Task FollowAsync(CancellationToken ct)
    {
        var changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        var sources = Task.WhenAll(
            Signals == TelemetrySignals.None ? Task.CompletedTask : PumpAsync(Store.Changes.ReadAsync(Signals, Pace, ct), changed.Writer),
            ShowsResources ? PumpAsync(Notifications.WatchAsync(ct), changed.Writer) : Task.CompletedTask,
            OwnChanges(ct) is { } own ? PumpAsync(own, changed.Writer) : Task.CompletedTask,
            Beat is { } beat ? BeatAsync(beat, changed.Writer, ct) : Task.CompletedTask);
        try
        {
            await foreach (var _ in changed.Reader.ReadAllAsync(ct))
            {
                await InvokeAsync(async () =>
                {
                    Read();
                    _rendered = new(TaskCreationOptions.RunContinuationsAsynchronously);
                    StateHasChanged();
                    await ShownAsync();
                });
                await _rendered.Task.WaitAsync(ct);
                await Task.Delay(Pace, ct);
            }
        }
        catch (OperationCanceledException)
        {
            // The page was left.
        }
        catch (Exception fault)
        {
            await DispatchExceptionAsync(fault);
        }

        await sources.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static async Task PumpAsync<T>(IAsyncEnumerable<T> source, ChannelWriter<bool> changed)
    {
        try
        {
            await foreach (var _ in source.ConfigureAwait(false))
            {
                changed.TryWrite(true);
            }
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            // Told on the page, which would otherwise look alive.
            changed.TryComplete(fault);
        }
    }

    private static async Task BeatAsync(TimeSpan beat, ChannelWriter<bool> changed, CancellationToken ct)
    {
        using var timer = new PeriodicTimer(beat);
        while (await timer.WaitForNextTickAsync(ct).ConfigureAwait(false))
        {
            changed.TryWrite(true);
        }
    }
}
