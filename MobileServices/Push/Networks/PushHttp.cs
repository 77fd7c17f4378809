using System.Buffers;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Options;

namespace MobileServices.Push.Networks;

/// <summary>
/// How networks are called: each request once (nothing below repeats one that may have been taken), no redirects, no cookies, and no trace headers, which
/// are nobody's business outside.
/// </summary>
internal sealed class PushHttp : IDisposable
{
    private const int MostOfAnAnswer = 16 * 1024;
    private static readonly TimeSpan MostShared = TimeSpan.FromSeconds(1);

    private readonly TimeSpan _patience;
    private readonly TimeSpan _shared;
    private readonly bool _privateToo;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolveAsync;
    private readonly HttpMessageInvoker _trusted;
    private readonly HttpMessageInvoker _strange;
    private SharedDeadline? _deadline;

    public PushHttp(IOptions<PushOptions> options) : this(options, Dns.GetHostAddressesAsync)
    {
    }

    /// <param name="resolveAsync">What a name's addresses are.</param>
    internal PushHttp(IOptions<PushOptions> options, Func<string, CancellationToken, Task<IPAddress[]>> resolveAsync)
    {
        _patience = TimeSpan.FromSeconds(options.Value.TimeoutSeconds);
        _shared = _patience / 10 < MostShared ? _patience / 10 : MostShared;
        _privateToo = options.Value.AllowPrivateEndpoints;
        _resolveAsync = resolveAsync;
        _trusted = new(Handler());
        var strange = Handler();
        // By the name of the request and the address that is connected to, whatever the name meant a moment ago.
        strange.ConnectCallback = ConnectAsync;
        _strange = new(strange);
    }

    /// <summary>Calls an address of the settings.</summary>
    public Task<Answer> SendAsync(HttpRequestMessage request, byte[] body, string mediaType, CancellationToken ct) => SendAsync(_trusted, request, body, mediaType, null, ct);

    /// <summary>Calls an address that a client has named.</summary>
    public Task<Answer> SendToStrangerAsync(HttpRequestMessage request, byte[] body, string mediaType, string? encoding, CancellationToken ct) =>
        SendAsync(_strange, request, body, mediaType, encoding, ct);

    public void Dispose()
    {
        _trusted.Dispose();
        _strange.Dispose();
    }

    private static SocketsHttpHandler Handler() => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        AutomaticDecompression = DecompressionMethods.None,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        PooledConnectionLifetime = TimeSpan.FromMinutes(15),
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(2),
        KeepAlivePingDelay = TimeSpan.FromSeconds(60),
        MaxResponseHeadersLength = 16,
    };

    private async Task<Answer> SendAsync(HttpMessageInvoker invoker, HttpRequestMessage request, byte[] body, string mediaType, string? encoding, CancellationToken ct)
    {
        var content = new WatchedContent(body);
        content.Headers.TryAddWithoutValidation("Content-Type", mediaType);
        if (encoding is not null)
        {
            content.Headers.ContentEncoding.Add(encoding);
        }
        request.Content = content;
        using var both = ct.CanBeCanceled ? CancellationTokenSource.CreateLinkedTokenSource(ct, Deadline()) : null;
        var deadline = both?.Token ?? Deadline();
        try
        {
            using var response = await invoker.SendAsync(request, deadline);
            var text = response.IsSuccessStatusCode && response.Content.Headers.ContentLength is 0 ? "" : await ReadAsync(response, deadline);
            return new((int)response.StatusCode, text, response.Headers, null);
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or IOException)
        {
            if (Cause<PrivateAddressException>(exception) is { } refused)
            {
                return new(0, "", null, new(OutcomeClass.Refused, refused.Message));
            }
            var what = exception switch
            {
                OperationCanceledException => $"no answer in {_patience.TotalSeconds:0} s",
                HttpRequestException { HttpRequestError: not HttpRequestError.Unknown } http => http.HttpRequestError.ToString(),
                _ => "the connection broke",
            };
            // Without its body no network takes a message.
            return new(0, "", null, content.IsBegun ? new(OutcomeClass.Unknown, what) : new(OutcomeClass.Transient, what));
        }
    }

    /// <summary>One for all requests that begin within a tenth of their time, a second at most, instead of a timer for each; never later than theirs.</summary>
    private CancellationToken Deadline()
    {
        var current = Volatile.Read(ref _deadline);
        if (current is null || Stopwatch.GetElapsedTime(current.MadeAt) > _shared)
        {
            // What is under way keeps the one that it has.
            Volatile.Write(ref _deadline, current = new(Stopwatch.GetTimestamp(), new CancellationTokenSource(_patience).Token));
        }
        return current.Token;
    }

    private static async Task<string> ReadAsync(HttpResponseMessage response, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(MostOfAnAnswer);
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(ct);
            var length = await stream.ReadAtLeastAsync(buffer.AsMemory(0, MostOfAnAnswer), MostOfAnAnswer, throwOnEndOfStream: false, ct);
            return Encoding.UTF8.GetString(buffer, 0, length);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            // The status has told what became of it.
            return "";
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken ct)
    {
        var host = context.DnsEndPoint.Host;
        var addresses = IPAddress.TryParse(host, out var literal) ? [literal] : await _resolveAsync(host, ct);
        IPAddress[] allowed = _privateToo ? addresses : [.. addresses.Where(PublicAddresses.Contain)];
        if (allowed.Length is 0)
        {
            throw new PrivateAddressException();
        }
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, context.DnsEndPoint.Port, ct);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static T? Cause<T>(Exception? exception) where T : Exception
    {
        for (; exception is not null; exception = exception.InnerException)
        {
            if (exception is T cause)
            {
                return cause;
            }
        }
        return null;
    }

    private sealed record SharedDeadline(long MadeAt, CancellationToken Token);

    private sealed class PrivateAddressException() : IOException("its name leads to an address that is not public");

    /// <summary>Tells whether any of the body may have left.</summary>
    private sealed class WatchedContent(byte[] body) : HttpContent
    {
        public bool IsBegun { get; private set; }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            IsBegun = true;
            return stream.WriteAsync(body, cancellationToken).AsTask();
        }

        protected override bool TryComputeLength(out long length)
        {
            length = body.Length;
            return true;
        }
    }
}

/// <param name="Status">0 when there was no answer.</param>
/// <param name="Failure">What happened instead of an answer.</param>
internal sealed record Answer(int Status, string Body, System.Net.Http.Headers.HttpResponseHeaders? Headers, Outcome? Failure)
{
    /// <summary>How long to wait (RFC 9110, section 10.2.3); a date is counted from now.</summary>
    public TimeSpan? RetryAfter(DateTimeOffset now) => Headers?.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } when date > now => date - now,
        { Date: not null } => TimeSpan.Zero,
        _ => null,
    };

    public string? Header(string name) => Headers is not null && Headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;
}
