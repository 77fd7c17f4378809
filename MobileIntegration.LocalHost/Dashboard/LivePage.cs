using Microsoft.AspNetCore.Components;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>A page that reads its data anew four times a second at most, and renders only when they have changed.</summary>
public abstract class LivePage : ComponentBase, IDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(250);
    private readonly CancellationTokenSource _closed = new();

    public void Dispose()
    {
        _closed.Cancel();
        _closed.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Takes the newest data; true if what is shown differs.</summary>
    protected abstract Task<bool> ReadAsync();

    protected override void OnAfterRender(bool firstRender)
    {
        if (firstRender)
        {
            _ = FollowAsync(_closed.Token);
        }
    }

    protected override async Task OnParametersSetAsync() => await ReadAsync();

    private async Task FollowAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(Pace);
        try
        {
            while (await timer.WaitForNextTickAsync(ct))
            {
                await InvokeAsync(async () =>
                {
                    if (await ReadAsync())
                    {
                        StateHasChanged();
                    }
                });
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
    }
}
