using Dapper;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;

namespace MobileServices.Devices;

/// <summary>The tables of the schema <c>devices</c>.</summary>
internal sealed class DeviceStore(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>Registers an installation for a user, whoever had it before: the app on it is now that user's.</summary>
    /// <param name="user">Null keeps the user that it has.</param>
    /// <param name="key">The key that signed the request: becomes the device's if it has none. Null for none.</param>
    /// <returns>The device as it stands now, and whether it is new; a refusal changes nothing.</returns>
    public async Task<PutResult> PutAsync(Guid id, Registration registration, string? user, string? key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var addresses = registration.PushAddresses!;
        if (await UpsertAsync(transaction, id, registration, user, key, bindsKey: true, ct) is not { } created)
        {
            return new(PutOutcome.AnotherKey);
        }
        if (await IsBlockedAsync(transaction, id, ct))
        {
            return new(PutOutcome.Blocked);
        }
        await connection.ExecuteAsync(new CommandDefinition(
            AddressesSql,
            new
            {
                id,
                networks = addresses.Select(address => address.Network.ToString()).ToArray(),
                addresses = addresses.Select(address => address.Address).ToArray(),
            },
            transaction, cancellationToken: ct));
        var device = await ReadAsync(connection, id, transaction, ct);
        await transaction.CommitAsync(ct);
        return new(created ? PutOutcome.Created : PutOutcome.Renewed, device);
    }

    /// <summary>
    /// Notes what an app told at its start. Push addresses stay, and so does the user unless there is another. Of a device that has a key, only what it
    /// signed is noted.
    /// </summary>
    public async Task LaunchAsync(Guid id, Registration registration, string? user, string? key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await UpsertAsync(transaction, id, registration, user, key, bindsKey: false, ct);
        await transaction.CommitAsync(ct);
    }

    /// <returns>Null when there is none, or it is another user's.</returns>
    public async Task<Device?> GetAsync(Guid id, string? user, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await ReadAsync(connection, id, null, ct) is { } device && (device.User is null || device.User == user) ? device : null;
    }

    /// <summary>Removes the device if it is the user's, or nobody's and has no other key.</summary>
    public async Task DeleteAsync(Guid id, string? user, string? key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var removed = await connection.ExecuteAsync(new CommandDefinition(
            """
            delete from devices.device
            where id = @id and (user_id = @user or (user_id is null and (key_thumbprint is null or key_thumbprint = @key)))
            """,
            new { id, user, key }, transaction, cancellationToken: ct));
        if (removed > 0)
        {
            await transaction.PublishAsync([NewEvent.Of(DeviceRemoved.SubjectOf(id), null, time.GetUtcNow(), new DeviceRemoved(id))], ct);
        }
        await transaction.CommitAsync(ct);
    }

    /// <summary>The row is locked from here on, so of two registrations at once the second sees what the first wrote.</summary>
    /// <param name="bindsKey">Whether a device that is there and has no key gets this one; a new one always does.</param>
    /// <returns>Whether it is new; null when it has another key, and is left as it was.</returns>
    private async Task<bool?> UpsertAsync(
        NpgsqlTransaction transaction, Guid id, Registration registration, string? user, string? key, bool bindsKey, CancellationToken ct)
    {
        var parameters = new
        {
            id,
            user,
            key,
            bindsKey,
            registration.AppId,
            registration.AppVersion,
            platform = registration.Platform.ToString(),
            registration.OsVersion,
            registration.Model,
            registration.Locale,
            registration.TimeZone,
            now = time.GetUtcNow(),
        };
        var connection = transaction.Connection!;
        if (await connection.ExecuteScalarAsync<bool?>(new CommandDefinition(UpsertSql, parameters, transaction, cancellationToken: ct)) is not { } created)
        {
            return null;
        }
        await connection.ExecuteAsync(new CommandDefinition(SeenSql, parameters, transaction, cancellationToken: ct));
        return created;
    }

    private static Task<bool> IsBlockedAsync(NpgsqlTransaction transaction, Guid id, CancellationToken ct) =>
        transaction.Connection!.ExecuteScalarAsync<bool>(new CommandDefinition(
            "select exists (select from devices.device_block where device_id = @id)", new { id }, transaction, cancellationToken: ct));

    private static async Task<Device?> ReadAsync(NpgsqlConnection connection, Guid id, NpgsqlTransaction? transaction, CancellationToken ct) =>
        await connection.QuerySingleOrDefaultAsync<DeviceRow>(new CommandDefinition(ReadSql, new { id }, transaction, cancellationToken: ct)) is { } row
            ? row.ToDevice()
            : null;

    private const string UpsertSql =
        """
        insert into devices.device as d
            (id, app_id, app_version, platform, os_version, model, locale, time_zone, registered_at, last_seen_at, user_id, key_thumbprint)
        values (@id, @AppId, @AppVersion, @platform, @OsVersion, @Model, @Locale, @TimeZone, @now, @now, @user, @key)
        on conflict (id) do update set
            app_id = excluded.app_id,
            app_version = excluded.app_version,
            platform = excluded.platform,
            os_version = excluded.os_version,
            model = excluded.model,
            locale = excluded.locale,
            time_zone = excluded.time_zone,
            last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at),
            user_id = coalesce(excluded.user_id, d.user_id),
            key_thumbprint = case when @bindsKey then excluded.key_thumbprint else d.key_thumbprint end
        where d.key_thumbprint is null or d.key_thumbprint = excluded.key_thumbprint
        returning xmax = 0
        """;

    /// <summary>Every device of a version would wait for the one row of it, were it written more than once a minute.</summary>
    private const string SeenSql =
        """
        insert into devices.app (id, name, registered_at)
        select @AppId, @AppId, @now where not exists (select from devices.app where id = @AppId)
        on conflict do nothing;

        insert into devices.app_version as v (app_id, platform, version, first_seen_at, last_seen_at)
        select @AppId, @platform, @AppVersion, @now, @now
        where not exists (
            select from devices.app_version
            where app_id = @AppId and platform = @platform and version = @AppVersion and last_seen_at > @now - interval '1 minute')
        on conflict (app_id, platform, version) do update set last_seen_at = greatest(v.last_seen_at, excluded.last_seen_at)
        """;

    private const string AddressesSql =
        """
        delete from devices.push_address where device_id = @id;
        insert into devices.push_address (device_id, position, network, address)
        select @id, a.position, a.network, a.address
        from unnest(@networks::text[], @addresses::text[]) with ordinality as a (network, address, position)
        """;

    private const string ReadSql =
        """
        select d.id, d.app_id as AppId, d.app_version as AppVersion, d.platform, d.os_version as OsVersion, d.model, d.locale,
               d.time_zone as TimeZone, d.registered_at as RegisteredAt, d.last_seen_at as LastSeenAt, d.user_id as UserId, d.key_thumbprint as Key,
               coalesce(array_agg(p.network order by p.position) filter (where p.position is not null), '{}') as networks,
               coalesce(array_agg(p.address order by p.position) filter (where p.position is not null), '{}') as addresses
        from devices.device d
        left join devices.push_address p on p.device_id = d.id
        where d.id = @id
        group by d.id
        """;

    private sealed class DeviceRow
    {
        public required Guid Id { get; init; }

        public required string AppId { get; init; }

        public required string AppVersion { get; init; }

        public required string Platform { get; init; }

        public required string OsVersion { get; init; }

        public required string Model { get; init; }

        public required string Locale { get; init; }

        public required string TimeZone { get; init; }

        public required DateTime RegisteredAt { get; init; }

        public required DateTime LastSeenAt { get; init; }

        public string? UserId { get; init; }

        public string? Key { get; init; }

        public required string[] Networks { get; init; }

        public required string[] Addresses { get; init; }

        public Device ToDevice() => new(
            Id, AppId, AppVersion, Enum.Parse<AppPlatform>(Platform), OsVersion, Model, Locale, TimeZone,
            [.. Networks.Zip(Addresses, (network, address) => new PushAddress(Enum.Parse<PushNetwork>(network), address))],
            RegisteredAt, LastSeenAt, UserId, Key);
    }
}

internal enum PutOutcome
{
    Created,
    Renewed,
    Blocked,
    AnotherKey,
}

/// <param name="Device">As it stands now; null for a refusal.</param>
internal readonly record struct PutResult(PutOutcome Outcome, Device? Device = null);
