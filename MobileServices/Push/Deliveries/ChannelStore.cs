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

    private readonly ConcurrentDictionary<(string App, string Network, string Host), Channel> _channels = [];

    /// <summary>What was done here.</summary>
    public sealed class Channel
    {
        public int Failures { get; set; }

        public DateTimeOffset PausedUntil { get; set; }

        /// <summary>The credential that the network does not take.</summary>
        public DateTime? StoppedFor { get; set; }

        public string? Reason { get; set; }
    }

    public Channel Of(string app, string network, string host)
    {
        if (_channels.Count > MostKept)
        {
            _channels.Clear();
        }
        return _channels.GetOrAdd((app, network, host), _ => new());
    }

    /// <returns>Why nothing may be sent, and until when; null when it may.</returns>
    public (DateTimeOffset? Until, string Why)? Closed(Channel channel, DateTime? credentialSavedAt)
    {
        lock (channel)
        {
            if (channel.StoppedFor is { } stopped && stopped == credentialSavedAt)
            {
                return (null, $"the network does not take the app's credential: {channel.Reason}");
            }
            return channel.PausedUntil > time.GetUtcNow() ? (channel.PausedUntil, $"waits for the network: {channel.Reason}") : null;
        }
    }

    /// <summary>Takes note of what came of an attempt.</summary>
    public async Task NoteAsync(string app, string network, string host, DateTime? credentialSavedAt, Outcome outcome, CancellationToken ct)
    {
        var channel = Of(app, network, host);
        var now = time.GetUtcNow();
        DateTimeOffset? pause = null;
        var stops = outcome.Class is OutcomeClass.Misconfigured;
        lock (channel)
        {
            switch (outcome.Class)
            {
                case OutcomeClass.Misconfigured when channel.StoppedFor == credentialSavedAt && credentialSavedAt is not null:
                    return;
                case OutcomeClass.Misconfigured:
                    (channel.StoppedFor, channel.Reason) = (credentialSavedAt, outcome.Reason);
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
        if (stops)
        {
            logger.LogError("{Network} does not take the credential of {App}: {Reason}. Nothing is sent to it until the credential is saved anew", network, app, outcome.Reason);
        }
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            """
            insert into push.channel as c (app_id, network, host, paused_until, stopped_at, reason) values (@app, @network, @host, @pause, @stopped, @Reason)
            on conflict (app_id, network, host) do update set
                paused_until = greatest(c.paused_until, excluded.paused_until), stopped_at = coalesce(c.stopped_at, excluded.stopped_at), reason = excluded.reason
            """,
            new { app, network, host, pause = pause?.ToUniversalTime(), stopped = stops ? now : (DateTimeOffset?)null, outcome.Reason }, cancellationToken: ct));
    }
}
