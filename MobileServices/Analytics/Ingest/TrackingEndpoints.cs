using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace MobileServices.Analytics.Ingest;

/// <summary>
/// The HTTP tracking API of Segment (https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/), as its SDKs and those of RudderStack call it:
/// the app's write key as the user name of basic authentication, or in the body.
/// </summary>
internal static class TrackingEndpoints
{
    public const int MostBatchBytes = 500 * 1024;

    /// <summary>Names of their routes, the short ones are those of Segment's older SDKs.</summary>
    private static readonly (string Path, EventType? Type)[] Routes =
    [
        ("/batch", null), ("/import", null), ("/b", null),
        ("/track", EventType.Track), ("/t", EventType.Track), ("/identify", EventType.Identify), ("/i", EventType.Identify),
        ("/screen", EventType.Screen), ("/s", EventType.Screen), ("/page", EventType.Page), ("/p", EventType.Page),
        ("/group", EventType.Group), ("/g", EventType.Group), ("/alias", EventType.Alias), ("/a", EventType.Alias),
    ];

    public static void MapTracking(this IEndpointRouteBuilder endpoints)
    {
        foreach (var (path, type) in Routes)
        {
            var endpoint = endpoints.MapPost(path, (HttpContext http, TrackingServices services, CancellationToken ct) => TakeAsync(http, type, services, ct))
                .WithSummary(type is null ? "Takes many messages; answers when they are durable" : $"Takes one message ({type.Value.ToString().ToLowerInvariant()}); answers when it is durable")
                .Accepts<JsonElement>("application/json", "*/*").Produces<Taken>()
                .ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status401Unauthorized).ProducesProblem(StatusCodes.Status503ServiceUnavailable);
            if (path.Length is 2)
            {
                endpoint.ExcludeFromDescription();
            }
        }
    }

    private static async Task<Results<Ok<Taken>, ProblemHttpResult>> TakeAsync(HttpContext http, EventType? type, TrackingServices services, CancellationToken ct)
    {
        var app = 0;
        if (BasicKey.Of(http.Request) is { } key)
        {
            if (await services.Keys.AppOfAsync(key, ct) is not { } known)
            {
                return Unknown(http, services);
            }
            app = known;
        }
        var most = type is null ? MostBatchBytes : TrackingReader.MostEventBytes;
        if (http.Request.ContentLength > most)
        {
            return TooLarge(app, most, services);
        }
        var size = BoundedBody.IsZipped(http.Request) ? most : (int)(http.Request.ContentLength ?? most);
        if (!services.TryReserve(size))
        {
            http.Response.Headers.RetryAfter = "1";
            return TypedResults.Problem("More events come in than can be written (Analytics:MostMegabytes). Send them again in a second.", statusCode: 503);
        }
        var buffer = ArrayPool<byte>.Shared.Rent(size + 1);
        try
        {
            var length = await BoundedBody.ReadAsync(http.Request, buffer.AsMemory(0, size + 1), ct);
            if (length > size)
            {
                return TooLarge(app, most, services);
            }
            ReadOnlyMemory<byte> body = buffer.AsMemory(0, length);
            using var document = TrackingReader.Parse(body);
            if (app is 0)
            {
                if (TrackingReader.WriteKey(document.RootElement) is not { } inBody || await services.Keys.AppOfAsync(inBody, ct) is not { } known)
                {
                    return Unknown(http, services);
                }
                app = known;
            }
            var reader = new TrackingReader(app, services.Time.GetUtcNow(), services.Options.Value);
            if (reader.Read(body, document.RootElement, type) is { } wrong)
            {
                services.Writer.Note(new(app, "malformed"));
                return TypedResults.Problem(wrong, statusCode: 400);
            }
            await services.Writer.WriteAsync(reader.Events, reader.Dropped, ct);
            return TypedResults.Ok(Taken.All);
        }
        catch (Exception exception) when (exception is JsonException or InvalidDataException)
        {
            services.Writer.Note(new(app, "malformed"));
            return TypedResults.Problem(
                exception is JsonException ? $"The body is no JSON. {exception.Message}" : "The body is not what its Content-Encoding says. Send it as gzip, or without that header.", statusCode: 400);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            services.Release(size);
        }
    }

    private static ProblemHttpResult Unknown(HttpContext http, TrackingServices services)
    {
        services.Writer.Note(new(0, "unknown_key"));
        http.Response.Headers.WWWAuthenticate = "Basic realm=\"analytics\"";
        return TypedResults.Problem("The write key does not exist or was revoked. Send the app's write key as the user name of basic authentication, with no password.", statusCode: 401);
    }

    private static ProblemHttpResult TooLarge(int app, int most, TrackingServices services)
    {
        services.Writer.Note(new(app, "too_large_request"));
        return TypedResults.Problem($"The body has more than the {most} bytes that are taken here, unzipped. Send fewer messages at a time.", statusCode: 400);
    }
}

/// <summary>As the SDKs know it.</summary>
internal sealed record Taken(bool Success)
{
    public static Taken All { get; } = new(true);
}

/// <summary>What the endpoints work with, and how much of the memory for bodies is in use.</summary>
internal sealed class TrackingServices(WriteKeys keys, EventWriter writer, IOptions<AnalyticsOptions> options, TimeProvider time)
{
    private long _reserved;

    public WriteKeys Keys => keys;

    public EventWriter Writer => writer;

    public IOptions<AnalyticsOptions> Options => options;

    public TimeProvider Time => time;

    public bool TryReserve(long bytes)
    {
        if (Interlocked.Add(ref _reserved, bytes) <= options.Value.MostMegabytes << 20)
        {
            return true;
        }
        Release(bytes);
        return false;
    }

    public void Release(long bytes) => Interlocked.Add(ref _reserved, -bytes);
}
