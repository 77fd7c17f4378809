using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileServices.Analytics.Ingest;

namespace MobileServices.Analytics.Otlp;

/// <summary>
/// OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp) from apps: an exporter whose endpoint is the gateway's address with <c>/v1/otlp</c>, and whose header
/// Authorization has the write key.
/// </summary>
internal static class OtlpEndpoints
{
    private const int MostBytes = 1 << 20;

    public static void MapOtlp(this IEndpointRouteBuilder endpoints)
    {
        foreach (var signal in (string[])["traces", "metrics", "logs"])
        {
            endpoints.MapPost($"/otlp/v1/{signal}", (HttpContext http, OtlpForwarder forwarder, WriteKeys keys, CancellationToken ct) => TakeAsync(signal, http, forwarder, keys, ct))
                .WithSummary($"Passes {signal} of an app on to the collector (OTLP/HTTP)")
                .Produces(StatusCodes.Status200OK, contentType: "application/x-protobuf").ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status401Unauthorized)
                .ProducesProblem(StatusCodes.Status404NotFound).ProducesProblem(StatusCodes.Status415UnsupportedMediaType).ProducesProblem(StatusCodes.Status429TooManyRequests)
                .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        }
    }

    private static async Task<Results<FileContentHttpResult, ProblemHttpResult>> TakeAsync(string signal, HttpContext http, OtlpForwarder forwarder, WriteKeys keys, CancellationToken ct)
    {
        if (BasicKey.Of(http.Request) is not { } key || await keys.AppOfAsync(key, ct) is not { } app)
        {
            http.Response.Headers.WWWAuthenticate = "Basic realm=\"analytics\"";
            return TypedResults.Problem("The write key does not exist or was revoked. Send the app's write key as the user name of basic authentication, with no password.", statusCode: 401);
        }
        if (!forwarder.IsThere)
        {
            return TypedResults.Problem("There is no collector here. Set OTEL_EXPORTER_OTLP_ENDPOINT of this service.", statusCode: StatusCodes.Status404NotFound);
        }
        var type = http.Request.ContentType?.Split(';')[0].Trim();
        if (!forwarder.Takes(type))
        {
            return TypedResults.Problem($"The collector takes {forwarder.Types}. Set the exporter's protocol to http/protobuf.", statusCode: StatusCodes.Status415UnsupportedMediaType);
        }
        if (forwarder.Wait(app) is { } wait)
        {
            var seconds = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds));
            http.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
            return TypedResults.Problem($"The app sends more often than {forwarder.PerMinute} times a minute (Analytics:OtlpPerMinute). Try again in {seconds} s.", statusCode: StatusCodes.Status429TooManyRequests);
        }
        byte[] body;
        try
        {
            if (await BoundedBody.ReadAsync(http.Request, MostBytes, ct) is not { } read)
            {
                return TypedResults.Problem($"The body has more than the {MostBytes} bytes that are taken here, unzipped. Send less at a time.", statusCode: StatusCodes.Status400BadRequest);
            }
            body = read;
        }
        catch (InvalidDataException)
        {
            return TypedResults.Problem("The body is not what its Content-Encoding says. Send it as gzip, or without that header.", statusCode: StatusCodes.Status400BadRequest);
        }
        if (await forwarder.SendAsync(signal, type!, body, ct) is { } failure)
        {
            http.Response.Headers.RetryAfter = "5";
            return TypedResults.Problem(failure, statusCode: StatusCodes.Status503ServiceUnavailable);
        }
        return TypedResults.Bytes(type is OtlpForwarder.Json ? "{}"u8.ToArray() : [], type);
    }
}
