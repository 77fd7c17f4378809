using System.Buffers.Text;
using System.Security.Cryptography;
using Dapper;
using MobileServices.Analytics.Ingest;
using Npgsql;

namespace MobileServices.Analytics.Administration;

/// <summary>Apps, their write keys, what was dropped, and who changed what.</summary>
internal sealed class AppStore(NpgsqlDataSource database, TimeProvider time)
{
    public async Task<IReadOnlyList<TrackedApp>> ListAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<TrackedApp>(new CommandDefinition(
            "select app_id as AppId, name, retention_days as RetentionDays from analytics.app order by app_id limit 1000", cancellationToken: ct));
        return [.. rows];
    }

    /// <returns>Null when there is no such app.</returns>
    public async Task<int?> FindAsync(string appId, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<int?>(new CommandDefinition("select id from analytics.app where app_id = @appId", new { appId }, cancellationToken: ct));
    }

    public async Task SaveAsync(TrackedApp app, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            """
            insert into analytics.app (app_id, name, retention_days, created_at) values (@AppId, @Name, @RetentionDays, @now)
            on conflict (app_id) do update set name = excluded.name, retention_days = excluded.retention_days
            """,
            new { app.AppId, app.Name, app.RetentionDays, now = time.GetUtcNow() }, transaction, cancellationToken: ct));
        await NoteAsync(connection, transaction, who, app.AppId, "saved", $"retention {app.RetentionDays?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "as set for all"}", ct);
        await transaction.CommitAsync(ct);
    }

    /// <returns>The only time that the key is told.</returns>
    public async Task<NewKey> AddKeyAsync(int app, string appId, string name, string who, CancellationToken ct)
    {
        var key = $"wk_{Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(24))}";
        var id = Guid.CreateVersion7();
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "insert into analytics.write_key (id, app, hash, name, created_at, created_by) values (@id, @app, @hash, @name, @now, @who)",
            new { id, app, hash = WriteKeys.Hash(key), name, now = time.GetUtcNow(), who }, transaction, cancellationToken: ct));
        await NoteAsync(connection, transaction, who, appId, "key added", id.ToString(), ct);
        await transaction.CommitAsync(ct);
        return new(id, name, key);
    }

    public async Task<IReadOnlyList<WriteKeyRow>> KeysAsync(int app, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<WriteKeyRow>(new CommandDefinition(
            "select id, name, created_at as CreatedAt, created_by as CreatedBy, revoked_at as RevokedAt from analytics.write_key where app = @app order by created_at desc limit 1000",
            new { app }, cancellationToken: ct));
        return [.. rows];
    }

    public async Task<bool> RevokeKeyAsync(int app, string appId, Guid id, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var revoked = await connection.ExecuteAsync(new CommandDefinition(
            "update analytics.write_key set revoked_at = @now where id = @id and app = @app and revoked_at is null", new { id, app, now = time.GetUtcNow() }, transaction, cancellationToken: ct));
        if (revoked is 0)
        {
            return false;
        }
        await NoteAsync(connection, transaction, who, appId, "key revoked", id.ToString(), ct);
        await transaction.CommitAsync(ct);
        return true;
    }

    /// <param name="app">0 for requests without a known key.</param>
    public async Task<IReadOnlyList<DroppedCount>> DroppedAsync(int app, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<DroppedCount>(new CommandDefinition(
            "select day::text as Day, reason, events from analytics.dropped where app = @app order by dropped.day desc, reason limit 1000", new { app }, cancellationToken: ct));
        return [.. rows];
    }

    public async Task<IngestStatus> StatusAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.QuerySingleAsync<IngestStatus>(new CommandDefinition(
            "select coalesce(sum(events), 0)::bigint as Waiting from analytics.batch", cancellationToken: ct));
    }

    public async Task<IReadOnlyList<AnalyticsAudit>> AuditAsync(long? before, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<AnalyticsAudit>(new CommandDefinition(
            "select id, at, who, app_id as AppId, action, detail from analytics.audit where id < @before order by id desc limit 100", new { before = before ?? long.MaxValue }, cancellationToken: ct));
        return [.. rows];
    }

    public async Task NoteAsync(NpgsqlConnection connection, NpgsqlTransaction transaction, string who, string appId, string action, string detail, CancellationToken ct) =>
        await connection.ExecuteAsync(new CommandDefinition(
            "insert into analytics.audit (at, who, app_id, action, detail) values (@now, @who, @appId, @action, @detail)",
            new { now = time.GetUtcNow(), who, appId, action, detail }, transaction, cancellationToken: ct));
}

/// <param name="AppId">A reverse domain name, as devices say it.</param>
/// <param name="RetentionDays">How long its events are kept; null for the setting's time.</param>
internal sealed record TrackedApp(string AppId, string Name, int? RetentionDays);

/// <param name="Key">Is told here and never again.</param>
internal sealed record NewKey(Guid Id, string Name, string Key);

internal sealed class WriteKeyRow
{
    public Guid Id { get; init; }

    public required string Name { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public required string CreatedBy { get; init; }

    public DateTimeOffset? RevokedAt { get; init; }
}

/// <param name="Reason">See the README.</param>
internal sealed record DroppedCount(string Day, string Reason, long Events);

/// <param name="Waiting">Events that are durable and not in the numbers yet.</param>
internal sealed record IngestStatus(long Waiting);

internal sealed class AnalyticsAudit
{
    public long Id { get; init; }

    public DateTimeOffset At { get; init; }

    public required string Who { get; init; }

    public required string AppId { get; init; }

    public required string Action { get; init; }

    public required string Detail { get; init; }
}
