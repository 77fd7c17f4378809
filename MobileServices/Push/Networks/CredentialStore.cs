using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Dapper;
using MobileServices.Push.Deliveries;
using Npgsql;

namespace MobileServices.Push.Networks;

/// <summary>What an app sends with, by network.</summary>
internal sealed class CredentialStore(NpgsqlDataSource database, KeySeal seal, NetworkList networks, TimeProvider time)
{
    private const int MostOpen = 500;
    private readonly ConcurrentDictionary<(string App, string Network), Opened> _open = [];

    public async Task<SavedCredential?> GetAsync(string app, string network, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var row = await connection.QuerySingleOrDefaultAsync<(string Settings, byte[] Secret, DateTime SavedAt, string SavedBy)?>(new CommandDefinition(
            "select settings::text, secret, saved_at, saved_by from push.credential where app_id = @app and network = @network", new { app, network }, cancellationToken: ct));
        return row is { } found
            ? new(new((JsonObject)JsonNode.Parse(found.Settings)!, seal.Open(SealName(app, network), found.Secret)), found.SavedAt, found.SavedBy)
            : null;
    }

    /// <summary>Replaces it; what has waited for a right one goes on.</summary>
    public async Task SaveAsync(string app, string network, CredentialForm form, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            $"""
            insert into push.credential (app_id, network, settings, secret, saved_at, saved_by) values (@app, @network, @settings::jsonb, @secret, @now, @who)
            on conflict (app_id, network) do update set settings = excluded.settings, secret = excluded.secret, saved_at = excluded.saved_at, saved_by = excluded.saved_by;
            delete from push.channel where app_id = @app and network = @network;
            {Queue.LookAgainSql("q.network = @network and d.waits_for = 'channel' and exists (select from push.message m where m.id = d.message_id and m.app_id = @app)")};
            notify {PushWorker.Channel};
            """,
            new { app, network, settings = form.Settings.ToJsonString(), secret = seal.Close(SealName(app, network), form.Secret), now = time.GetUtcNow(), who },
            transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
    }

    public async Task<bool> DeleteAsync(string app, string network, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition(
            "delete from push.credential where app_id = @app and network = @network", new { app, network }, cancellationToken: ct)) > 0;
    }

    /// <summary>Those of an app, with what is known of their channels.</summary>
    public async Task<IReadOnlyList<NetworkState>> ListAsync(string app, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<(string Network, string Settings, DateTime SavedAt, string SavedBy)>(new CommandDefinition(
            "select network, settings::text, saved_at, saved_by from push.credential where app_id = @app order by network", new { app }, cancellationToken: ct));
        var channels = (await connection.QueryAsync<(string Network, string Host, DateTime? PausedUntil, DateTime? StoppedAt, string? Reason)>(new CommandDefinition(
            "select network, host, paused_until, stopped_at, reason from push.channel where app_id = @app and (stopped_at is not null or paused_until > @now) order by network, host limit 1000",
            new { app, now = time.GetUtcNow() }, cancellationToken: ct))).ToLookup(channel => channel.Network);
        return [.. rows.Select(row => new NetworkState(
            row.Network, (JsonObject)JsonNode.Parse(row.Settings)!, row.SavedAt, row.SavedBy,
            [.. channels[row.Network].Select(channel => new ChannelState(channel.Host is "" ? null : channel.Host, channel.StoppedAt, channel.PausedUntil, channel.Reason))]))];
    }

    /// <summary>Networks that the app can send over, and whether devices there have keys although they need none.</summary>
    public async Task<IReadOnlyDictionary<string, bool>> UsedAsync(string app, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await connection.QueryAsync<(string Network, bool HasKeys)>(new CommandDefinition(UsedSql, new { app }, cancellationToken: ct)))
            .Append((Network: Own.OwnNetwork.NetworkName, HasKeys: false)).ToDictionary(used => used.Network, used => used.HasKeys);
    }

    // In an order that its own index alone has: a probe for each network, where the planner might think that a look through other devices soon finds one.
    internal const string UsedSql =
        """
        select k.network, (
            select true from push.registration r
            where r.app_id = k.app_id and r.network = k.network and r.p256dh is not null and r.network <> 'webpush' order by r.host limit 1) is not null
        from push.credential k where k.app_id = @app
        """;

    /// <summary>Ready to send with; read again when it was saved anew, and then also for those who were to send with the one before. All who send at a time have the same one, and by that its one access token.</summary>
    public async Task<object?> OpenAsync(string app, string network, DateTime savedAt)
    {
        if (_open.Count >= MostOpen)
        {
            _open.Clear();
        }
        var opened = _open.AddOrUpdate((app, network), Fresh, (_, kept) => kept.SavedAt >= savedAt ? kept : Fresh((app, network)));
        try
        {
            return await opened.Credential.Value;
        }
        catch
        {
            _open.TryRemove(new((app, network), opened));
            throw;
        }

        Opened Fresh((string App, string Network) _) => new(savedAt, new(() => ReadAsync(app, network)));
    }

    private async Task<object?> ReadAsync(string app, string network) =>
        await GetAsync(app, network, CancellationToken.None) is { } saved ? networks.Find(network)!.Open(saved.Form) : null;

    private sealed record Opened(DateTime SavedAt, Lazy<Task<object?>> Credential);

    private static string SealName(string app, string network) => $"push {network} {app}";
}

internal sealed record SavedCredential(CredentialForm Form, DateTime SavedAt, string SavedBy);

/// <param name="Settings">What may be shown of its credential.</param>
/// <param name="Channels">Where it has to wait or was stopped; others are well.</param>
internal sealed record NetworkState(string Network, JsonObject Settings, DateTime SavedAt, string SavedBy, IReadOnlyList<ChannelState> Channels);

/// <param name="Host">Of Web Push: the push service that this is about.</param>
/// <param name="StoppedAt">The network does not take the credential: nothing is sent until it is saved anew.</param>
/// <param name="PausedUntil">The network asked for that, or did not answer.</param>
internal sealed record ChannelState(string? Host, DateTime? StoppedAt, DateTime? PausedUntil, string? Reason);
