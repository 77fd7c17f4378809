using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using JsonOptions = Microsoft.AspNetCore.Http.Json.JsonOptions;

namespace MobileIntegration.ServiceDefaults;

/// <summary>ETag and 304 (RFC 9110) on everything that is read, and the headers that go with it.</summary>
public static class Conditional
{
    /// <summary>Sets the tag, and says of a request that has it already that it is not modified.</summary>
    /// <param name="tag">With its quotes.</param>
    public static bool IsNotModified(this HttpContext http, string tag)
    {
        ArgumentNullException.ThrowIfNull(http);
        var headers = http.Response.Headers;
        headers.ETag = tag;
        // Kept by the app and asked for again with the tag; never by anybody in between.
        headers.CacheControl = "private, no-cache";
        headers.Vary = "Accept-Language, Authorization";
        if (Deadline.Current is { IsPreference: true } deadline)
        {
            headers["Preference-Applied"] = string.Create(CultureInfo.InvariantCulture, $"wait={(int)deadline.Span.TotalSeconds}");
        }
        var sent = http.Request.Headers.IfNoneMatch;
        if (sent.Count is 0 || !EntityTagHeaderValue.TryParseList(sent!, out var known) || !EntityTagHeaderValue.TryParse(tag, out var own)
            || !known.Any(one => one.Tag.Equals("*") || one.Compare(own, useStrongComparison: false)))
        {
            return false;
        }
        http.Response.StatusCode = StatusCodes.Status304NotModified;
        return true;
    }
}

/// <summary>200 with a record or a list, or 304 when the caller has it as it is.</summary>
public sealed class Tagged<T>(T value) : IResult, IEndpointMetadataProvider
{
    public T Value => value;

    static void IEndpointMetadataProvider.PopulateMetadata(MethodInfo method, EndpointBuilder builder) => Tagged.Describe<T>(builder);

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        ArgumentNullException.ThrowIfNull(httpContext);
        var json = httpContext.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
        var body = JsonSerializer.SerializeToUtf8Bytes(value, json);
        if (httpContext.IsNotModified($"W/\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 8))}\""))
        {
            return;
        }
        httpContext.Response.ContentType = "application/json; charset=utf-8";
        httpContext.Response.ContentLength = body.Length;
        await httpContext.Response.Body.WriteAsync(body, httpContext.RequestAborted);
    }
}

public static class Tagged
{
    public static Tagged<T> Ok<T>(T value) => new(value);

    /// <summary>For the API's document.</summary>
    public static void Describe<T>(EndpointBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Metadata.Add(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(T), ["application/json"]));
        builder.Metadata.Add(new ProducesResponseTypeMetadata(StatusCodes.Status304NotModified, typeof(void)));
    }
}
