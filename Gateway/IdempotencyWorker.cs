namespace Gateway;

/// <summary>Removes answers that are kept no longer, once a minute.</summary>
internal sealed class IdempotencyWorker(IdempotencyStore store, TimeProvider time, ILogger<IdempotencyWorker> logger) : BackgroundService
{
    private static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Pause, time);
        while (await NextAsync(timer, stoppingToken))
        {
            try
            {
                await store.RemoveExpiredAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("Answers that are kept no longer could not be removed, and wait for the next minute: {Reason}", exception.Message);
            }
        }
    }

    private static async Task<bool> NextAsync(PeriodicTimer timer, CancellationToken stopping)
    {
        try
        {
            return await timer.WaitForNextTickAsync(stopping);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
