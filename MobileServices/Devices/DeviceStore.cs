using Dapper;
using Npgsql;

namespace MobileServices.Devices;

/// <summary>The tables of the schema <c>devices</c>.</summary>
internal sealed class DeviceStore(NpgsqlDataSource database, TimeProvider time)
{
    /// <returns>The device as it stands now, and whether it is new.</returns>
    public async Task<(Device Device, bool Created)> PutAsync(Guid id, Registration registration, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var addresses = registration.PushAddresses!;
        var parameters = new
        {
            id,
            registration.AppId,
            registration.AppVersion,
            platform = registration.Platform.ToString(),
            registration.OsVersion,
            registration.Model,
            registration.Locale,
            registration.TimeZone,
            now = time.GetUtcNow(),
            networks = addresses.Select(address => address.Network.ToString()).ToArray(),
            addresses = addresses.Select(address => address.Address).ToArray(),
        };
        // The row is locked from here on, so of two registrations at once the second sees what the first wrote.
        var created = await connection.ExecuteScalarAsync<bool>(new CommandDefinition(UpsertSql, parameters, transaction, cancellationToken: ct));
        await connection.ExecuteAsync(new CommandDefinition(AddressesSql, parameters, transaction, cancellationToken: ct));
        var device = await ReadAsync(connection, id, transaction, ct);
        await transaction.CommitAsync(ct);
        return (device!, created);
    }

    public async Task<Device?> GetAsync(Guid id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await ReadAsync(connection, id, null, ct);
    }

    /// <returns>False when there was none.</returns>
    public async Task<bool> DeleteAsync(Guid id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition("delete from devices.device where id = @id", new { id }, cancellationToken: ct)) is 1;
    }

    private static async Task<Device?> ReadAsync(NpgsqlConnection connection, Guid id, NpgsqlTransaction? transaction, CancellationToken ct) =>
        await connection.QuerySingleOrDefaultAsync<DeviceRow>(new CommandDefinition(ReadSql, new { id }, transaction, cancellationToken: ct)) is { } row
            ? row.ToDevice()
            : null;

    private const string UpsertSql =
        """
        insert into devices.device as d
            (id, app_id, app_version, platform, os_version, model, locale, time_zone, registered_at, last_seen_at)
        values (@id, @AppId, @AppVersion, @platform, @OsVersion, @Model, @Locale, @TimeZone, @now, @now)
        on conflict (id) do update set
            app_id = excluded.app_id,
            app_version = excluded.app_version,
            platform = excluded.platform,
            os_version = excluded.os_version,
            model = excluded.model,
            locale = excluded.locale,
            time_zone = excluded.time_zone,
            last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at)
        returning xmax = 0
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
               d.time_zone as TimeZone, d.registered_at as RegisteredAt, d.last_seen_at as LastSeenAt,
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

        public required string[] Networks { get; init; }

        public required string[] Addresses { get; init; }

        public Device ToDevice() => new(
            Id, AppId, AppVersion, Enum.Parse<Platform>(Platform), OsVersion, Model, Locale, TimeZone,
            [.. Networks.Zip(Addresses, (network, address) => new PushAddress(Enum.Parse<PushNetwork>(network), address))],
            RegisteredAt, LastSeenAt);
    }
}
