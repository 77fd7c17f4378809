using Microsoft.Extensions.Options;
using MobileServices.Push.Deliveries;
using MobileServices.Push.Messages;
using MobileServices.Push.Networks;
using MobileServices.Push.Networks.Own;
using MobileServices.Push.Webhooks;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace MobileServices.Push;

/// <summary>
/// Finds the devices of messages and sends, for each network on its own, so that a slow one keeps nobody waiting. It sleeps until PostgreSQL tells of something
/// or the next time comes.
/// </summary>
internal sealed class PushWorker(
    NpgsqlDataSource database, FanOut fanOut, IEnumerable<Sender> senders, DeliveryStore deliveries, Pruning pruning, OwnStreams streams, NetworkList networks,
    WebhookSender webhooks, ReceiptStore receipts, IOptions<PushOptions> options, TimeProvider time, ILogger<PushWorker> logger) : BackgroundService
{
    /// <summary>Of NOTIFY.</summary>
    public const string Channel = "push_due";

    private static readonly TimeSpan ShortestSleep = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan ExpireEvery = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan PruneEvery = TimeSpan.FromHours(1);

    private readonly List<Bell> _bells = [];

    private TimeSpan Poll => TimeSpan.FromSeconds(options.Value.PollSeconds);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.WhenAll([
            SurviveAsync(ListenAsync, stoppingToken),
            SurviveAsync(RecoverAsync, stoppingToken),
            SurviveAsync(PruneAsync, stoppingToken),
            SurviveAsync(ExpireAsync, stoppingToken),
            SurviveAsync(FanOutAsync(Wake()), stoppingToken),
            SurviveAsync(TellAsync(Wake()), stoppingToken),
            .. senders.Select(sender => SurviveAsync(SendAsync(sender, Wake()), stoppingToken))]);
    }

    private Task SurviveAsync(Func<CancellationToken, Task> loop, CancellationToken ct) => logger.SurviveAsync("Push cannot be worked on now", loop, time, ct);

    private Bell Wake()
    {
        var bell = new Bell(time);
        _bells.Add(bell);
        return bell;
    }

    private Func<CancellationToken, Task> FanOutAsync(Bell bell) => async ct =>
    {
        while (true)
        {
            while (await fanOut.StepAsync(ct))
            {
            }
            await SleepAsync(bell, await fanOut.NextAsync(ct), ct);
        }
    };

    private Func<CancellationToken, Task> TellAsync(Bell bell)
    {
        webhooks.Ended = () => bell.Ring();
        return async ct =>
        {
            while (true)
            {
                await SleepAsync(bell, await webhooks.StepAsync(ct), ct);
            }
        };
    }

    private Func<CancellationToken, Task> SendAsync(Sender sender, Bell bell) => async ct =>
    {
        var running = new List<Sender.SentBatch>();
        sender.PutBack = () => bell.Ring();
        try
        {
            while (true)
            {
                var taken = await sender.StepAsync(ct);
                running.Add(taken);
                if (taken.Taken is 0)
                {
                    await SleepAsync(bell, await deliveries.NextDueAsync(sender.Network, ct), ct);
                }
                await RemoveDoneAsync();
                // Two batches at a time, one is claimed while another is sent, and a third is written down; many small ones are as much as a full one.
                while (running.Sum(batch => batch.Answered.IsCompleted ? 0 : batch.Taken) > options.Value.Batch || running.Sum(batch => batch.Taken) > 2 * options.Value.Batch)
                {
                    await Task.WhenAny(running.SelectMany(batch => batch.Answered.IsCompleted ? (Task[])[batch.Done] : [batch.Answered, batch.Done]));
                    await RemoveDoneAsync();
                }
            }
        }
        finally
        {
            await Task.WhenAll(running.Select(batch => batch.Done)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task RemoveDoneAsync()
        {
            foreach (var done in running.Where(batch => batch.Done.IsCompleted).ToList())
            {
                running.Remove(done);
                await done.Done;
            }
        }
    };

    private async Task ListenAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        connection.Notification += (_, told) =>
        {
            if (told.Channel is OwnStreams.Channel)
            {
                streams.Told(told.Payload);
                return;
            }
            _bells.ForEach(bell => bell.Ring());
        };
        await using (var listen = new NpgsqlCommand($"listen {Channel}; listen {OwnStreams.Channel}", connection))
        {
            await listen.ExecuteNonQueryAsync(ct);
        }
        _bells.ForEach(bell => bell.Ring());
        streams.ToldOfAll();
        while (true)
        {
            // Nobody says that a connection is gone.
            if (!await connection.WaitAsync(Poll, ct))
            {
                await using var check = new NpgsqlCommand("select 1", connection);
                await check.ExecuteNonQueryAsync(ct);
            }
        }
    }

    private async Task RecoverAsync(CancellationToken ct)
    {
        string[] storesOnce = [.. networks.All.Where(network => network.StoresOnce).Select(network => network.Name)];
        var pause = TimeSpan.FromSeconds(Math.Min(options.Value.LeaseSeconds / 2.0, options.Value.PollSeconds));
        while (true)
        {
            var recovered = await deliveries.RecoverAsync(time.GetUtcNow(), storesOnce, ct);
            if (recovered > 0)
            {
                logger.LogWarning("A process that was sending has ended without a word: {Count} deliveries of it were taken over", recovered);
                _bells.ForEach(bell => bell.Ring());
            }
            await Task.Delay(pause, time, ct);
        }
    }

    private async Task ExpireAsync(CancellationToken ct)
    {
        while (true)
        {
            await receipts.ExpireAsync(ct);
            await Task.Delay(ExpireEvery, time, ct);
        }
    }

    private async Task PruneAsync(CancellationToken ct)
    {
        while (true)
        {
            await Task.Delay(PruneEvery, time, ct);
            await pruning.RunAsync(ct);
        }
    }

    private Task SleepAsync(Bell bell, DateTime? next, CancellationToken ct)
    {
        var sleep = next is { } due ? due - time.GetUtcNow().UtcDateTime : Poll;
        return bell.WaitAsync(sleep < ShortestSleep ? ShortestSleep : sleep > Poll ? Poll : sleep, ct);
    }
}
