namespace Gateway;

/// <summary>
/// Holds an answer back until it is kept. One that is too large or is a stream of events goes to the client as it comes, and is not there
/// afterwards.
/// </summary>
internal sealed class AnswerBuffer(HttpResponse response, Stream client) : Stream
{
    public const int Limit = 1 << 20;

    private readonly MemoryStream _held = new();
    private bool _passing;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>All of it, unless the response has started.</summary>
    public byte[] ToArray() => _held.ToArray();

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_passing && _held.Length + buffer.Length <= Limit && !IsEvents())
        {
            _held.Write(buffer.Span);
            return;
        }
        if (!_passing)
        {
            _passing = true;
            await client.WriteAsync(_held.GetBuffer().AsMemory(0, (int)_held.Length), cancellationToken);
            _held.SetLength(0);
        }
        await client.WriteAsync(buffer, cancellationToken);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => _passing ? client.FlushAsync(cancellationToken) : Task.CompletedTask;

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("Write asynchronously.");

    /// <summary>Nothing to do: what is held back stays so.</summary>
    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _held.Dispose();
        base.Dispose(disposing);
    }

    private bool IsEvents() => response.ContentType?.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase) is true;
}
