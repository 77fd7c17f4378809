using System.Globalization;
using Dapper;
using MobileServices.Sync.Documents;
using Npgsql;

namespace MobileServices.Sync.Admin;

internal sealed record AdminFilter(string? App, string? User, string? Database);

/// <param name="User">Whose database it is; null for a shared one.</param>
/// <param name="Sequence">Of its last change.</param>
/// <param name="Rev">The revision that wins.</param>
/// <param name="Conflicts">The other leaves that live, in the order in which they would win.</param>
internal sealed record ConflictedDocument(string App, string? User, string Database, string Id, string Sequence, string Rev, IReadOnlyList<string> Conflicts);

/// <param name="User">Who is logged in there.</param>
/// <param name="AppId">As the device says it; null when it does not.</param>
/// <param name="Asked">The sequence after which it has asked for changes last, such as <c>12-3f2a9b41</c>.</param>
/// <param name="Checkpoint">The sequence up to which it has written down that it has all; null for clients that keep that to themselves.</param>
/// <param name="UpdateSequence">How far the database is.</param>
/// <param name="Behind">How many changes it has not, at most: one that was changed again is counted for each time.</param>
internal sealed record DeviceState(
    string App, string User, string Database, bool IsShared, Guid DeviceId, string? AppId, string? Asked, DateTime? AskedAt, string? Checkpoint, DateTime? CheckpointAt, DateTime SeenAt,
    string UpdateSequence, long Behind);

internal sealed class AdminStore(NpgsqlDataSource database)
{
    private const string Filter = "(@App::text is null or s.app = @App) and (@Database::text is null or s.name = @Database)";

    /// <param name="after">Database and document of the last row before.</param>
    public async Task<List<(long DatabaseId, ConflictedDocument Document)>> ConflictsAsync(AdminFilter filter, (long Database, string Id) after, int limit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<ConflictRow>(new CommandDefinition($"""
            select d.db_id as DatabaseId, s.app, s.owner, s.name, s.epoch, d.doc_id as Id, d.seq, d.rev, d.others
            from sync.document d join sync.database s on s.id = d.db_id
            where not d.deleted and d.others ~ '(^| )[^ !]+( |$)' and (d.db_id, d.doc_id) > (@afterDatabase, @afterId) and {Filter} and (@User::text is null or s.owner = @User)
            order by d.db_id, d.doc_id limit @limit
            """, new { filter.App, filter.User, filter.Database, afterDatabase = after.Database, afterId = after.Id, limit }, cancellationToken: ct));
        return [.. rows.Select(row => (row.DatabaseId, new ConflictedDocument(
            row.App, row.Owner is "" ? null : row.Owner, row.Name, row.Id, Sequence(row.Seq, row.Epoch), row.Rev,
            [.. StoredDocument.Read(row.Others).Where(other => !other.Deleted).Select(other => other.Rev)])))];
    }

    /// <param name="after">Database, device and user of the last row before.</param>
    public async Task<List<(long DatabaseId, DeviceState Device)>> DevicesAsync(
        AdminFilter filter, Guid? device, (long Database, Guid Device, string User) after, int limit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<DeviceRow>(new CommandDefinition($"""
            select v.db_id as DatabaseId, s.app, v.user_id as User, s.name, s.owner = '' as IsShared, s.epoch, v.device_id as DeviceId, v.app_id as AppId, v.asked_seq as Asked, v.asked_at as AskedAt,
                v.checkpoint_seq as Checkpoint, v.checkpoint_at as CheckpointAt, v.seen_at as SeenAt, s.update_seq as UpdateSeq
            from sync.device v join sync.database s on s.id = v.db_id
            where (v.db_id, v.device_id, v.user_id) > (@afterDatabase, @afterDevice, @afterUser) and {Filter} and (@User::text is null or v.user_id = @User) and (@device::uuid is null or v.device_id = @device)
            order by v.db_id, v.device_id, v.user_id limit @limit
            """, new { filter.App, filter.User, filter.Database, device, afterDatabase = after.Database, afterDevice = after.Device, afterUser = after.User, limit }, cancellationToken: ct));
        return [.. rows.Select(row => (row.DatabaseId, new DeviceState(
            row.App, row.User, row.Name, row.IsShared, row.DeviceId, row.AppId, Sequence(row.Asked, row.Epoch), row.AskedAt, Sequence(row.Checkpoint, row.Epoch), row.CheckpointAt, row.SeenAt,
            Sequence(row.UpdateSeq, row.Epoch), row.UpdateSeq - (row.Checkpoint ?? row.Asked ?? 0))))];
    }

    [return: System.Diagnostics.CodeAnalysis.NotNullIfNotNull(nameof(seq))]
    private static string? Sequence(long? seq, string epoch) => seq is { } number ? string.Create(CultureInfo.InvariantCulture, $"{number}-{epoch}") : null;

    private sealed record ConflictRow(long DatabaseId, string App, string Owner, string Name, string Epoch, string Id, long Seq, string Rev, string Others);

    private sealed class DeviceRow
    {
        public long DatabaseId { get; init; }

        public string App { get; init; } = "";

        public string User { get; init; } = "";

        public string Name { get; init; } = "";

        public bool IsShared { get; init; }

        public string Epoch { get; init; } = "";

        public Guid DeviceId { get; init; }

        public string? AppId { get; init; }

        public long? Asked { get; init; }

        public DateTime? AskedAt { get; init; }

        public long? Checkpoint { get; init; }

        public DateTime? CheckpointAt { get; init; }

        public DateTime SeenAt { get; init; }

        public long UpdateSeq { get; init; }
    }
}
