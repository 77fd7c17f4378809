using System.Threading.Channels;
using Microsoft.Extensions.Options;
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
    private static readonly TimeSpan AfterFault = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PruneEvery = TimeSpan.FromHours(1);

    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly List<Task> _running = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.WhenAll(
            SurviveAsync(ListenAsync, stoppingToken),
            SurviveAsync(RenewAsync, stoppingToken),
            SurviveAsync(PruneAsync, stoppingToken),
            SurviveAsync(WorkAsync, stoppingToken));
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
            await SleepAsync(sleep < ShortestSleep ? ShortestSleep : sleep > LongestSleep ? LongestSleep : sleep, ct);
        }
    }

    private async Task SleepAsync(TimeSpan most, CancellationToken ct)
    {
        using var alarm = new CancellationTokenSource(most, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(alarm.Token, ct);
        try
        {
            await _wake.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Nobody woke it.
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
            _wake.Writer.TryWrite(true);
        }
    }

    private async Task ListenAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        connection.Notification += (_, _) => _wake.Writer.TryWrite(true);
        await using (var listen = new NpgsqlCommand($"listen {CommandStore.Channel}", connection))
        {
            await listen.ExecuteNonQueryAsync(ct);
        }
        _wake.Writer.TryWrite(true);
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

    private async Task SurviveAsync(Func<CancellationToken, Task> loop, CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            try
            {
                await loop(ct);
            }
            catch (Exception exception) when (!ct.IsCancellationRequested)
            {
                logger.LogError(exception, "Commands cannot be worked on now");
                await Task.Delay(AfterFault, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception)
            {
                // This process stops; what is not written down is done again.
                return;
            }
        }
    }
}
