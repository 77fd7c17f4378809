using System.Globalization;
using System.Text.Json;
using Dapper;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;
using StackExchange.Redis;

namespace MobileServices.Devices.Admin;

/// <summary>Changes of what decides: written, audited and given a new version in one transaction, then told to the gateways.</summary>
internal sealed class ChangeStore(
    NpgsqlDataSource database, IOptions<DevicesOptions> options, TimeProvider time, IServiceProvider services, ILogger<ChangeStore> logger)
{
    private const int MostRules = 1000;

    private readonly IConnectionMultiplexer? _redis = services.GetService<IConnectionMultiplexer>();

    /// <param name="who">The user or client that asked for it.</param>
    public async Task<Changed> ApplyAsync(Change change, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var version = await NextVersionAsync(transaction, ct);
        return await ApplyAsync(transaction, change, version, who, null, ct);
    }

    /// <summary>Puts back what was there before a change, unless it was changed again since; null when there is no such change.</summary>
    public async Task<Changed?> RevertAsync(long id, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var version = await NextVersionAsync(transaction, ct);
        var entry = await connection.QuerySingleOrDefaultAsync<AuditRow>(new CommandDefinition(
            """
            select id, kind, key, before::text as Before, after::text as After from devices.audit where id = @id
            """,
            new { id }, transaction, cancellationToken: ct));
        if (entry is null)
        {
            return null;
        }
        var restored = Change.Restore(entry.Kind, entry.Key, entry.Before);
        var current = await connection.QuerySingleOrDefaultAsync<CurrentRow>(new CommandDefinition(
            restored.ReadSql, new { entry.Key }, transaction, cancellationToken: ct));
        if (current?.Value != entry.After)
        {
            return new(new(409, $"The {entry.Kind} '{entry.Key}' was changed again after the change {id}. Revert the later changes first."), 0);
        }
        return await ApplyAsync(transaction, restored, version, who, string.Create(CultureInfo.InvariantCulture, $"revert {id}"), ct);
    }

    /// <param name="before">The number of the last entry that the caller has seen; null for the newest.</param>
    /// <returns>The newest first.</returns>
    public async Task<IReadOnlyList<AuditEntry>> AuditAsync(string? kind, string? key, long? before, int limit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<AuditRow>(new CommandDefinition(
            """
            select id, at, who, kind, key, action, before::text as Before, after::text as After
            from devices.audit
            where (@kind::text is null or kind = @kind) and (@key::text is null or key = @key) and (@before::bigint is null or id < @before)
            order by id desc limit @limit
            """,
            new { kind, key, before, limit }, cancellationToken: ct));
        return [.. rows.Select(row => row.ToEntry())];
    }

    /// <summary>The lock on the one row puts all changes one after the other.</summary>
    private static Task<long> NextVersionAsync(NpgsqlTransaction transaction, CancellationToken ct) =>
        transaction.Connection!.ExecuteScalarAsync<long>(new CommandDefinition(
            "update devices.gate set version = version + 1 returning version", transaction: transaction, cancellationToken: ct));

    private async Task<Changed> ApplyAsync(NpgsqlTransaction transaction, Change change, long version, string who, string? action, CancellationToken ct)
    {
        var connection = transaction.Connection!;
        var parameters = new { change.Key, change.Value, version, who, now = time.GetUtcNow() };
        var before = await connection.QuerySingleOrDefaultAsync<CurrentRow>(new CommandDefinition(change.ReadSql, parameters, transaction, cancellationToken: ct));
        if ((change.Require(before?.Version) ?? await RoomAsync(transaction, change, before is null, ct)) is { } refusal)
        {
            return new(refusal, 0);
        }
        if (before is null && change.Value is null)
        {
            return new(null, version);
        }
        await connection.ExecuteAsync(new CommandDefinition(
            change.Value is null ? change.RemoveSql : change.WriteSql, parameters, transaction, cancellationToken: ct));
        if (change.Told(parameters.now) is { } told)
        {
            await transaction.PublishAsync([told], ct);
        }
        await connection.ExecuteAsync(new CommandDefinition(
            """
            insert into devices.audit (at, who, kind, key, action, before, after)
            values (@now, @who, @Kind, @Key, @action, @before::jsonb, @Value::jsonb)
            """,
            new
            {
                parameters.now,
                who,
                change.Kind,
                change.Key,
                action = action ?? (before is null ? "create" : change.Value is null ? "delete" : "update"),
                before = before?.Value,
                change.Value,
            },
            transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        await TellAsync(version);
        return new(null, version);
    }

    /// <summary>Every gateway keeps all rules and all blocked devices in memory.</summary>
    private async Task<ChangeRefusal?> RoomAsync(NpgsqlTransaction transaction, Change change, bool isNew, CancellationToken ct)
    {
        var (table, most) = change.Kind switch
        {
            "rule" => ("devices.rule", MostRules),
            "device" => ("devices.device_block", options.Value.MostBlockedDevices),
            _ => (null, 0),
        };
        if (table is null || !isNew || change.Value is null)
        {
            return null;
        }
        var count = await transaction.Connection!.ExecuteScalarAsync<long>(new CommandDefinition(
            $"select count(*) from {table}", transaction: transaction, cancellationToken: ct));
        return count < most ? null : new(409, $"There are {count} of this kind, and {most} at most. Remove some first.");
    }

    private async Task TellAsync(long version)
    {
        if (_redis is null)
        {
            return;
        }
        try
        {
            await _redis.GetSubscriber().PublishAsync(
                RedisChannel.Literal(AppRuleSet.Channel), version.ToString(CultureInfo.InvariantCulture), StackExchange.Redis.CommandFlags.FireAndForget);
        }
        catch (RedisException exception)
        {
            // It is in the database, and the gateways look there by themselves.
            logger.LogWarning(exception, "Redis is away: the gateways learn of version {Version} at their next poll", version);
        }
    }

    private sealed class CurrentRow
    {
        public required string Value { get; init; }

        public long? Version { get; init; }
    }

    private sealed class AuditRow
    {
        public long Id { get; init; }

        public DateTime At { get; init; }

        public string Who { get; init; } = "";

        public required string Kind { get; init; }

        public required string Key { get; init; }

        public string Action { get; init; } = "";

        public string? Before { get; init; }

        public string? After { get; init; }

        public AuditEntry ToEntry() => new(Id, At, Who, Kind, Key, Action, Read(Before), Read(After));

        private static JsonElement? Read(string? json) => json is null ? null : JsonElement.Parse(json);
    }
}
