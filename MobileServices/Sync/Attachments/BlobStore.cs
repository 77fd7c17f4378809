using System.IO.Compression;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;

namespace MobileServices.Sync.Attachments;

/// <summary>The content of attachments: taken and given in pieces, and kept once in a database.</summary>
internal sealed class BlobStore(NpgsqlDataSource database, IOptions<SyncOptions> options, TimeProvider time)
{
    /// <summary>A multiple of three: each piece is Base64 by itself.</summary>
    private const int ChunkBytes = 262_143;

    /// <summary>Takes content in before the document that names it is written; what no document comes to name goes with the next compaction.</summary>
    /// <param name="isGzip">It is kept as it comes, after a look at how much it is unpacked.</param>
    /// <exception cref="SyncException">It is too large, packed or unpacked, or no gzip.</exception>
    public async Task<StoredBlob> SaveAsync(long databaseId, Stream content, bool isGzip, CancellationToken ct)
    {
        await using var unpacked = isGzip ? new GzipLength(options.Value.AttachmentBytes) : null;
        var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(ChunkBytes);
        long? id = null;
        try
        {
            using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
            using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            long length = 0;
            for (var n = 0; ; n++)
            {
                var read = await content.ReadAtLeastAsync(buffer.AsMemory(0, ChunkBytes), ChunkBytes, throwOnEndOfStream: false, ct);
                var isLast = read < ChunkBytes;
                md5.AppendData(buffer, 0, read);
                sha.AppendData(buffer, 0, read);
                length += read;
                if (length > options.Value.AttachmentBytes)
                {
                    throw SyncException.TooLarge($"The attachment has more than {options.Value.AttachmentBytes} bytes.");
                }
                if (unpacked is not null)
                {
                    await unpacked.AddAsync(buffer.AsMemory(0, read), ct);
                }
                if (isLast)
                {
                    long? whole = unpacked is null ? null : await unpacked.EndAsync();
                    var (hash, name) = (md5.GetHashAndReset(), sha.GetHashAndReset());
                    try
                    {
                        return Of(await EndAsync(databaseId, id, n, buffer.AsMemory(0, read), hash, name, length, ct), whole);
                    }
                    catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.UniqueViolation)
                    {
                        // The same content came twice at once: by now the other is there.
                        return Of(await EndAsync(databaseId, id, n, buffer.AsMemory(0, read), hash, name, length, ct), whole);
                    }
                }
                id ??= await BeginAsync(databaseId, ct);
                await AddChunkAsync(id.Value, n, buffer.AsMemory(0, read), ct);
            }
        }
        catch (Exception) when (id is not null)
        {
            await DropAsync(id.Value);
            throw;
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static StoredBlob Of(StoredBlob kept, long? unpacked) => unpacked is { } length ? kept with { Length = length, EncodedLength = kept.Length } : kept;

    /// <summary>Pieces of the content as it is read, each Base64 by itself: what is kept in gzip is unpacked on its way.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ContentAsync(Attachment one, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        if (!one.IsGzip)
        {
            await foreach (var piece in ReadAsync(one.Blob, 0, one.Length, ct))
            {
                yield return piece;
            }
            yield break;
        }
        await using var unpacked = new GZipStream(new PieceStream(ReadAsync(one.Blob, 0, one.StoredLength, ct)), CompressionMode.Decompress);
        var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(ChunkBytes);
        try
        {
            for (var left = one.Length; left > 0;)
            {
                var read = await unpacked.ReadAtLeastAsync(buffer.AsMemory(0, (int)Math.Min(left, ChunkBytes)), (int)Math.Min(left, ChunkBytes), throwOnEndOfStream: true, ct);
                left -= read;
                yield return buffer.AsMemory(0, read);
            }
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Pieces of what is kept, from a byte on.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(long blob, long from, long length, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        var left = length;
        for (var n = (int)(from / ChunkBytes); left > 0; n++)
        {
            // One piece at a time, so that a slow client holds neither a connection nor more than a piece.
            await using var command = database.CreateCommand("select bytes from sync.blob_chunk where blob_id = $1 and n = $2");
            command.Parameters.Add(new() { Value = blob });
            command.Parameters.Add(new() { Value = n });
            var chunk = await command.ExecuteScalarAsync(ct) as byte[] ?? throw new IOException("The content of an attachment is not there any more.");
            var start = (int)Math.Max(0, from - ((long)n * ChunkBytes));
            var piece = chunk.AsMemory(start, (int)Math.Min(chunk.Length - start, left));
            left -= piece.Length;
            yield return piece;
        }
    }

    private async Task<long> BeginAsync(long databaseId, CancellationToken ct)
    {
        await using var command = database.CreateCommand("insert into sync.blob (db_id, digest, length, created_at) values ($1, '', 0, $2) returning id");
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = time.GetUtcNow() });
        return (long)(await command.ExecuteScalarAsync(ct))!;
    }

    private async Task AddChunkAsync(long id, int n, ReadOnlyMemory<byte> bytes, CancellationToken ct)
    {
        await using var command = database.CreateCommand("insert into sync.blob_chunk (blob_id, n, bytes) values ($1, $2, $3)");
        command.Parameters.Add(new() { Value = id });
        command.Parameters.Add(new() { Value = n });
        command.Parameters.Add(new() { Value = bytes, NpgsqlDbType = NpgsqlDbType.Bytea });
        await command.ExecuteNonQueryAsync(ct);
    }

    /// <summary>The same content that is here already is not kept twice.</summary>
    private async Task<StoredBlob> EndAsync(long databaseId, long? begun, int n, ReadOnlyMemory<byte> last, byte[] md5, byte[] sha256, long length, CancellationToken ct)
    {
        var digest = $"md5-{Convert.ToBase64String(md5)}";
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await using (var find = new NpgsqlCommand(// That it is named anew keeps compaction from it, until the document is written.
            "update sync.blob set created_at = $3 where db_id = $1 and sha256 = $2 returning id", connection, transaction))
        {
            find.Parameters.Add(new() { Value = databaseId });
            find.Parameters.Add(new() { Value = sha256 });
            find.Parameters.Add(new() { Value = time.GetUtcNow() });
            if (await find.ExecuteScalarAsync(ct) is long there)
            {
                await transaction.CommitAsync(ct);
                if (begun is { } needless)
                {
                    await DropAsync(needless);
                }
                return new(there, digest, length);
            }
        }
        await using var save = new NpgsqlCommand(
            begun is null
                ? """
                  insert into sync.blob (db_id, sha256, digest, length, created_at) values ($1, $2, $3, $4, $5)
                  on conflict (db_id, sha256) do update set created_at = excluded.created_at returning id
                  """
                : "update sync.blob set sha256 = $2, digest = $3, length = $4, created_at = $5 where id = $6 and db_id = $1 returning id",
            connection, transaction);
        save.Parameters.Add(new() { Value = databaseId });
        save.Parameters.Add(new() { Value = sha256 });
        save.Parameters.Add(new() { Value = digest });
        save.Parameters.Add(new() { Value = length });
        save.Parameters.Add(new() { Value = time.GetUtcNow() });
        if (begun is { } own)
        {
            save.Parameters.Add(new() { Value = own });
        }
        var id = (long)(await save.ExecuteScalarAsync(ct) ?? throw SyncException.NoDatabase());
        await using var chunk = new NpgsqlCommand("""
            with added as (insert into sync.blob_chunk (blob_id, n, bytes) values ($1, $2, $3) on conflict do nothing returning 1),
            counted as (
                update sync.database set attachment_bytes = attachment_bytes + $4
                where id = $5 and exists (select from added) and body_bytes + attachment_bytes + $4 <= $6 returning 1)
            select exists (select from added) and not exists (select from counted)
            """, connection, transaction);
        chunk.Parameters.Add(new() { Value = id });
        chunk.Parameters.Add(new() { Value = n });
        chunk.Parameters.Add(new() { Value = last, NpgsqlDbType = NpgsqlDbType.Bytea });
        chunk.Parameters.Add(new() { Value = length });
        chunk.Parameters.Add(new() { Value = databaseId });
        chunk.Parameters.Add(new() { Value = options.Value.MostBytes });
        if (await chunk.ExecuteScalarAsync(ct) is true)
        {
            // Nobody knew how long it would be, or others came at once.
            throw SyncException.Full(options.Value);
        }
        await transaction.CommitAsync(ct);
        return new(id, digest, length);
    }

    private async Task DropAsync(long id)
    {
        await using var command = database.CreateCommand("delete from sync.blob where id = $1");
        command.Parameters.Add(new() { Value = id });
        await command.ExecuteNonQueryAsync(CancellationToken.None);
    }
}
