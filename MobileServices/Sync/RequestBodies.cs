using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;

namespace MobileServices.Sync;

/// <summary>Reads JSON bodies, of which only so much is held in memory at once.</summary>
internal sealed class RequestBodies(IOptions<SyncOptions> options)
{
    /// <summary>Smaller ones are not counted.</summary>
    private const int Small = 65_536;

    private readonly Lock _lock = new();
    private readonly Queue<(long Bytes, TaskCompletionSource Ready)> _waiting = [];
    private readonly JsonDocumentOptions _reading = new() { MaxDepth = options.Value.Depth, AllowDuplicateProperties = false };
    private long _left = options.Value.RequestBytesAtOnce;

    /// <exception cref="SyncException">It is no JSON, too deep, or too large.</exception>
    public async Task<Body> ReadAsync(SyncCall call, bool emptyIsObject = false)
    {
        var request = call.Http.Request;
        if (request.ContentType is { Length: > 0 } type && !type.Contains("json", StringComparison.OrdinalIgnoreCase) && !emptyIsObject)
        {
            throw new SyncException(415, "bad_content_type", "Content-Type must be application/json");
        }
        return Parse(await ReadBytesAsync(call, request.Body, request.ContentLength), emptyIsObject);
    }

    /// <summary>Takes as much memory as the body may need until the result is disposed of.</summary>
    public async Task<Held> ReadBytesAsync(SyncCall call, Stream stream, long? length)
    {
        var most = options.Value.RequestBytes;
        if (length > most)
        {
            throw SyncException.TooLarge($"The body has more than {most} bytes (Sync:RequestBytes). Send less at a time.");
        }
        AllowLarge(call.Http, most + 1L);
        var taken = length is { } known ? (known <= Small ? 0 : known) : most;
        taken = Math.Min(taken, options.Value.RequestBytesAtOnce);
        await TakeAsync(taken, call.Aborted);
        var held = new Held(this, taken);
        try
        {
            using var memory = new MemoryStream((int)Math.Min(length ?? 4096, most));
            var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(16_384);
            try
            {
                while (await stream.ReadAsync(buffer, call.Aborted) is > 0 and var read)
                {
                    memory.Write(buffer, 0, read);
                    if (memory.Length > most)
                    {
                        throw SyncException.TooLarge($"The body has more than {most} bytes (Sync:RequestBytes). Send less at a time.");
                    }
                }
            }
            finally
            {
                System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
            }
            held.Bytes = memory.GetBuffer().AsMemory(0, (int)memory.Length);
            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    public Body Parse(Held held, bool emptyIsObject = false)
    {
        try
        {
            if (held.Bytes.Length is 0 && emptyIsObject)
            {
                return new(JsonDocument.Parse("{}"), held);
            }
            if (!Utf8.IsValid(held.Bytes.Span))
            {
                throw SyncException.Bad("invalid UTF-8 JSON");
            }
            return new(JsonDocument.Parse(held.Bytes, _reading), held);
        }
        catch (JsonException exception)
        {
            held.Dispose();
            throw SyncException.Bad($"invalid UTF-8 JSON: {exception.Message}");
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>Lifts the server's limit for a body that is counted here.</summary>
    public static void AllowLarge(HttpContext http, long bytes)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } server)
        {
            server.MaxRequestBodySize = bytes;
        }
    }

    private Task TakeAsync(long bytes, CancellationToken ct)
    {
        if (bytes is 0)
        {
            return Task.CompletedTask;
        }
        lock (_lock)
        {
            if (_waiting.Count is 0 && _left >= bytes)
            {
                _left -= bytes;
                return Task.CompletedTask;
            }
            var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Enqueue((bytes, ready));
            var registration = ct.Register(() => ready.TrySetCanceled(ct));
            ready.Task.ContinueWith(_ => registration.Dispose(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            return ready.Task;
        }
    }

    private void GiveBack(long bytes)
    {
        lock (_lock)
        {
            _left += bytes;
            while (_waiting.TryPeek(out var next) && _left >= next.Bytes)
            {
                _waiting.Dequeue();
                if (next.Ready.TrySetResult())
                {
                    _left -= next.Bytes;
                }
            }
        }
    }

    /// <summary>Bytes of a body, and the right to hold them.</summary>
    internal sealed class Held(RequestBodies bodies, long taken) : IDisposable
    {
        private int _isOver;

        public ReadOnlyMemory<byte> Bytes { get; set; }

        public void Dispose()
        {
            if (taken > 0 && Interlocked.Exchange(ref _isOver, 1) is 0)
            {
                bodies.GiveBack(taken);
            }
        }
    }

    internal sealed class Body(JsonDocument json, Held held) : IDisposable
    {
        public JsonElement Root => json.RootElement;

        public bool IsEmpty => held.Bytes.Length is 0;

        /// <exception cref="SyncException">It is no object.</exception>
        public JsonElement Object => Root.ValueKind is JsonValueKind.Object ? Root : throw SyncException.Bad("Request body must be a JSON object");

        public void Dispose()
        {
            json.Dispose();
            held.Dispose();
        }
    }
}
