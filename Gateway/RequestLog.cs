using System.Buffers;
using System.Collections;
using System.Diagnostics;
using System.Globalization;
using MobileIntegration.Contracts;

namespace Gateway;

/// <summary>Gives every call an id and every answer its security headers, and writes one line a call, which holds no address, token, key or body.</summary>
internal sealed partial class RequestLog(RequestDelegate next, ILogger<RequestLog> logger)
{
    public const string Header = "X-Request-Id";
    private const int LongestId = 128;
    private static readonly SearchValues<char> InIds = SearchValues.Create("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~+/=:@");

    public async Task InvokeAsync(HttpContext context)
    {
        var began = Stopwatch.GetTimestamp();
        var id = Id(context.Request);
        // Before the error handling may take it away.
        var route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "none";
        context.TraceIdentifier = id;
        context.Request.Headers[Header] = id;
        context.Response.OnStarting(SetHeadersAsync, context);
        using var scope = logger.BeginScope(new Scope(id));
        try
        {
            await next(context);
        }
        finally
        {
            if (logger.IsEnabled(LogLevel.Information))
            {
                var user = context.User;
                var status = context.RequestAborted.IsCancellationRequested && !context.Response.HasStarted
                    ? StatusCodes.Status499ClientClosedRequest : context.Response.StatusCode;
                var call = context.Features.Get<AppCall>();
                Answered(
                    logger, context.Request.Method, route, status, context.Response.ContentLength, Stopwatch.GetElapsedTime(began).TotalMilliseconds,
                    (user.FindFirst("client_id") ?? user.FindFirst("azp"))?.Value, call?.AppId, call?.Version, id);
            }
        }
    }

    /// <summary>The caller's id, if it can do no harm in a log or a header; else a new one.</summary>
    private static string Id(HttpRequest request) =>
        request.Headers[Header] is [{ Length: > 0 and <= LongestId } given] && !given.AsSpan().ContainsAnyExcept(InIds)
            ? given
            : NewId();

    /// <summary>Like a UUID of version 7 without its dashes: it sorts by time. It names a call and guards nothing, so it need not be beyond guessing, which takes the kernel's help.</summary>
    private static string NewId() => string.Create(CultureInfo.InvariantCulture, stackalloc char[32],
        $"{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds():x12}{0x7000 | Random.Shared.Next(0x1000):x4}{0x8000_0000_0000_0000 | (ulong)Random.Shared.NextInt64(1L << 62):x16}");

    /// <summary>What a service says of itself is not overruled, but which server it is stays inside.</summary>
    private static Task SetHeadersAsync(object state)
    {
        var context = (HttpContext)state;
        var headers = context.Response.Headers;
        headers[Header] = context.TraceIdentifier;
        headers.Remove("Server");
        headers.Remove("X-Powered-By");
        headers.TryAdd("X-Content-Type-Options", "nosniff");
        headers.TryAdd("Referrer-Policy", "no-referrer");
        if (context.Response.ContentType?.StartsWith("application/problem+json", StringComparison.OrdinalIgnoreCase) is true)
        {
            headers.TryAdd("Cache-Control", "no-store");
        }
        return Task.CompletedTask;
    }

    [LoggerMessage(1, LogLevel.Information,
        "{Method} {Route} {Status} {Bytes} bytes {Milliseconds:0.0} ms client {Client} app {App} {Version} request {RequestId}")]
    private static partial void Answered(
        ILogger logger, string method, string route, int status, long? bytes, double milliseconds, string? client, string? app, string? version, string requestId);

    /// <summary>All lines that are written for the call carry its id.</summary>
    private sealed class Scope(string id) : IReadOnlyList<KeyValuePair<string, object?>>
    {
        public int Count => 1;

        public KeyValuePair<string, object?> this[int index] => index is 0 ? new("RequestId", id) : throw new ArgumentOutOfRangeException(nameof(index));

        public IEnumerator<KeyValuePair<string, object?>> GetEnumerator()
        {
            yield return this[0];
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        public override string ToString() => $"RequestId:{id}";
    }
}
