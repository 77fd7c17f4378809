using System.Collections.Concurrent;
using Dapper;
using Microsoft.Extensions.Options;
using MobileServices.Push.Networks;
using Npgsql;

namespace MobileServices.Push.Deliveries;

/// <summary>
/// Whether a credential may send to a host of its network now: not while the network has asked it to wait, not for a while after it has failed again and again,
/// and not at all when the network does not take it. This process knows at once, others by the database.
/// </summary>
internal sealed class ChannelStore(NpgsqlDataSource database, IOptions<PushOptions> options, TimeProvider time, ILogger<ChannelStore> logger)
{
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LongestWish = TimeSpan.FromHours(6);
    private const int MostKept = 10_000;

    // With the time at which the credential was saved: of a new one nothing is known yet.
    private readonly ConcurrentDictionary<(string App, string Network, string Host, DateTime? SavedAt), Channel> _channels = [];

    /// <summary>What was done here.</summary>
    private sealed class Channel
    {
        public int Failures { get; set; }

        public DateTimeOffset PausedUntil { get; set; }

        /// <summary>The network does not take the credential.</summary>
        public bool IsStopped { get; set; }

        public string? Reason { get; set; }
    }

    /// <returns>Why nothing may be sent, and until when where that is known; null when it may.</returns>
    public (DateTimeOffset? Until, string Why)? Closed(string app, string network, string host, DateTime? credentialSavedAt)
    {
        var channel = Of(app, network, host, credentialSavedAt);
        lock (channel)
        {
            if (channel.IsStopped)
            {
                return (null, $"the network does not take the app's credential: {channel.Reason}");
            }
            return channel.PausedUntil > time.GetUtcNow() ? (channel.PausedUntil, $"waits for the network: {channel.Reason}") : null;
        }
    }

    /// <summary>Takes note of what came of an attempt.</summary>
    public async Task NoteAsync(string app, string network, string host, DateTime? credentialSavedAt, Outcome outcome, CancellationToken ct)
    {
        var channel = Of(app, network, host, credentialSavedAt);
        var now = time.GetUtcNow();
        DateTimeOffset? pause = null;
        var stops = outcome.Class is OutcomeClass.Misconfigured;
        lock (channel)
        {
            switch (outcome.Class)
            {
                case OutcomeClass.Misconfigured when channel.IsStopped:
                    return;
                case OutcomeClass.Misconfigured:
                    break;
                case OutcomeClass.Transient or OutcomeClass.Unknown:
                    channel.Failures++;
                    if (outcome.RetryAfter is { } wish && wish > TimeSpan.Zero)
                    {
                        pause = now + (wish < LongestWish ? wish : LongestWish);
                    }
                    else if (channel.Failures >= options.Value.BreakAfter && channel.PausedUntil <= now)
                    {
                        var power = Math.Min(channel.Failures - options.Value.BreakAfter, 10);
                        var seconds = Math.Min(options.Value.FirstRetrySeconds * Math.Pow(2, power), LongestPause.TotalSeconds);
                        pause = now + TimeSpan.FromSeconds(seconds);
                    }
                    if (pause is null || pause <= channel.PausedUntil)
                    {
                        return;
                    }
                    (channel.PausedUntil, channel.Reason) = (pause.Value, outcome.Reason);
                    break;
                default:
                    // It answers: what went wrong before went by.
                    channel.Failures = 0;
                    return;
            }
        }
        await using var connection = await database.OpenConnectionAsync(ct);
        // Whoever saves another credential meanwhile is waited for: what a network says of the one before does not stop the new one.
        var noted = await connection.ExecuteAsync(new CommandDefinition(
            """
            insert into push.channel as c (app_id, network, host, paused_until, stopped_at, reason) 
            select @app, @network, @host, @pause::timestamptz, @stopped::timestamptz, @Reason
            where @credentialSavedAt::timestamptz is null
               or exists (select from push.credential k where k.app_id = @app and k.network = @network and k.saved_at = @credentialSavedAt for share)
            on conflict (app_id, network, host) do update set
                paused_until = greatest(c.paused_until, excluded.paused_until), stopped_at = coalesce(c.stopped_at, excluded.stopped_at), reason = excluded.reason
            """,
            new { app, network, host, pause = pause?.ToUniversalTime(), stopped = stops ? now : (DateTimeOffset?)null, outcome.Reason, credentialSavedAt }, cancellationToken: ct));
        if (stops && noted > 0)
        {
            lock (channel)
            {
                (channel.IsStopped, channel.Reason) = (true, outcome.Reason);
            }
            logger.LogError("{Network} does not take the credential of {App}: {Reason}. Nothing is sent to it until the credential is saved anew", network, app, outcome.Reason);
        }
    }

    private Channel Of(string app, string network, string host, DateTime? credentialSavedAt)
    {
        if (_channels.Count > MostKept)
        {
            _channels.Clear();
        }
        return _channels.GetOrAdd((app, network, host, credentialSavedAt), _ => new());
    }
}
