using System.Data;
using System.Runtime.CompilerServices;
using System.Text;
using Dapper;
using MobileServices.Sync.Documents;
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
internal sealed record ScanRow(ScanPosition Position, string? Key, string? Value, string? Link, StoredDocument? Document);

/// <summary>An index as it is at one moment, in the order of its keys.</summary>
internal sealed class IndexScan : IAsyncDisposable
{
    private const int PageRows = 500;

    private readonly NpgsqlConnection _connection;
    private readonly NpgsqlTransaction _transaction;
    private readonly long _databaseId;

    private IndexScan(NpgsqlConnection connection, NpgsqlTransaction transaction, long databaseId, IndexRow index)
    {
        (_connection, _transaction, _databaseId) = (connection, transaction, databaseId);
        Index = index;
    }

    public IndexRow Index { get; }

    /// <returns>Null when the index is gone.</returns>
    public static async Task<IndexScan?> OpenAsync(NpgsqlDataSource source, long databaseId, long indexId, CancellationToken ct)
    {
        var connection = await source.OpenConnectionAsync(ct);
        IndexScan? scan = null;
        try
        {
            var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, ct);
            var index = await connection.QuerySingleOrDefaultAsync<IndexRow>(new CommandDefinition($"select {IndexStore.Columns} from sync.index where id = @indexId", new { indexId }, cancellationToken: ct));
            return scan = index is null ? null : new(connection, transaction, databaseId, index);
        }
        finally
        {
            if (scan is null)
            {
                // Its transaction ends with it.
                await connection.DisposeAsync();
            }
        }
    }

    /// <param name="after">On from there, in the direction.</param>
    public async IAsyncEnumerable<ScanRow> ReadAsync(
        ScanRange range, bool descending, bool withDocuments, ScanPosition? after = null, [EnumeratorCancellation] CancellationToken ct = default)
    {
        while (true)
        {
            await using var command = Page(range, descending, withDocuments, after);
            await using var reader = await command.ExecuteReaderAsync(ct);
            var count = 0;
            while (await reader.ReadAsync(ct))
            {
                count++;
                after = new([.. reader.GetFieldValue<byte[]>(0), .. reader.GetFieldValue<byte[]>(1)], reader.GetString(2), reader.GetInt32(3));
                yield return new(
                    after.Value, Text(reader, 4), Text(reader, 5), Text(reader, 6), withDocuments && !reader.IsDBNull(7) ? DocumentStore.Read(reader, 7) : null);
            }
            if (count < PageRows)
            {
                yield break;
            }
        }

        static string? Text(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
    }

    private NpgsqlCommand Page(ScanRange range, bool descending, bool withDocuments, ScanPosition? after)
    {
        var command = new NpgsqlCommand { Connection = _connection, Transaction = _transaction };
        var sql = new StringBuilder("select e.head, e.rest, e.doc_id, e.n, e.key, e.value, e.link");
        sql.Append(withDocuments ? $", {DocumentStore.Columns} from sync.index_entry e left join sync.document d on d.db_id = $2 and d.doc_id = coalesce(e.link, e.doc_id)" : " from sync.index_entry e")
            .Append(" where e.index_id = $1");
        Give(Index.Id);
        if (withDocuments)
        {
            Give(_databaseId);
        }
        Compare(range.From, range.FromId, null, range.FromId is null || range.IncludesFromId ? ">=" : ">");
        Compare(range.To, range.ToId, null, range.ToId is not null && range.IncludesToId ? "<=" : "<");
        Compare(after?.Key, after?.Id, after?.N, descending ? "<" : ">");
        // With the rest of long keys the rows of the same head are sorted; without it the primary key has the order.
        var direction = descending ? " desc" : "";
        var order = $" order by e.head{direction},{(Index.LongKeys ? $" e.rest{direction}," : "")} e.doc_id{direction}, e.n{direction} limit {PageRows}";
        command.CommandText = sql.Append(order).ToString();
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

    public async ValueTask DisposeAsync()
    {
        await _transaction.DisposeAsync();
        await _connection.DisposeAsync();
    }
}
