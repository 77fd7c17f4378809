using System.IO.Compression;
using System.Text;
using Google.Protobuf;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// Writes what a store keeps as a zip with <c>traces.json</c>, <c>logs.json</c> and <c>metrics.json</c>, each one OTLP request in JSON. Secrets are masked
/// in the store already. Not in it are schema addresses and metadata of metrics, which the store does not keep.
/// </summary>
public static class TelemetryExport
{
    // Spans, records and points that are text at the same time.
    private const int Part = 500;

    /// <param name="to">Gets the zip as it is made; it is not closed.</param>
    /// <param name="resource">A service name; null for all.</param>
    public static async Task WriteAsync(TelemetryStore store, Stream to, string? resource, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(store);
        bool IsChosen(TelemetryResource one) => resource is null || one.Name == resource;
        await using var late = new LateStream(to);
        await using var zip = await ZipArchive.CreateAsync(late, ZipArchiveMode.Create, leaveOpen: true, Encoding.UTF8, ct);

        // Within a part, spans of the same origin go together; else each would say its resource again.
        await WriteAsync(zip, "traces.json", "resourceSpans", store.AllTraces().SelectMany(trace => trace.Spans.ToArray()).Where(span => IsChosen(span.Resource))
            .Chunk(Part).Select(part => OtlpWriter.Traces(part.GroupBy(span => (span.Resource, span.Scope)).SelectMany(group => group))), ct);
        await WriteAsync(zip, "logs.json", "resourceLogs", store.AllLogs().Where(log => IsChosen(log.Resource)).Chunk(Part).Select(OtlpWriter.Logs), ct);
        await WriteAsync(zip, "metrics.json", "resourceMetrics", store.AllSamples(IsChosen).Chunk(Part).Select(OtlpWriter.Metrics), ct);
    }

    private static async Task WriteAsync(ZipArchive zip, string name, string property, IEnumerable<IMessage> parts, CancellationToken ct)
    {
        await using var entry = await zip.CreateEntry(name, CompressionLevel.Fastest).OpenAsync(ct);
        await using var writer = new StreamWriter(entry, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 64 * 1024);
        await writer.WriteAsync($"{{\"{property}\":[".AsMemory(), ct);
        var first = true;
        foreach (var json in parts.SelectMany(OtlpJson.FormatResources))
        {
            await writer.WriteAsync((first ? "\n" : ",\n").AsMemory(), ct);
            await writer.WriteAsync(json.AsMemory(), ct);
            first = false;
        }

        await writer.WriteAsync("\n]}\n".AsMemory(), ct);
    }

    /// <summary>A server's answer takes no synchronous writes, and a zip has a few, small ones: these wait for the next asynchronous one.</summary>
    private sealed class LateStream(Stream to) : Stream
    {
        private readonly MemoryStream _late = new();

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Write(byte[] buffer, int offset, int count) => _late.Write(buffer, offset, count);

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await FlushAsync(cancellationToken);
            await to.WriteAsync(buffer, cancellationToken);
        }

        public override void Flush()
        {
        }

        public override async Task FlushAsync(CancellationToken cancellationToken)
        {
            if (_late.Length > 0)
            {
                await to.WriteAsync(_late.GetBuffer().AsMemory(0, (int)_late.Length), cancellationToken);
                _late.SetLength(0);
            }
        }

        public override async ValueTask DisposeAsync()
        {
            await FlushAsync(CancellationToken.None);
            await base.DisposeAsync();
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
