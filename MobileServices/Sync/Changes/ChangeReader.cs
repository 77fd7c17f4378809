using System.Text;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using Npgsql;

namespace MobileServices.Sync.Changes;

/// <summary>Reads changes in the order of their commits, a page at a time.</summary>
internal sealed class ChangeReader(NpgsqlDataSource source, DatabaseStore databases)
{
    /// <summary>Rows of a page, and bytes of documents after which it ends.</summary>
    public const int PageRows = 500;
    private const int PageBytes = 2_097_152;

    /// <summary>The database as it is now: whatever is up to its <c>UpdateSeq</c> can be read.</summary>
    public Task<DatabaseRow?> NowAsync(SyncCall call, CancellationToken ct) => databases.TryFindAsync(call.Database, ct);

    /// <param name="after">Not this one, and on from it in the order asked for.</param>
    /// <param name="upTo">What came later is left for later.</param>
    public async Task<ChangePage> PageAsync(long databaseId, long after, long upTo, long limit, ChangeQuery query, CancellationToken ct)
    {
        var rows = (int)Math.Min(limit, PageRows);
        var sql = new StringBuilder("select d.doc_id, d.seq, d.rev, d.deleted, d.others");
        sql.Append(query.IncludeDocs ? ", d.tree, d.body, d.attachments" : "").Append(" from sync.document d where d.db_id = $1 and ")
            .Append(query.Descending ? "d.seq < $2 and d.seq > $3" : "d.seq > $2 and d.seq <= $3");
        if (query.Filter.Ids is not null)
        {
            sql.Append(" and d.doc_id = any ($5)");
        }
        if (query.Filter.DesignOnly)
        {
            sql.Append(" and d.doc_id >= '_design/' and d.doc_id < '_design0'");
        }
        sql.Append(" order by d.seq ").Append(query.Descending ? "desc" : "asc").Append(" limit $4");
        await using var command = source.CreateCommand(sql.ToString());
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = after });
        command.Parameters.Add(new() { Value = upTo });
        command.Parameters.Add(new() { Value = rows });
        if (query.Filter.Ids is { } ids)
        {
            command.Parameters.Add(new() { Value = ids });
        }
        await using var reader = await command.ExecuteReaderAsync(ct);
        var found = new List<StoredDocument>(Math.Min(rows, 64));
        var bytes = 0;
        while (await reader.ReadAsync(ct))
        {
            var document = query.IncludeDocs
                ? DocumentStore.Read(reader)
                : new StoredDocument(reader.GetString(0), reader.GetInt64(1), reader.GetString(2), reader.GetBoolean(3), reader.IsDBNull(4) ? null : reader.GetString(4), [], [], null);
            found.Add(document);
            bytes += document.Body.Length;
            if (bytes > PageBytes)
            {
                return new(found, IsLast: false);
            }
        }
        return new(found, IsLast: found.Count < rows);
    }
}

internal readonly record struct ChangePage(List<StoredDocument> Rows, bool IsLast);
