using System.Security.Cryptography;
using System.Text;
using Dapper;
using MobileServices.Push.Deliveries;
using MobileServices.Push.Networks;
using Npgsql;

namespace MobileServices.Push.Registrations;

internal sealed class RegistrationStore(NpgsqlDataSource database, NetworkList networks, TimeProvider time)
{
    public static byte[] Hash(string address) => SHA256.HashData(Encoding.UTF8.GetBytes(address));

    /// <summary>The last one to register an address, and the last address of a device, hold: what waits for the device goes to its new address.</summary>
    /// <returns>Whether the device was not registered before.</returns>
    public Task<bool> PutAsync(Guid device, PushRegistration registration, string? user, string? customer, CancellationToken ct) =>
        Deadlocks.AgainAsync(() => WriteAsync(device, registration, user, customer, ct));

    private async Task<bool> WriteAsync(Guid device, PushRegistration registration, string? user, string? customer, CancellationToken ct)
    {
        var address = registration.Address!;
        var network = registration.Network!;
        var now = time.GetUtcNow();
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // One after the other for the same address, and for the same device: the loser of a race finds what the winner wrote.
        await connection.ExecuteAsync(new CommandDefinition(
            "select pg_advisory_xact_lock(key) from (select hashtextextended(unnest(@keys), 7) as key order by 1) keys",
            new { keys = new[] { $"{registration.AppId}\n{network}\n{address}", device.ToString() } }, transaction, cancellationToken: ct));
        var row = new
        {
            device,
            registration.AppId,
            user,
            customer,
            network,
            address,
            hash = Hash(address),
            host = networks.Find(network)!.HostOf(address),
            p256dh = RegistrationRules.Decode(registration.Keys?.P256dh),
            auth = RegistrationRules.Decode(registration.Keys?.Auth),
            platform = registration.Platform!.Value.ToString().ToLowerInvariant(),
            registration.AppVersion,
            order = VersionOrder.Of(registration.AppVersion),
            registration.Locale,
            registration.TimeZone,
            tags = (registration.Tags ?? []).Distinct(StringComparer.Ordinal).ToArray(),
            now,
        };
        var before = await connection.QuerySingleOrDefaultAsync<(byte[] Hash, string Network, string TimeZone, string? User)?>(new CommandDefinition(
            "select address_hash, network, time_zone, user_id from push.registration where device_id = @device for update", row, transaction, cancellationToken: ct));
        await connection.ExecuteAsync(new CommandDefinition(PutSql, row, transaction, cancellationToken: ct));
        if (before is { } old)
        {
            if (!old.Hash.AsSpan().SequenceEqual(row.hash) || old.Network != network)
            {
                // Claims go by the network in the queue.
                await connection.ExecuteAsync(new CommandDefinition(
                    $"""
                    {Queue.SetApartSql};
                    {Queue.LookAgainSql("d.device_id = @device", ", network = @network, decisions = d.decisions || @rotated::jsonb", ", network = @network")};
                    notify {PushWorker.Channel};
                    """, new { device, network, now, rotated = Decision.Of(now, "rotated", $"to a new address of {network}") }, transaction, cancellationToken: ct));
            }
            if (old.User is not null && old.User != user)
            {
                // What waits for him ends now instead of when its time comes.
                await LookAgainAsync(transaction, "d.device_id = @device and d.user_id is distinct from @user and d.user_id is not null", new { device, user, now }, ct);
            }
            if (old.TimeZone != registration.TimeZone)
            {
                await LookAgainAsync(transaction, "d.device_id = @device and d.waits_for in ('quiet', 'local')", new { device, now }, ct);
            }
        }
        await transaction.CommitAsync(ct);
        return before is null;
    }

    public async Task DeleteAsync(Guid device, string? user, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "delete from push.registration where device_id = @device and (user_id is null or user_id = @user)", new { device, user }, cancellationToken: ct));
    }

    /// <summary>Removes what the device registered, and has what waits for it looked at now instead of when its time comes.</summary>
    /// <param name="until">What it registered later stays; null for all.</param>
    public async Task EndAsync(NpgsqlTransaction transaction, Guid device, DateTimeOffset? until, string why, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        await transaction.Connection!.ExecuteAsync(new CommandDefinition(
            $"""
            delete from push.registration where device_id = @device and (@until::timestamptz is null or registered_at <= @until);
            {Queue.SetApartSql};
            {Queue.LookAgainSql(
                "d.device_id = @device and not exists (select from push.registration r where r.device_id = @device)", ", waits_for = null, decisions = d.decisions || @decision::jsonb")};
            notify {PushWorker.Channel};
            """, new { device, until = until?.ToUniversalTime(), now, decision = Decision.Of(now, "removed", why) }, transaction, cancellationToken: ct));
    }

    public Task PutPreferencesAsync(string user, PushPreferences preferences, CancellationToken ct) =>
        Deadlocks.AgainAsync(() => WriteAsync(user, preferences, ct));

    private async Task<bool> WriteAsync(string user, PushPreferences preferences, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var now = time.GetUtcNow();
        await connection.ExecuteAsync(new CommandDefinition(
            """
            insert into push.preference (user_id, quiet_from, quiet_until, time_zone, muted, updated_at) values (@user, @from::interval::time, @until::interval::time, @zone, @muted, @now)
            on conflict (user_id) do update set quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until, time_zone = @zone, muted = @muted, updated_at = @now
            """,
            new
            {
                user,
                from = preferences.QuietHours?.From?.ToTimeSpan(),
                until = preferences.QuietHours?.Until?.ToTimeSpan(),
                zone = preferences.QuietHours?.TimeZone,
                muted = (preferences.MutedCategories ?? []).Distinct().ToArray(),
                now,
            }, transaction, cancellationToken: ct));
        await LookAgainAsync(
            transaction, "d.device_id in (select device_id from push.registration where user_id = @user) and d.waits_for in ('quiet', 'local')", new { user, now }, ct);
        await transaction.CommitAsync(ct);
        return true;
    }

    public async Task<PushPreferences> GetPreferencesAsync(string user, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var row = await connection.QuerySingleOrDefaultAsync<(TimeSpan? From, TimeSpan? Until, string? TimeZone, string[] Muted)?>(new CommandDefinition(
            "select quiet_from::interval, quiet_until::interval, time_zone, muted from push.preference where user_id = @user", new { user }, cancellationToken: ct));
        return row is not { } found
            ? new(null, [])
            : new(found.From is { } from && found.Until is { } until ? new(TimeOnly.FromTimeSpan(from), TimeOnly.FromTimeSpan(until), found.TimeZone) : null, found.Muted);
    }

    /// <summary>What waits is looked at again: what it waits for has changed.</summary>
    /// <param name="which">Of the delivery <c>d</c>.</param>
    private static async Task LookAgainAsync(NpgsqlTransaction transaction, string which, object parameters, CancellationToken ct) =>
        await transaction.Connection!.ExecuteAsync(new CommandDefinition(
            $"""
            {Queue.LookAgainSql(which)};
            notify {PushWorker.Channel};
            """, parameters, transaction, cancellationToken: ct));

    private const string PutSql =
        """
        delete from push.registration where app_id = @AppId and network = @network and address_hash = @hash and device_id <> @device;
        insert into push.registration as before (
            device_id, app_id, user_id, customer_id, network, address, address_hash, host, p256dh, auth, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
        values (
            @device, @AppId, @user, @customer, @network, @address, @hash, @host, @p256dh, @auth, @platform, @AppVersion, @order, @Locale, @TimeZone, @tags, @now, @now)
        on conflict (device_id) do update set
            app_id = excluded.app_id, user_id = excluded.user_id, customer_id = excluded.customer_id, network = excluded.network, address = excluded.address,
            address_hash = excluded.address_hash, host = excluded.host, p256dh = excluded.p256dh, auth = excluded.auth, platform = excluded.platform, app_version = excluded.app_version,
            version_order = excluded.version_order, locale = excluded.locale, time_zone = excluded.time_zone, tags = excluded.tags, last_seen_at = excluded.last_seen_at,
            -- An app registers at each start, and by that knows of its address that it is one.
            registered_at = excluded.registered_at
        """;
}
