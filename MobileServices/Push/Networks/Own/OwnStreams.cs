using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;
using MobileServices.Push.Messages;

namespace MobileServices.Push.Networks.Own;

/// <summary>One stream (SSE) a device: what is kept for it, and what comes. A message comes again on each new stream until it is acknowledged.</summary>
internal sealed class OwnStreams(OwnStore store, IOptions<PushOptions> options, TimeProvider time, IHostApplicationLifetime lifetime)
{
    /// <summary>Of NOTIFY; its payload is the subscription.</summary>
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

    public async Task AnswerAsync(string pushId, string[] urgencies, HttpContext http)
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
            await SendAsync(pushId, urgencies, http, wake, ending.Token);
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

    private async Task SendAsync(string pushId, string[] urgencies, HttpContext http, SemaphoreSlim wake, CancellationToken ct)
    {
        http.Features.Get<IHttpRequestTimeoutFeature>()?.DisableTimeout();
        var response = http.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["X-Accel-Buffering"] = "no";
        await response.WriteAsync(": here\n\n", ct);
        await response.Body.FlushAsync(ct);
        long last = 0;
        while (true)
        {
            var messages = await store.AfterAsync(pushId, last, urgencies, ct);
            foreach (var message in messages)
            {
                await response.WriteAsync($"id: {message.Id}\nevent: push\ndata: {Write(message)}\n\n", ct);
                last = message.Number;
            }
            if (messages.Count > 0)
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

    private string Write(StoredMessage message) => JsonSerializer.Serialize(
        new PushedMessage(
            message.Id, message.Topic, message.Urgency, message.Encoding, Base64Url.EncodeToString(message.Body), Math.Max(0, (int)(message.ExpiresAt - time.GetUtcNow().UtcDateTime).TotalSeconds)),
        PushContent.Json);

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

/// <summary>A message on a device's stream.</summary>
/// <param name="Id">To acknowledge it with: DELETE /push/message/{id}.</param>
/// <param name="Encoding">The content coding, such as <c>aes128gcm</c>; null for JSON of our own sender.</param>
/// <param name="Body">Base64url.</param>
/// <param name="Ttl">What is left, in seconds.</param>
internal sealed record PushedMessage(string Id, string? Topic, string Urgency, string? Encoding, string Body, int Ttl);
