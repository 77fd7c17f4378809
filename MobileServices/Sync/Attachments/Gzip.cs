using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;

namespace MobileServices.Sync.Attachments;

/// <summary>How much gzip content is unpacked, found out while its pieces go by. No more of it is unpacked than there may be.</summary>
internal sealed class GzipLength : IAsyncDisposable
{
    private readonly Pipe _packed = new();
    private readonly Task<long> _length;

    /// <param name="most">Bytes that it may have unpacked.</param>
    public GzipLength(long most) => _length = CountAsync(most);

    /// <exception cref="SyncException">It is no gzip, or unpacks to more than it may.</exception>
    public async ValueTask AddAsync(ReadOnlyMemory<byte> piece, CancellationToken ct)
    {
        if ((await _packed.Writer.WriteAsync(piece, ct)).IsCompleted)
        {
            // It ends before its bytes do, which readers do not mind, or it failed.
            await _length;
        }
    }

    /// <exception cref="SyncException">It is no gzip, or unpacks to more than it may.</exception>
    public async Task<long> EndAsync()
    {
        await _packed.Writer.CompleteAsync();
        return await _length;
    }

    public async ValueTask DisposeAsync()
    {
        await _packed.Writer.CompleteAsync();
        await ((Task)_length).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task<long> CountAsync(long most)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(65_536);
        try
        {
            await using var unpacked = new GZipStream(_packed.Reader.AsStream(), CompressionMode.Decompress);
            var length = 0L;
            while (await unpacked.ReadAsync(buffer) is > 0 and var read)
            {
                length += read;
                if (length > most)
                {
                    throw SyncException.TooLarge($"The attachment has more than {most} bytes when it is unpacked.");
                }
            }
            return length;
        }
        catch (InvalidDataException)
        {
            throw SyncException.Bad("The attachment is not in gzip, as its encoding says.");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}

/// <summary>Pieces as a stream that is read once.</summary>
internal sealed class PieceStream(IAsyncEnumerable<ReadOnlyMemory<byte>> pieces) : Stream
{
    private readonly IAsyncEnumerator<ReadOnlyMemory<byte>> _pieces = pieces.GetAsyncEnumerator();
    private ReadOnlyMemory<byte> _rest;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_rest.IsEmpty)
        {
            if (!await _pieces.MoveNextAsync())
            {
                return 0;
            }
            _rest = _pieces.Current;
        }
        var read = Math.Min(buffer.Length, _rest.Length);
        _rest[..read].CopyTo(buffer);
        _rest = _rest[read..];
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        await _pieces.DisposeAsync();
        await base.DisposeAsync();
    }
}
