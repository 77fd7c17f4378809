using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace MobileIntegration.ServiceDefaults.Events;

/// <summary>Told to every process that listens, at once and at most once: enough to remove an entry from a cache, and no more.</summary>
/// <param name="Type">Null, as is the subject, when the connection was away: anything may have happened meanwhile.</param>
public readonly record struct EventNews(string? Type, string? Subject);

/// <summary>One connection of a process that hears of every event of a database.</summary>
internal sealed class EventListener(
    NpgsqlDataSource database, IEnumerable<Action<EventNews>> tell, TimeProvider time, ILogger<EventListener> logger) : BackgroundService
{
    private static readonly TimeSpan AfterFault = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LookAfter = TimeSpan.FromSeconds(30);
    private Action<EventNews>? _told = (Action<EventNews>?)Delegate.Combine([.. tell]);

    public void Add(Action<EventNews> told) => _told += told;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning(exception, "Events cannot be listened to now; they are looked for by time meanwhile");
                await Task.Delay(AfterFault, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task ListenAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        connection.Notification += (_, notification) => _told?.Invoke(Read(notification.Payload));
        await using (var listen = new NpgsqlCommand("listen events", connection))
        {
            await listen.ExecuteNonQueryAsync(ct);
        }
        _told?.Invoke(default);
        while (true)
        {
            if (!await connection.WaitAsync(LookAfter, ct))
            {
                // A connection that broke without a word would be silent for ever.
                await using var look = new NpgsqlCommand("select 1", connection);
                await look.ExecuteNonQueryAsync(ct);
            }
        }
    }

    private static EventNews Read(string payload) => payload.IndexOf(' ', StringComparison.Ordinal) is > 0 and var space ? new(payload[..space], payload[(space + 1)..]) : default;
}
