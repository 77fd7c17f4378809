using System.Diagnostics;
using System.Globalization;
using System.Text;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Queries;
using Npgsql;

namespace MobileServices.Sync.Changes;

/// <summary>Reads changes in the order of their commits, a page at a time.</summary>
internal sealed class ChangeReader([FromKeyedServices(SyncSetup.Prepared)] NpgsqlDataSource source)
{
    /// <summary>Rows of a page, and bytes of documents after which it ends.</summary>
    public const int PageRows = 500;
    private const int PageBytes = 2_097_152;
    private static readonly TimeSpan ScriptTime = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The database as it is now, whatever is up to its <c>UpdateSeq</c> can be read; and in the same round trip the page after a sequence, for most
    /// feeds ask for that and no more.
    /// </summary>
    /// <param name="after">Null for no page. When it is not the sequence after all, its page is not asked for.</param>
    public async Task<(DatabaseRow? Database, ChangePage? Page)> OpenAsync(DatabaseKey key, long? after, long limit, ChangeQuery query, CancellationToken ct)
    {
        await using var batch = source.CreateBatch();
        batch.BatchCommands.Add(DatabaseStore.ToFind(key));
        var rows = Rows(limit, query);
        if (after is { } seq)
        {
            // Rows that are seen later than the database may be beyond it: these are left for later.
            batch.BatchCommands.Add(Select(query, "", seq, long.MaxValue, rows, new NpgsqlParameter<string> { TypedValue = key.App }, new NpgsqlParameter<string> { TypedValue = key.Owner }, new NpgsqlParameter<string> { TypedValue = key.Name }));
            batch.BatchCommands.Add(new("select horizon from sync.database where app = $1 and owner = $2 and name = $3")
            {
                Parameters = { new NpgsqlParameter<string> { TypedValue = key.App }, new NpgsqlParameter<string> { TypedValue = key.Owner }, new NpgsqlParameter<string> { TypedValue = key.Name } },
            });
        }
        await using var reader = await batch.ExecuteReaderAsync(ct);
        if (await DatabaseStore.ReadAsync(reader, ct) is not { } database)
        {
            return (null, null);
        }
        if (after is not { } from)
        {
            return (database, null);
        }
        await reader.NextResultAsync(ct);
        return (database, await ReadAsync(reader, from, database.UpdateSeq, database.UpdateSeq, limit, rows, query, ct));
    }

    /// <param name="after">Not this one, and on from it in the order asked for.</param>
    /// <param name="upTo">What came later is left for later.</param>
    public async Task<ChangePage> PageAsync(long databaseId, long after, long upTo, long limit, ChangeQuery query, CancellationToken ct)
    {
        // Up to there without deletions, in pages of their own: an index has just these.
        var skips = query.SkippedUpTo > after && !query.Descending;
        var end = skips ? Math.Min(upTo, query.SkippedUpTo) : upTo;
        var rows = Rows(limit, query);
        await using var batch = source.CreateBatch();
        batch.BatchCommands.Add(Select(query, skips ? " and not d.deleted" : "", after, end, rows, new NpgsqlParameter<long> { TypedValue = databaseId }));
        // After the rows: whatever was gone when they were read is below it.
        batch.BatchCommands.Add(new("select horizon from sync.database where id = $1") { Parameters = { new NpgsqlParameter<long> { TypedValue = databaseId } } });
        await using var reader = await batch.ExecuteReaderAsync(ct);
        return await ReadAsync(reader, after, end, upTo, limit, rows, query, ct);
    }

    private static int Rows(long limit, ChangeQuery query) => query.Filter.Where is null ? (int)Math.Min(limit, PageRows) : PageRows;

    private static bool WithBody(ChangeQuery query) => query.IncludeDocs || query.Filter.Where is not null;

    /// <param name="database">Its id, or the parts of its key.</param>
    private static NpgsqlBatchCommand Select(ChangeQuery query, string only, long after, long upTo, int rows, params NpgsqlParameter[] database)
    {
        var sql = new StringBuilder("select d.doc_id, d.seq, d.rev, d.deleted, d.others");
        sql.Append(WithBody(query) ? ", d.body, d.attachments" : "").Append(" from sync.document d where d.db_id = ")
            .Append(database.Length is 1 ? "$4" : "(select id from sync.database where app = $4 and owner = $5 and name = $6)")
            .Append(query.Descending ? " and d.seq < $1 and d.seq > $2" : " and d.seq > $1 and d.seq <= $2").Append(only);
        var command = new NpgsqlBatchCommand { Parameters = { new NpgsqlParameter<long> { TypedValue = after }, new NpgsqlParameter<long> { TypedValue = upTo }, new NpgsqlParameter<int> { TypedValue = rows } } };
        foreach (var parameter in database)
        {
            command.Parameters.Add(parameter);
        }
        if (query.Filter.Ids is { } ids)
        {
            command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = ids });
            sql.Append(CultureInfo.InvariantCulture, $" and d.doc_id = any (${command.Parameters.Count})");
        }
        if (query.Filter.DesignOnly)
        {
            sql.Append(" and d.doc_id >= '_design/' and d.doc_id < '_design0'");
        }
        command.CommandText = sql.Append(" order by d.seq ").Append(query.Descending ? "desc" : "asc").Append(" limit $3").ToString();
        return command;
    }

    /// <param name="end">Up to there it was asked.</param>
    private static async Task<ChangePage> ReadAsync(NpgsqlDataReader reader, long after, long end, long upTo, long limit, int rows, ChangeQuery query, CancellationToken ct)
    {
        var where = query.Filter.Where;
        var withBody = WithBody(query);
        var found = new List<StoredDocument>(Math.Min(rows, 64));
        var began = Stopwatch.GetTimestamp();
        var (bytes, read, last) = (0, 0, after);
        while (found.Count < limit && await reader.ReadAsync(ct))
        {
            var seq = reader.GetInt64(1);
            if (seq > end && !query.Descending)
            {
                break;
            }
            var document = new StoredDocument(
                reader.GetString(0), seq, reader.GetString(2), reader.GetBoolean(3), reader.IsDBNull(4) ? null : reader.GetString(4), [],
                withBody ? reader.GetFieldValue<byte[]>(5) : [], withBody && !reader.IsDBNull(6) ? reader.GetString(6) : null);
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
