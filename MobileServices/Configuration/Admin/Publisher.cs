using System.Threading.Channels;

namespace MobileServices.Configuration.Admin;

/// <summary>Brings drafts into force at their time. Every replica tries; the first one does.</summary>
internal sealed class Publisher(FlagStore store, FlagSets flags, TimeProvider time, ILogger<Publisher> logger) : BackgroundService
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly Channel<bool> _told = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        flags.Told += () => _told.Writer.TryWrite(true);
        while (!stoppingToken.IsCancellationRequested)
        {
            TimeSpan patience;
            try
            {
                patience = await StepAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("Drafts that are due cannot be published now, and are tried again: {Reason}", exception.Message);
                patience = Retry;
            }
            using var deadline = new CancellationTokenSource(patience, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, deadline.Token);
            try
            {
                await _told.Reader.ReadAsync(either.Token);
            }
            catch (OperationCanceledException)
            {
                // Nothing was told.
            }
        }
    }

    /// <summary>Publishes what is due.</summary>
    /// <returns>How long nothing will be, as far as is known.</returns>
    internal async Task<TimeSpan> StepAsync(CancellationToken ct)
    {
        while (await store.NextDueAsync(ct) is { } next)
        {
            var wait = next.At - time.GetUtcNow();
            if (wait > TimeSpan.Zero)
            {
                return wait < Longest ? wait + TimeSpan.FromMilliseconds(1) : Longest;
            }
            await store.PublishDueAsync(next.AppId, next.Key, ct);
        }
        return Longest;
    }
}
