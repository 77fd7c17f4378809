using System.Diagnostics;
using System.Text;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Queries;
using Npgsql;

namespace MobileServices.Sync.Changes;

/// <summary>Reads changes in the order of their commits, a page at a time.</summary>
internal sealed class ChangeReader(NpgsqlDataSource source, DatabaseStore databases)
{
    /// <summary>Rows of a page, and bytes of documents after which it ends.</summary>
    public const int PageRows = 500;
    private const int PageBytes = 2_097_152;
    private static readonly TimeSpan ScriptTime = TimeSpan.FromSeconds(1);

    /// <summary>The database as it is now: whatever is up to its <c>UpdateSeq</c> can be read.</summary>
    public Task<DatabaseRow?> NowAsync(SyncCall call, CancellationToken ct) => databases.TryFindAsync(call.Database, ct);

    /// <param name="after">Not this one, and on from it in the order asked for.</param>
    /// <param name="upTo">What came later is left for later.</param>
    public async Task<ChangePage> PageAsync(long databaseId, long after, long upTo, long limit, ChangeQuery query, CancellationToken ct)
    {
        var where = query.Filter.Where;
        var withBody = query.IncludeDocs || where is not null;
        var rows = where is null ? (int)Math.Min(limit, PageRows) : PageRows;
        var sql = new StringBuilder("select d.doc_id, d.seq, d.rev, d.deleted, d.others");
        sql.Append(withBody ? ", d.tree, d.body, d.attachments" : "").Append(" from sync.document d where d.db_id = $1 and ")
            .Append(query.Descending ? "d.seq < $2 and d.seq > $3" : "d.seq > $2 and d.seq <= $3");
        if (query.Filter.Ids is not null)
        {
            sql.Append(" and d.doc_id = any ($5)");
        }
        if (query.Filter.DesignOnly)
        {
            sql.Append(" and d.doc_id >= '_design/' and d.doc_id < '_design0'");
        }
        // Up to there without deletions, in pages of their own: an index has just these.
        var skips = query.SkippedUpTo > after && !query.Descending;
        var end = skips ? Math.Min(upTo, query.SkippedUpTo) : upTo;
        sql.Append(skips ? " and not d.deleted" : "");
        sql.Append(" order by d.seq ").Append(query.Descending ? "desc" : "asc").Append(" limit $4");
        await using var batch = source.CreateBatch();
        var command = new NpgsqlBatchCommand(sql.ToString());
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = after });
        command.Parameters.Add(new() { Value = end });
        command.Parameters.Add(new() { Value = rows });
        if (query.Filter.Ids is { } ids)
        {
            command.Parameters.Add(new() { Value = ids });
        }
        batch.BatchCommands.Add(command);
        // After the rows: whatever was gone when they were read is below it.
        batch.BatchCommands.Add(new("select horizon from sync.database where id = $1") { Parameters = { new() { Value = databaseId } } });
        await using var reader = await batch.ExecuteReaderAsync(ct);
        var found = new List<StoredDocument>(Math.Min(rows, 64));
        var began = Stopwatch.GetTimestamp();
        var (bytes, read, last) = (0, 0, after);
        while (found.Count < limit && await reader.ReadAsync(ct))
        {
            var document = withBody
                ? DocumentStore.Read(reader)
                : new StoredDocument(reader.GetString(0), reader.GetInt64(1), reader.GetString(2), reader.GetBoolean(3), reader.IsDBNull(4) ? null : reader.GetString(4), [], [], null);
            read++;
            last = document.Seq;
            bytes += document.Body.Length;
            if (where is null || Is(document, where))
            {
                found.Add(document);
            }
            // A function of a design document may be slow, and a connection is not its to hold.
            if (bytes > PageBytes || (query.Filter.Function is not null && Stopwatch.GetElapsedTime(began) > ScriptTime))
            {
                return new(found, last, IsLast: false, await HorizonAsync(reader, ct));
            }
        }
        var isOver = read < rows && found.Count < limit;
        return new(found, isOver && end < upTo ? end : last, isOver && end == upTo, await HorizonAsync(reader, ct));
    }

    private static async Task<long> HorizonAsync(NpgsqlDataReader reader, CancellationToken ct) =>
        await reader.NextResultAsync(ct) && await reader.ReadAsync(ct) ? reader.GetInt64(0) : 0;

    private static bool Is(StoredDocument document, Selector.Condition where)
    {
        using var json = document.ToJson();
        return where(json.RootElement);
    }
}

/// <param name="Last">Up to here changes were looked at, whether or not they were told of.</param>
/// <param name="Horizon">Of the database, when the rows were read.</param>
internal readonly record struct ChangePage(List<StoredDocument> Rows, long Last, bool IsLast, long Horizon);
