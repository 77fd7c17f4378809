using System.Data;
using System.Runtime.CompilerServices;
using System.Text;
using Dapper;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Queries;
using Npgsql;

namespace MobileServices.Sync.Indexes;

/// <summary>From where to where an index is read, whatever the direction.</summary>
/// <param name="From">The code of the lowest key; null for all.</param>
/// <param name="FromId">Of the entries with that key, from this document on.</param>
/// <param name="To">Below this code; null for all. To have all of a key, <see cref="KeyCode.After"/> follows its code.</param>
/// <param name="ToId">Of the entries with the key <paramref name="To"/>, those up to this document too.</param>
internal sealed record ScanRange(byte[]? From = null, string? FromId = null, byte[]? To = null, string? ToId = null, bool IncludesFromId = true, bool IncludesToId = true);

/// <summary>Where a reader is.</summary>
internal readonly record struct ScanPosition(byte[] Key, string Id, int N);

/// <param name="Document">The document as it is now, when it was asked for and is there: the one that the value names, otherwise its own.</param>
/// <param name="Looked">How many entries were looked at for it: those that were left out before it are counted with it.</param>
internal sealed record ScanRow(ScanPosition Position, string? Key, string? Value, string? Link, StoredDocument? Document, int Looked);

/// <summary>
/// An index in the order of its keys, as it is at one moment: until more of it than <see cref="Enough"/> goes to a client, who may be slow. From then on
/// no connection is held while something is sent, and the index is read on from where it was, as it is by then.
/// </summary>
internal sealed class IndexScan : IAsyncDisposable
{
    /// <summary>Bytes of an answer that are gathered at one moment.</summary>
    private const int Enough = 1_048_576;
    private const int PageRows = 500;
    private const int NarrowedRows = 1000;
    private const int PageBytes = 2_097_152;

    private readonly NpgsqlDataSource _source;
    private readonly long _databaseId;
    private NpgsqlConnection? _connection;

    private IndexScan(NpgsqlDataSource source, long databaseId, NpgsqlConnection connection, IndexRow index) =>
        (_source, _databaseId, _connection, Index) = (source, databaseId, connection, index);

    public IndexRow Index { get; private set; }

    /// <returns>Null when the index is gone.</returns>
    public static async Task<IndexScan?> OpenAsync(NpgsqlDataSource source, long databaseId, long indexId, CancellationToken ct) =>
        await HoldAsync(source, indexId, ct) is { } held ? new(source, databaseId, held.Connection, held.Index) : null;

    /// <summary>Its transaction ends with the connection.</summary>
    private static async Task<(NpgsqlConnection Connection, IndexRow Index)?> HoldAsync(NpgsqlDataSource source, long indexId, CancellationToken ct)
    {
        var connection = await source.OpenConnectionAsync(ct);
        IndexRow? index = null;
        try
        {
            await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, ct);
            index = await connection.QuerySingleOrDefaultAsync<IndexRow>(new CommandDefinition($"select {IndexStore.Columns} from sync.index where id = @indexId", new { indexId }, cancellationToken: ct));
            return index is null ? null : (connection, index);
        }
        finally
        {
            if (index is null)
            {
                await connection.DisposeAsync();
            }
        }
    }

    /// <summary>Gives the connection back: before anything is sent to a client.</summary>
    public async ValueTask ReleaseAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            await connection.DisposeAsync();
        }
    }

    /// <summary>Sends what is there of an answer once it is much.</summary>
    public async ValueTask SendSomeAsync(JsonOut answer, CancellationToken ct)
    {
        if (answer.Written.Length >= Enough)
        {
            await ReleaseAsync();
            await answer.SendAsync(ct);
        }
    }

    /// <param name="after">On from there, in the direction.</param>
    /// <param name="narrowing">Leaves documents out.</param>
    /// <exception cref="SyncException">The index was removed meanwhile.</exception>
    public async IAsyncEnumerable<ScanRow> ReadAsync(
        ScanRange range, bool descending, bool withDocuments, ScanPosition? after = null, Narrowing? narrowing = null, [EnumeratorCancellation] CancellationToken ct = default)
    {
        for (var isLast = false; !isLast;)
        {
            (var page, isLast) = await PageAsync(range, descending, withDocuments, after, narrowing?.Next(), ct);
            foreach (var row in page)
            {
                after = row.Position;
                narrowing?.Add(row.Looked);
                yield return row;
            }
        }
    }

    /// <summary>A page is in memory as a whole: whoever reads it may send it.</summary>
    private async Task<(List<ScanRow> Rows, bool IsLast)> PageAsync(ScanRange range, bool descending, bool withDocuments, ScanPosition? after, Narrowed? narrowed, CancellationToken ct)
    {
        if (_connection is null)
        {
            (_connection, Index) = await HoldAsync(_source, Index.Id, ct) ?? throw new SyncException(503, "service_unavailable", "The index was removed while it was read. Ask again.");
        }
        await using var command = Page(range, descending, withDocuments, after, narrowed);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var (page, looked, count) = (new List<ScanRow>(), 0L, 0L);
        while (await reader.ReadAsync(ct))
        {
            var n = reader.GetInt64(8);
            page.Add(new(
                new([.. reader.GetFieldValue<byte[]>(0), .. reader.GetFieldValue<byte[]>(1)], reader.GetString(2), reader.GetInt32(3)),
                Text(4), Text(5), Text(6), withDocuments && !reader.IsDBNull(9) ? DocumentStore.Read(reader, 9) : null, (int)(n - looked)));
            (looked, count) = (n, reader.GetInt64(7));
        }
        return (page, looked == count && count < RowsOf(narrowed));

        string? Text(int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
    }

    private static int RowsOf(Narrowed? narrowed) => narrowed is null ? PageRows : NarrowedRows;

    private NpgsqlCommand Page(ScanRange range, bool descending, bool withDocuments, ScanPosition? after, Narrowed? narrowed)
    {
        var command = new NpgsqlCommand { Connection = _connection };
        var sql = new StringBuilder("select e.* from sync.index_entry e where e.index_id = $1");
        Give(Index.Id);
        if (withDocuments)
        {
            Give(_databaseId);
            narrowed?.AddTo(command.Parameters);
        }
        Compare(range.From, range.FromId, null, range.FromId is null || range.IncludesFromId ? ">=" : ">");
        Compare(range.To, range.ToId, null, range.ToId is not null && range.IncludesToId ? "<=" : "<");
        Compare(after?.Key, after?.Id, after?.N, descending ? "<" : ">");
        // With the rest of long keys the rows of the same head are sorted; without it the primary key has the order.
        var direction = descending ? " desc" : "";
        string Order(string id) => $"head{direction},{(Index.LongKeys ? $" rest{direction}," : "")} {id}{direction}, n{direction}";
        var size = $"coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0){(withDocuments ? " + coalesce(octet_length(body), 0)" : "")}";
        // Sizes are read without the texts: of the rows those that stay within the bytes of a page, the first at least.
        command.CommandText = $"""
            select d.head, d.rest, d.entry_id, d.n, d.key, d.value, d.link, d.rows, d.nth{(withDocuments ? $", {DocumentStore.Columns}" : "")} from (
                select e.head, e.rest, e.doc_id as entry_id, e.n, e.key, e.value, e.link{(withDocuments ? ", d.*" : "")}, count(*) over () as rows, {size} as size,
                    row_number() over (order by {Order("e.doc_id")}) as nth, coalesce(sum({size}) over (order by {Order("e.doc_id")} rows between unbounded preceding and 1 preceding), 0) as before
                from ({sql} order by {Order("e.doc_id")} limit {RowsOf(narrowed)}) as e
                {(withDocuments ? "left join sync.document d on d.db_id = $2 and d.doc_id = coalesce(e.link, e.doc_id)" : "")}) as d{narrowed?.From}
            where d.before < {PageBytes}{narrowed?.And($"d.nth = d.rows or d.before + d.size >= {PageBytes}")} order by {Order("d.entry_id")}
            """;
        return command;

        void Compare(byte[]? key, string? id, int? n, string how)
        {
            if (key is null)
            {
                return;
            }
            var (head, rest) = EntryBatch.Parts(key);
            var parts = new List<(string Column, object Value)> { ("e.head", head) };
            if (Index.LongKeys || rest.Length > 0)
            {
                parts.Add(("e.rest", rest));
            }
            if (id is not null)
            {
                parts.Add(("e.doc_id", id));
            }
            if (n is not null)
            {
                parts.Add(("e.n", n));
            }
            sql.Append(" and (").AppendJoin(", ", parts.Select(part => part.Column)).Append(") ").Append(how).Append(" (").AppendJoin(", ", parts.ConvertAll(part => Give(part.Value))).Append(')');
        }

        string Give(object value)
        {
            command.Parameters.Add(new() { Value = value });
            return $"${command.Parameters.Count}";
        }
    }

    public ValueTask DisposeAsync() => ReleaseAsync();
}
