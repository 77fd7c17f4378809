using System.Threading.Channels;
using Microsoft.Extensions.Options;
using MobileServices.Analytics.Queries;
using Npgsql;

namespace MobileServices.Analytics.Rollups;

/// <summary>Brings stored events into the numbers. Every replica tries; a lock in the database lets one at a time.</summary>
internal sealed class RollupWorker(
    RollupStore store, RetentionStore retention, FunnelStore funnels, IOptions<AnalyticsOptions> options, AnalyticsMetrics metrics, TimeProvider time, ILogger<RollupWorker> logger)
    : BackgroundService
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RetentionPause = TimeSpan.FromHours(6);
    private static readonly TimeSpan FunnelPause = TimeSpan.FromSeconds(15);

    /// <summary>After a portion of so many events the next one does not wait for more to come.</summary>
    private const int Full = 5000;

    // Many small portions cost more than a large one.
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(500);

    private readonly Channel<bool> _told = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Says that there are events.</summary>
    public void Wake() => _told.Writer.TryWrite(true);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await RunAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("Events cannot be brought into the numbers now; they are kept, and tried again: {Reason}", exception.Message);
                await Task.Delay(Retry, time, stoppingToken);
            }
        }
    }

    private async Task RunAsync(CancellationToken ct)
    {
        await using var connection = await store.OpenAsync(ct);
        // Not at the start, which has enough to do.
        var cleanedAt = time.GetTimestamp();
        var filledAt = time.GetTimestamp();
        while (true)
        {
            if (await RollupStore.IsBehindAsync(connection, ct))
            {
                await CatchUpAsync(connection, ct);
            }
            if (time.GetElapsedTime(cleanedAt) > RetentionPause)
            {
                await retention.StepAsync(ct);
                cleanedAt = time.GetTimestamp();
            }
            if (time.GetElapsedTime(filledAt) > FunnelPause)
            {
                while (await funnels.FillAsync(ct) && !_told.Reader.TryPeek(out _))
                {
                }
                filledAt = time.GetTimestamp();
            }
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(options.Value.PollSeconds), time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, patience.Token);
            try
            {
                await _told.Reader.ReadAsync(either.Token);
                await Task.Delay(Gathering, time, ct);
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                // Nothing was told.
            }
        }
    }

    private async Task CatchUpAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        while (true)
        {
            var started = time.GetTimestamp();
            var portion = await store.StepAsync(connection, ct);
            if (portion.Batches is 0)
            {
                return;
            }
            metrics.Counted(portion.New, portion.Duplicates, time.GetElapsedTime(started));
            if (portion.New + portion.Duplicates < Full)
            {
                // Whoever stored more since has told of it.
                return;
            }
        }
    }
}
