using System.Globalization;
using System.Reflection;
using Microsoft.AspNetCore.Http.Metadata;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Reads;

/// <summary>
/// <see cref="Tagged{T}"/> with how old what was read is (<c>Age</c>; <c>Cache-Status</c> of RFC 9211, whose ttl is below zero when it stands in for an answer
/// that did not come).
/// </summary>
internal sealed class Cached<T>(Read<T> read) : IResult, IEndpointMetadataProvider
{
    public Task ExecuteAsync(HttpContext httpContext)
    {
        var headers = httpContext.Response.Headers;
        headers.Age = ((long)read.Age.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        var ttl = read.Ttl < TimeSpan.Zero ? Math.Floor(read.Ttl.TotalSeconds) : Math.Ceiling(read.Ttl.TotalSeconds);
        headers["Cache-Status"] = read.Why is { } why
            ? string.Create(CultureInfo.InvariantCulture, $"{read.Kind}; hit; ttl={ttl:0}; detail=\"{why.System} {why.Status}\"")
            : string.Create(CultureInfo.InvariantCulture, $"{read.Kind}; hit; ttl={ttl:0}");
        return Tagged.Ok(read.Data).ExecuteAsync(httpContext);
    }

    public static void PopulateMetadata(MethodInfo method, EndpointBuilder builder) => Tagged.Describe<T>(builder);
}

internal static class Cached
{
    public static Cached<T> Ok<T>(Read<T> read) => new(read);
}
