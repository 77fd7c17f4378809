using System.Buffers;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using Yarp.ReverseProxy.Model;

namespace Gateway;

/// <summary>Refuses what is too large and what two servers could read in two ways, before anything else is done for it.</summary>
internal sealed class RequestGuard(RequestDelegate next, IOptions<EdgeOptions> edge, IOptions<ServiceLimits> limits, IProblemDetailsService problems)
{
    /// <summary>Where Kestrel leaves the Content-Length of a request that has a Transfer-Encoding as well.</summary>
    private const string SecondLength = "X-Content-Length";

    /// <summary>In the metadata of a route whose bodies may be larger than others.</summary>
    public const string TakesLarge = "TakesLarge";

    private const string Verbatim = "/sync/";

    private const long Drained = 1 << 24;

    private readonly EdgeOptions _edge = edge.Value;

    public Task InvokeAsync(HttpContext context) =>
        (WrongFraming(context.Request) ?? WrongSize(context) ?? WrongPath(Target(context))) is var (status, detail) ? RefuseAsync(context, status, detail) : next(context);

    private async Task RefuseAsync(HttpContext context, int status, string detail)
    {
        if (context.Request.Headers.TransferEncoding.Count > 0)
        {
            // Where the next request begins is what cannot be trusted.
            context.Response.Headers.Connection = "close";
        }
        if (context.Request.ContentLength <= Drained && context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } server)
        {
            // So that the server takes the rest, a few seconds long: a client that is cut while it sends does not hear why.
            server.MaxRequestBodySize = null;
        }
        context.Response.StatusCode = status;
        await problems.WriteAsync(new() { HttpContext = context, ProblemDetails = new ProblemDetails { Status = status, Detail = detail } });
    }

    /// <summary>RFC 9112, section 6.1: a message with both lengths may be an attempt at smuggling.</summary>
    private static (int Status, string Detail)? WrongFraming(HttpRequest request)
    {
        var coding = request.Headers.TransferEncoding;
        if (coding.Count is 0)
        {
            return null;
        }
        if (request.Headers.ContentLength is not null || request.Headers.ContainsKey(SecondLength))
        {
            return (400, "The request has both Transfer-Encoding and Content-Length. Send one of them.");
        }
        return coding.Count > 1 || !"chunked".Equals(coding[0], StringComparison.OrdinalIgnoreCase) || !HttpProtocol.IsHttp11(request.Protocol)
            ? (400, "The only Transfer-Encoding is chunked, over HTTP/1.1.")
            : null;
    }

    private (int Status, string Detail)? WrongSize(HttpContext context)
    {
        var request = context.Request;
        if (Target(context).Length > _edge.UrlBytes)
        {
            return (414, $"The address has more than {_edge.UrlBytes} bytes. Send what is long in the body.");
        }
        var (count, total) = (0, 0);
        foreach (var (name, values) in request.Headers)
        {
            foreach (var value in values)
            {
                var line = name.Length + (value?.Length ?? 0);
                if (line > _edge.HeaderLineBytes)
                {
                    return (431, $"A header has more than {_edge.HeaderLineBytes} bytes.");
                }
                count++;
                total += line + ": \r\n".Length;
            }
        }
        if (count > _edge.HeaderCount)
        {
            return (431, $"There are more than {_edge.HeaderCount} headers.");
        }
        if (total > _edge.HeaderBytes)
        {
            return (431, $"The headers have more than {_edge.HeaderBytes} bytes together.");
        }
        var most = Most(context, limits.Value);
        return request.ContentLength > most ? (413, TooLarge(most)) : null;
    }

    /// <summary>The largest body that the request's route takes.</summary>
    internal static long Most(HttpContext context, ServiceLimits limits)
    {
        var route = context.GetEndpoint()?.Metadata.GetMetadata<RouteModel>()?.Config;
        var most = route?.MaxRequestBodySize ?? long.MaxValue;
        return route?.Metadata?.ContainsKey(TakesLarge) is true ? most : Math.Min(limits.BodyBytes, most);
    }

    internal static string TooLarge(long most) => $"The body has more than the {most} bytes that are taken here. Send less at a time.";

    /// <summary>What one server takes for another path than the next does: dot segments, doubled and coded slashes, path parameters, control characters.</summary>
    internal static (int Status, string Detail)? WrongPath(string target)
    {
        var path = target.AsSpan();
        if (path.IndexOf("://") is > 0 and var scheme && path[0] is not '/')
        {
            var authority = path[(scheme + 3)..];
            path = authority.IndexOf('/') is >= 0 and var slash ? authority[slash..] : "/";
        }
        if (path.IndexOf('?') is >= 0 and var query)
        {
            path = path[..query];
        }
        if (path.IndexOfAny("%;\\") < 0 && path.IndexOf("//") < 0 && path.IndexOf("/.") < 0)
        {
            return null;
        }
        // Ids of documents may hold what is a trick elsewhere, and the service behind reads the path as it was sent.
        var verbatim = path.StartsWith(Verbatim);
        var first = true;
        foreach (var range in path.Split('/'))
        {
            var segment = path[range];
            var once = Uri.UnescapeDataString(segment);
            var last = range.End.Value == path.Length;
            if ((segment.IsEmpty && !first && !last) || (verbatim ? IsDots(once) || IsDots(Uri.UnescapeDataString(once)) || once.Any(char.IsControl)
                : segment.Contains(';') || IsTrick(once) || IsTrick(Uri.UnescapeDataString(once))))
            {
                return (400, "The path holds a dot segment, an empty segment, a coded slash, a backslash, a semicolon or a control character. Send it without.");
            }
            first = false;
        }
        return null;
    }

    private static bool IsDots(string segment) => segment is "." or "..";

    private static bool IsTrick(string segment) =>
        IsDots(segment) || segment.AsSpan().IndexOfAny('/', '\\') >= 0 || segment.Any(char.IsControl);

    private static string Target(HttpContext context) => context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
}

/// <summary>Reads a body of unknown length ahead, so that one that is too large or breaks off never begins at the service.</summary>
internal sealed class BodyGuard(RequestDelegate next, IOptions<ServiceLimits> limits, IProblemDetailsService problems)
{
    private const int InMemory = 1 << 16;

    public Task InvokeAsync(HttpContext context) =>
        context.Request.ContentLength is not null || context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true }
        || context.GetEndpoint()?.Metadata.GetMetadata<RouteModel>() is null ? next(context) : ReadAsync(context);

    private async Task ReadAsync(HttpContext context)
    {
        var request = context.Request;
        var most = RequestGuard.Most(context, limits.Value);
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } server)
        {
            // It counts the framing of chunks as well, which may be more than what they hold.
            server.MaxRequestBodySize = null;
        }
        request.EnableBuffering(InMemory);
        try
        {
            if (!await FitsAsync(request.Body, most, context.RequestAborted))
            {
                await RefuseAsync(context, StatusCodes.Status413PayloadTooLarge, RequestGuard.TooLarge(most));
                return;
            }
        }
        catch (IOException exception) when (exception is not BadHttpRequestException)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "The body broke off, or its chunks cannot be read.");
            return;
        }
        request.Headers.Remove("Transfer-Encoding");
        request.ContentLength = request.Body.Length;
        request.Body.Position = 0;
        await next(context);
    }

    private static async Task<bool> FitsAsync(Stream body, long most, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(1 << 14);
        try
        {
            long total = 0;
            while (await body.ReadAsync(buffer, ct) is > 0 and var read)
            {
                total += read;
                if (total > most)
                {
                    return false;
                }
            }
            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task RefuseAsync(HttpContext context, int status, string detail)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.Connection = "close";
        await problems.WriteAsync(new() { HttpContext = context, ProblemDetails = new ProblemDetails { Status = status, Detail = detail } });
    }
}
