using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using JsonOptions = Microsoft.AspNetCore.Http.Json.JsonOptions;

namespace IntegrationServices.Reads;

/// <summary>200 with what was asked for and its ETag, or 304 when the caller has it as it is (RFC 9110).</summary>
internal sealed class Tagged<T>(T value) : IResult, IEndpointMetadataProvider
{
    public T Value => value;

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var json = httpContext.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
        var body = JsonSerializer.SerializeToUtf8Bytes(value, json);
        var tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 12))}\"";
        var headers = httpContext.Response.Headers;
        headers.ETag = tag;
        headers.CacheControl = "private, no-cache";
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
        builder.Metadata.Add(new ProducesResponseTypeMetadata(StatusCodes.Status304NotModified, typeof(void)));
    }
}

internal static class Tagged
{
    public static Tagged<T> Ok<T>(T value) => new(value);
}
