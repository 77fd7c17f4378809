using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace IntegrationServices.Commands;

/// <summary>
/// Takes commands that are due, as many at a time as it may, whichever replica accepted them. It sleeps until a notification, the end of one of its
/// own, or the time of the next retry.
/// </summary>
internal sealed class CommandWorker(
    CommandStore store, CommandSaga saga, NpgsqlDataSource database, IOptions<CommandsOptions> options, TimeProvider time, ILogger<CommandWorker> logger)
    : BackgroundService
{
    private static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ShortestSleep = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan PruneEvery = TimeSpan.FromHours(1);

    private readonly Bell _bell = new(time);
    private readonly List<Task> _running = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.WhenAll(
            SurviveAsync(ListenAsync), SurviveAsync(RenewAsync), SurviveAsync(PruneAsync), SurviveAsync(WorkAsync));

        Task SurviveAsync(Func<CancellationToken, Task> loop) => logger.SurviveAsync("Commands cannot be worked on now", loop, time, stoppingToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await Task.WhenAll(_running).WaitAsync(cancellationToken);
        try
        {
            await store.ReleaseAsync(saga.Worker, cancellationToken);
        }
        catch (ObjectDisposedException)
        {
            // It had stopped before, and has given them back.
        }
        catch (NpgsqlException exception)
        {
            logger.LogWarning(exception, "The commands under way could not be given back; others take them over in {Lease}", options.Value.Lease);
        }
    }

    private async Task WorkAsync(CancellationToken ct)
    {
        while (true)
        {
            _running.RemoveAll(task => task.IsCompleted);
            var free = options.Value.Concurrency - _running.Count;
            var began = time.GetTimestamp();
            var claimed = free > 0 ? await store.ClaimAsync(saga.Worker, saga.Kinds, free, ct) : [];
            _running.AddRange(claimed.Select(command => Task.Run(() => ProcessAsync(command, ct), CancellationToken.None)));
            var sleep = claimed.Count == free ? LongestSleep : await store.NextDueAsync(saga.Kinds, time.GetElapsedTime(began), ct) ?? LongestSleep;
            await _bell.WaitAsync(sleep < ShortestSleep ? ShortestSleep : sleep > LongestSleep ? LongestSleep : sleep, ct);
        }
    }

    private async Task ProcessAsync(Command command, CancellationToken ct)
    {
        try
        {
            await saga.ProcessAsync(command, ct);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            // What a step did is not written down: it runs again when the lease is over, and has its effect once.
            logger.LogError(exception, "The command {Command} cannot go on now", command.Id);
        }
        catch (OperationCanceledException)
        {
            // This process stops, and gives back what it holds.
        }
        finally
        {
            _bell.Ring();
        }
    }

    private async Task ListenAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        connection.Notification += (_, _) => _bell.Ring();
        await using (var listen = new NpgsqlCommand($"listen {CommandStore.Channel}", connection))
        {
            await listen.ExecuteNonQueryAsync(ct);
        }
        _bell.Ring();
        while (true)
        {
            await connection.WaitAsync(ct);
        }
    }

    private async Task RenewAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(options.Value.Lease / 3, time);
        while (await timer.WaitForNextTickAsync(ct))
        {
            await store.RenewAsync(saga.Worker, ct);
        }
    }

    private async Task PruneAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(PruneEvery, time);
        do
        {
            while (await store.PruneAsync(ct) > 0)
            {
            }
        }
        while (await timer.WaitForNextTickAsync(ct));
    }
}
