using MobileIntegration.Contracts;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace MobileServices.Sync.Bound;

/// <summary>Works on changes and reads, several at a time; one that fails comes again later, and holds no other document up.</summary>
internal sealed class BoundWorker(
    BoundStore store, BoundOrders orders, BoundBell bell, IOptions<SyncOptions> options, TimeProvider time, ILogger<BoundWorker> logger) : BackgroundService
{
    /// <summary>How often the first loop looks by itself: what other replicas and events bring rings no bell here.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PruneEvery = TimeSpan.FromHours(1);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        [.. Enumerable.Range(0, options.Value.Integration.Concurrency).Select(loop => SurviveAsync(ct => WorkAsync(loop is 0, ct), stoppingToken)), SurviveAsync(PruneAsync, stoppingToken)]);

    private Task SurviveAsync(Func<CancellationToken, Task> loop, CancellationToken ct) => logger.SurviveAsync("Bound databases are not worked on now", loop, time, ct);

    private async Task WorkAsync(bool isFirst, CancellationToken ct)
    {
        while (true)
        {
            if (!await StepAsync(ct))
            {
                await bell.WaitAsync(isFirst ? LookEvery : LongestSleep, ct);
            }
        }
    }

    /// <returns>False when there was nothing to do.</returns>
    private async Task<bool> StepAsync(CancellationToken ct)
    {
        var change = await store.ClaimChangeAsync(ct);
        if (change is not null)
        {
            // There may be more than one can do.
            bell.Ring();
            await TryAsync(() => orders.StepAsync(change, ct), reason => store.LaterAsync(change, Pause(change.Failures), reason, ct), ct);
        }
        var read = await store.ClaimReadAsync(ct);
        if (read is not null)
        {
            bell.Ring();
            await TryAsync(() => orders.StepAsync(read, ct), reason => store.LaterAsync(read, Pause(read.Failures), reason, ct), ct);
        }
        return change is not null || read is not null;
    }

    private async Task TryAsync(Func<Task> stepAsync, Func<string, Task> laterAsync, CancellationToken ct)
    {
        try
        {
            await stepAsync();
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            var reason = exception is ProblemException problem ? $"Integration answered {problem.Problem.Status}: {problem.Message}" : $"{exception.GetType().Name}: {exception.Message}";
            logger.LogWarning(exception, "A bound database does not get on: {Reason}", reason);
            await laterAsync(reason);
        }
    }

    private TimeSpan Pause(int failures) =>
        TimeSpan.FromSeconds(Math.Min(options.Value.Integration.LongestRetrySeconds, 0.25 * Math.Pow(2, Math.Min(failures, 20))) * (1 - (Random.Shared.NextDouble() / 2)));

    private async Task PruneAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(PruneEvery, time);
        do
        {
            await store.PruneAsync(ct);
        }
        while (await timer.WaitForNextTickAsync(ct));
    }
}

/// <summary>Wakes a worker of this process; others look by themselves.</summary>
internal sealed class BoundBell(TimeProvider time) : Bell(time);
