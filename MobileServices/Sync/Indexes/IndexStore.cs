using System.Diagnostics;
using Dapper;
using Microsoft.Extensions.Options;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using Npgsql;

namespace MobileServices.Sync.Indexes;

internal sealed record IndexRow(long Id, long Seq, long PurgeSeq, long Entries, long Bytes, bool LongKeys);

/// <summary>
/// Indexes are brought up to date by who reads them: from the documents that changed since, a batch a transaction, under the lock of the index's row.
/// Writers of documents do nothing for them.
/// </summary>
internal sealed class IndexStore(NpgsqlDataSource source, IOptions<SyncOptions> options)
{
    /// <summary>Of a btree's key, so that it fits beside the longest id.</summary>
    public const int HeadBytes = 1400;

    public const string Columns = "id, seq, purge_seq as PurgeSeq, entries, bytes, long_keys as LongKeys";

    private const int BatchRows = 500;
    private const int BatchBytes = 2_097_152;
    private const string EntryBytes = "octet_length(head) + octet_length(rest) + 2 * octet_length(doc_id) + coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)";
    private static readonly TimeSpan BatchTime = TimeSpan.FromSeconds(2);

    /// <summary>The index with all changes up to the database's sequence.</summary>
    /// <exception cref="SyncException">It cannot be built.</exception>
    public async Task<IndexRow> UpToDateAsync(DatabaseRow database, IndexDefinition definition, CancellationToken ct)
    {
        while (true)
        {
            var index = await OpenAsync(database.Id, definition, ct);
            while (index is not null && (index.Seq < database.UpdateSeq || index.PurgeSeq < database.PurgeSeq))
            {
                index = await AdvanceAsync(database, index.Id, definition, ct);
            }
            if (index is not null)
            {
                return index;
            }
        }
    }

    /// <summary>The index as far as it is.</summary>
    public async Task<IndexRow> OpenAsync(long databaseId, IndexDefinition definition, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        var given = new { databaseId, definition.Signature };
        return await FindAsync(connection, databaseId, definition.Signature, ct)
            ?? await connection.QuerySingleOrDefaultAsync<IndexRow>(new CommandDefinition(
                $"insert into sync.index (db_id, signature) values (@databaseId, @Signature) on conflict do nothing returning {Columns}", given, cancellationToken: ct))
            ?? await OpenAsync(databaseId, definition, ct);
    }

    public async Task<IndexRow?> TryFindAsync(long databaseId, string signature, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        return await FindAsync(connection, databaseId, signature, ct);
    }

    /// <summary>Removes the indexes that no design document defines any more.</summary>
    public async Task KeepAsync(long databaseId, IEnumerable<string> signatures, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "delete from sync.index where db_id = @databaseId and not (signature = any (@signatures))", new { databaseId, signatures = signatures.ToArray() }, commandTimeout: 300, cancellationToken: ct));
    }

    private static Task<IndexRow?> FindAsync(NpgsqlConnection connection, long databaseId, string signature, CancellationToken ct) =>
        connection.QuerySingleOrDefaultAsync<IndexRow>(new CommandDefinition(
            $"select {Columns} from sync.index where db_id = @databaseId and signature = @signature", new { databaseId, signature }, cancellationToken: ct));

    /// <summary>One batch.</summary>
    /// <returns>Null when the index is gone.</returns>
    private async Task<IndexRow?> AdvanceAsync(DatabaseRow database, long indexId, IndexDefinition definition, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var index = await connection.QuerySingleOrDefaultAsync<IndexRow>(new CommandDefinition(
            $"select {Columns} from sync.index where id = @indexId for update", new { indexId }, commandTimeout: 120, cancellationToken: ct));
        if (index is null || (index.Seq >= database.UpdateSeq && index.PurgeSeq >= database.PurgeSeq))
        {
            return index;
        }
        if (index.PurgeSeq < database.PurgeSeq)
        {
            index = Less(index, await RemoveAsync(connection, "index_id = $1 and not exists (select from sync.document d where d.db_id = $2 and d.doc_id = index_entry.doc_id and not d.deleted)", ct, index.Id, database.Id));
        }
        var (documents, isLast) = await ReadAsync(connection, database.Id, index.Seq, ct);
        var batch = new EntryBatch();
        var last = Map(definition, documents, batch) ?? (isLast ? Math.Max(index.Seq, database.UpdateSeq) : index.Seq);
        isLast &= last >= (documents.Count > 0 ? documents[^1].Seq : 0);
        if (documents.Count > 0)
        {
            // All of a new index's documents are new to it.
            index = index.Entries is 0 ? index : Less(index, await RemoveAsync(connection, "index_id = $1 and doc_id = any ($2)", ct, index.Id, batch.Documents.ToArray()));
            await batch.InsertAsync(connection, index.Id, ct);
        }
        index = index with
        {
            Seq = isLast ? Math.Max(last, database.UpdateSeq) : last,
            PurgeSeq = Math.Max(index.PurgeSeq, database.PurgeSeq),
            Entries = index.Entries + batch.Count,
            Bytes = index.Bytes + batch.Bytes,
            LongKeys = index.LongKeys || batch.HasLongKeys,
        };
        await connection.ExecuteAsync(new CommandDefinition(
            "update sync.index set seq = @Seq, purge_seq = @PurgeSeq, entries = @Entries, bytes = @Bytes, long_keys = @LongKeys where id = @Id", index, cancellationToken: ct));
        await CheckSizeAsync(connection, database.Id, batch.Count, ct);
        await transaction.CommitAsync(ct);
        return index;
    }

    private async Task CheckSizeAsync(NpgsqlConnection connection, long databaseId, int added, CancellationToken ct)
    {
        var most = options.Value.MostIndexBytes;
        if (added > 0 && await connection.ExecuteScalarAsync<decimal>(new CommandDefinition("select sum(bytes) from sync.index where db_id = @databaseId", new { databaseId }, cancellationToken: ct)) > most)
        {
            throw SyncException.TooLarge($"The indexes and views of the database would have more than {most} bytes (Sync:MostIndexBytes). Delete some, or emit less.");
        }
    }

    /// <returns>The sequence of the last document that there was time for; null when there were none.</returns>
    private static long? Map(IndexDefinition definition, List<StoredDocument> documents, EntryBatch batch)
    {
        if (documents.Count is 0)
        {
            return null;
        }
        var began = Stopwatch.GetTimestamp();
        var entriesOf = definition.Open();
        foreach (var document in documents)
        {
            batch.Add(document.Id, document.Deleted ? [] : entriesOf(document));
            if (Stopwatch.GetElapsedTime(began) > BatchTime || batch.Bytes > BatchBytes)
            {
                return document.Seq;
            }
        }
        return documents[^1].Seq;
    }

    private static async Task<(List<StoredDocument> Documents, bool IsLast)> ReadAsync(NpgsqlConnection connection, long databaseId, long after, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(
            $"select {DocumentStore.Columns} from sync.document d where d.db_id = $1 and d.seq > $2 order by d.seq limit {BatchRows}", connection)
        { Parameters = { new() { Value = databaseId }, new() { Value = after } } };
        await using var reader = await command.ExecuteReaderAsync(ct);
        var (documents, bytes) = (new List<StoredDocument>(), 0);
        while (await reader.ReadAsync(ct))
        {
            documents.Add(DocumentStore.Read(reader));
            bytes += documents[^1].Body.Length;
            if (bytes > BatchBytes)
            {
                return (documents, false);
            }
        }
        return (documents, documents.Count < BatchRows);
    }

    private static IndexRow Less(IndexRow index, (long Entries, long Bytes) removed) =>
        index with { Entries = index.Entries - removed.Entries, Bytes = index.Bytes - removed.Bytes };

    private static async Task<(long Entries, long Bytes)> RemoveAsync(NpgsqlConnection connection, string which, CancellationToken ct, params object[] values)
    {
        await using var command = new NpgsqlCommand($"""
            with gone as (delete from sync.index_entry where {which} returning {EntryBytes} as size)
            select count(*), coalesce(sum(size), 0)::bigint from gone
            """, connection)
        { CommandTimeout = 120 };
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }
        await using var reader = await command.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        return (reader.GetInt64(0), reader.GetInt64(1));
    }
}
