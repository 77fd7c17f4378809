using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;

namespace MobileServices.Push.Networks.Own;

/// <summary>Streams (SSE) of what is kept for somebody, and of what comes: messages for devices, receipts for senders.</summary>
internal sealed class OwnStreams(IOptions<PushOptions> options, IHostApplicationLifetime lifetime)
{
    /// <summary>Of NOTIFY; its payload is the subscription, or the receipt subscription.</summary>
    public const string Channel = "push_own";

    private readonly ConcurrentDictionary<string, ConcurrentDictionary<SemaphoreSlim, bool>> _open = new(StringComparer.Ordinal);
    private int _count;

    /// <summary>Something is kept for a subscription.</summary>
    public void Told(string pushId)
    {
        if (_open.TryGetValue(pushId, out var streams))
        {
            Wake(streams);
        }
    }

    /// <summary>Something may have been missed.</summary>
    public void ToldOfAll()
    {
        foreach (var streams in _open.Values)
        {
            Wake(streams);
        }
    }

    /// <param name="readAsync">What follows a number, in its order; empty when there is no more.</param>
    public async Task AnswerAsync(string pushId, HttpContext http, long last, Func<long, CancellationToken, Task<IReadOnlyList<Frame>>> readAsync)
    {
        using var wake = new SemaphoreSlim(0);
        try
        {
            if (Interlocked.Increment(ref _count) > options.Value.OwnMostStreams)
            {
                http.Response.Headers.RetryAfter = "30";
                await TypedResults.Problem(
                    "This service holds as many streams as it may (Push:OwnMostStreams). Try again later.", statusCode: StatusCodes.Status503ServiceUnavailable).ExecuteAsync(http);
                return;
            }
            _open.GetOrAdd(pushId, _ => new()).TryAdd(wake, true);
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, lifetime.ApplicationStopping);
            await SendAsync(http, wake, last, readAsync, ending.Token);
        }
        catch (OperationCanceledException)
        {
            // The device is gone, or the service goes: it connects again.
        }
        finally
        {
            Interlocked.Decrement(ref _count);
            if (_open.TryGetValue(pushId, out var streams) && streams.TryRemove(wake, out _) && streams.IsEmpty)
            {
                // Whoever has just joined it is put back by the next look.
                _open.TryRemove(new(pushId, streams));
                foreach (var (late, _) in streams)
                {
                    _open.GetOrAdd(pushId, _ => new()).TryAdd(late, true);
                }
            }
        }
    }

    private async Task SendAsync(
        HttpContext http, SemaphoreSlim wake, long last, Func<long, CancellationToken, Task<IReadOnlyList<Frame>>> readAsync, CancellationToken ct)
    {
        http.Features.Get<IHttpRequestTimeoutFeature>()?.DisableTimeout();
        var response = http.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["X-Accel-Buffering"] = "no";
        await response.WriteAsync(": here\n\n", ct);
        await response.Body.FlushAsync(ct);
        while (true)
        {
            var frames = await readAsync(last, ct);
            foreach (var frame in frames)
            {
                await response.WriteAsync($"id: {frame.Id}\nevent: {frame.Event}\ndata: {frame.Data}\n\n", ct);
                last = frame.Number;
            }
            if (frames.Count > 0)
            {
                await response.Body.FlushAsync(ct);
                continue;
            }
            if (!await wake.WaitAsync(TimeSpan.FromSeconds(options.Value.HeartbeatSeconds), ct))
            {
                await response.WriteAsync(": still here\n\n", ct);
                await response.Body.FlushAsync(ct);
            }
        }
    }

    private static void Wake(ConcurrentDictionary<SemaphoreSlim, bool> streams)
    {
        foreach (var (stream, _) in streams)
        {
            try
            {
                stream.Release();
            }
            catch (ObjectDisposedException)
            {
                // It has just ended.
            }
        }
    }
}

/// <summary>One event of a stream.</summary>
/// <param name="Number">Its place in the order.</param>
internal sealed record Frame(long Number, string Id, string Event, string Data);

/// <summary>A message on a device's stream.</summary>
/// <param name="Id">To acknowledge it with: DELETE /push/message/{id}.</param>
/// <param name="Encoding">The content coding, such as <c>aes128gcm</c>; null for JSON of our own sender.</param>
/// <param name="Body">Base64url.</param>
/// <param name="Ttl">What is left, in seconds.</param>
internal sealed record PushedMessage(string Id, string? Topic, string Urgency, string? Encoding, string Body, int Ttl);
