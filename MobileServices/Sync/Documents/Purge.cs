using MobileServices.Sync.Revisions;
using Npgsql;

namespace MobileServices.Sync.Documents;

/// <summary>Takes revisions out for good.</summary>
internal sealed class Purge(NpgsqlDataSource source)
{
    public async Task<Dictionary<string, List<Rev>>> RunAsync(long databaseId, Dictionary<string, List<Rev>> asked, CancellationToken ct)
    {
        var purged = new Dictionary<string, List<Rev>>(StringComparer.Ordinal);
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var seq = (long?)await RunAsync(connection, "select update_seq from sync.database where id = $1 for no key update", ct, databaseId) ?? throw SyncException.NoDatabase();
        foreach (var (id, revs) in asked)
        {
            var (tree, rev, isDeleted) = await OpenAsync(connection, databaseId, id, ct);
            purged[id] = tree?.Purge(revs) ?? [];
            if (tree is null || purged[id].Count is 0)
            {
                continue;
            }
            await RunAsync(connection, """
                insert into sync.body (db_id, doc_id, rev, deleted, body, attachments)
                select db_id, doc_id, rev, deleted, body, attachments from sync.document where db_id = $1 and doc_id = $2 on conflict do nothing
                """, ct, databaseId, id);
            var leaves = tree.Leaves();
            if (leaves.Count is 0)
            {
                await RunAsync(connection, "delete from sync.document where db_id = $1 and doc_id = $2", ct, databaseId, id);
                await RunAsync(connection, "delete from sync.body where db_id = $1 and doc_id = $2", ct, databaseId, id);
                await RunAsync(connection, $"update sync.database set {(isDeleted ? "deleted_count = deleted_count" : "doc_count = doc_count")} - 1 where id = $1", ct, databaseId);
                continue;
            }
            seq++;
            var winner = leaves[0];
            await RunAsync(connection, """
                update sync.document d set seq = $3, rev = $4, deleted = $5, deleted_at = case when $5 then now() end, others = $6, tree = $7, body = b.body, attachments = b.attachments
                from sync.body b where d.db_id = $1 and d.doc_id = $2 and b.db_id = $1 and b.doc_id = $2 and b.rev = $4
                """, ct, databaseId, id, seq, winner.Rev.ToString(), winner.Deleted,
                leaves.Count is 1 ? DBNull.Value : string.Join(' ', leaves.Skip(1).Select(leaf => leaf.Deleted ? $"{leaf.Rev}!" : leaf.Rev.ToString())), tree.ToBytes());
            // Of the ancestors that went with them too.
            await RunAsync(connection, "delete from sync.body where db_id = $1 and doc_id = $2 and rev <> all ($3)", ct, databaseId, id, tree.Revs.Select(one => one.ToString()).ToArray());
            if (winner.Deleted != isDeleted)
            {
                await RunAsync(connection, "update sync.database set doc_count = doc_count + $2, deleted_count = deleted_count - $2 where id = $1", ct, databaseId, isDeleted ? 1 : -1);
            }
        }
        await RunAsync(connection, "update sync.database set update_seq = $2, purge_seq = purge_seq + 1 where id = $1", ct, databaseId, seq);
        await transaction.CommitAsync(ct);
        return purged;
    }

    private static async Task<(RevisionTree? Tree, string Rev, bool IsDeleted)> OpenAsync(NpgsqlConnection connection, long databaseId, string id, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select tree, rev, deleted from sync.document where db_id = $1 and doc_id = $2", connection);
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = id });
        await using var reader = await command.ExecuteReaderAsync(ct);
        return await reader.ReadAsync(ct) ? (RevisionTree.Read(reader.GetFieldValue<byte[]>(0)), reader.GetString(1), reader.GetBoolean(2)) : (null, "", false);
    }

    private static async Task<object?> RunAsync(NpgsqlConnection connection, string sql, CancellationToken ct, params object[] values)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
        {
            command.Parameters.Add(value is DBNull ? new() { Value = value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text } : new() { Value = value });
        }
        return await command.ExecuteScalarAsync(ct);
    }
}
