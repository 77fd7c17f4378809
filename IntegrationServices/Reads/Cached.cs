using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using JsonOptions = Microsoft.AspNetCore.Http.Json.JsonOptions;

namespace IntegrationServices.Reads;

/// <summary>
/// 200 with what was read and how old it is (<c>Age</c>; <c>Cache-Status</c> of RFC 9211, whose ttl is below zero when it stands in for an answer that did not come), or
/// 304 when the caller has it as it is.
/// </summary>
internal sealed class Cached<T>(Read<T> read) : IResult, IEndpointMetadataProvider
{
    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var json = httpContext.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
        var body = JsonSerializer.SerializeToUtf8Bytes(read.Data, json);
        var tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 12))}\"";
        var headers = httpContext.Response.Headers;
        headers.ETag = tag;
        headers.CacheControl = "private, no-cache";
        headers.Age = ((long)read.Age.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        var ttl = read.Ttl < TimeSpan.Zero ? Math.Floor(read.Ttl.TotalSeconds) : Math.Ceiling(read.Ttl.TotalSeconds);
        headers["Cache-Status"] = read.Why is { } why
            ? string.Create(CultureInfo.InvariantCulture, $"{read.Kind}; hit; ttl={ttl:0}; detail=\"{why.System} {why.Status}\"")
            : string.Create(CultureInfo.InvariantCulture, $"{read.Kind}; hit; ttl={ttl:0}");
        if (httpContext.Request.Headers.IfNoneMatch is { Count: > 0 } sent && EntityTagHeaderValue.TryParseList(sent!, out var known)
            && known.Any(one => one.Tag == "*" || one.Tag == tag))
        {
            httpContext.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }
        httpContext.Response.ContentType = "application/json; charset=utf-8";
        httpContext.Response.ContentLength = body.Length;
        await httpContext.Response.Body.WriteAsync(body, httpContext.RequestAborted);
    }

    public static void PopulateMetadata(MethodInfo method, EndpointBuilder builder)
    {
        builder.Metadata.Add(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(T), ["application/json"]));
        builder.Metadata.Add(new ProducesResponseTypeMetadata(StatusCodes.Status304NotModified));
    }
}

internal static class Cached
{
    public static Cached<T> Ok<T>(Read<T> read) => new(read);
}
