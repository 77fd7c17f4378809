using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace MobileServices.Configuration;

/// <summary>
/// The OpenFeature Remote Evaluation Protocol: https://openfeature.dev/docs/reference/other-technologies/ofrep/openapi/. No token is needed, since an
/// app is configured before anybody logs in; with one, rules may name its user.
/// </summary>
internal static class OfrepEndpoints
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 32, AllowDuplicateProperties = false };

    public static void MapOfrep(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapPost("/ofrep/v1/evaluate/flags/{key}", EvaluateAsync).WithSummary("Evaluates one flag for a context")
            .Accepts<JsonElement>("application/json").Produces<JsonElement>().Produces<OfrepFailure>(StatusCodes.Status400BadRequest).Produces<OfrepFailure>(StatusCodes.Status404NotFound);
        endpoints.MapPost("/ofrep/v1/evaluate/flags", EvaluateAllAsync).WithSummary("Evaluates all flags of the app for a context; If-None-Match with the last ETag may answer 304")
            .Accepts<JsonElement>("application/json").Produces<JsonElement>().Produces<OfrepFailure>(StatusCodes.Status400BadRequest);
        endpoints.MapGet("/ofrep/v1/changes/{appId}", ChangeStream.GetAsync).DisableRateLimiting().WithSummary("A stream of events (SSE) that says when to evaluate again")
            .Produces(StatusCodes.Status200OK, contentType: "text/event-stream").ProducesProblem(StatusCodes.Status503ServiceUnavailable);
    }

    private static async Task<IResult> EvaluateAsync(string key, HttpContext http, FlagSets flags, TimeProvider time)
    {
        var (context, refusal) = await ReadAsync(http, key);
        if (context is null)
        {
            return refusal!;
        }
        if (flags.Of(context.AppId).Evaluate(key, context, time.GetUtcNow()) is not { } outcome)
        {
            return TypedResults.NotFound(new OfrepFailure("FLAG_NOT_FOUND", $"The app {context.AppId} has no flag '{key}'.", key));
        }
        if (outcome.IsMissing)
        {
            return TypedResults.BadRequest(NoKey(key));
        }
        var buffer = new ArrayBufferWriter<byte>(256);
        outcome.WriteTo(buffer);
        return TypedResults.Bytes(buffer.WrittenMemory, "application/json");
    }

    private static async Task<IResult> EvaluateAllAsync(HttpContext http, FlagSets flags, TimeProvider time)
    {
        var (context, refusal) = await ReadAsync(http, null);
        if (context is null)
        {
            return refusal!;
        }
        var set = flags.Of(context.AppId);
        var buffer = new ArrayBufferWriter<byte>(256 + (set.Keys.Count * 128));
        buffer.Write("{\"flags\":["u8);
        var now = time.GetUtcNow();
        var isFirst = true;
        foreach (var key in set.Keys)
        {
            buffer.Write(isFirst ? ""u8 : ","u8);
            isFirst = false;
            set.Evaluate(key, context, now)!.WriteTo(buffer);
        }
        buffer.Write("],\"eventStreams\":[{\"type\":\"sse\",\"endpoint\":{\"requestUri\":\""u8);
        buffer.Write(Encoding.UTF8.GetBytes($"/ofrep/v1/changes/{Uri.EscapeDataString(context.AppId)}"));
        buffer.Write("\"}}]}"u8);

        // Over what is answered, so over everything that it came from: rules, time and context.
        var tag = $"\"{Convert.ToBase64String(SHA256.HashData(buffer.WrittenSpan), 0, 16)}\"";
        http.Response.Headers.ETag = tag;
        http.Response.Headers.CacheControl = "private, no-cache";
        return http.Request.Headers.IfNoneMatch.Any(sent => sent is not null && (sent == "*" || sent.Contains(tag, StringComparison.Ordinal)))
            ? TypedResults.StatusCode(StatusCodes.Status304NotModified)
            : TypedResults.Bytes(buffer.WrittenMemory, "application/json");
    }

    /// <summary>Failures have the protocol's own shape.</summary>
    private static async Task<(EvaluationContext? Context, IResult? Refusal)> ReadAsync(HttpContext http, string? key)
    {
        // A token that is no longer good must not turn a user into nobody without a word.
        if (http.Request.Headers.Authorization.Count > 0 && http.User.Identity?.IsAuthenticated is not true)
        {
            http.Response.Headers.WWWAuthenticate = "Bearer error=\"invalid_token\"";
            return (null, TypedResults.Json(new OfrepFailure("GENERAL", "The access token is not valid. Send a new one, or none.", key), Flag.Json, statusCode: 401));
        }
        try
        {
            using var body = await JsonDocument.ParseAsync(http.Request.Body, Reading, http.RequestAborted);
            return EvaluationContext.Read(body.RootElement, http.Request, http.User, out var problem) is { } context
                ? (context, null)
                : (null, TypedResults.BadRequest(new OfrepFailure("INVALID_CONTEXT", problem, key)));
        }
        catch (JsonException exception)
        {
            return (null, TypedResults.BadRequest(new OfrepFailure("PARSE_ERROR", $"The body is no JSON. {exception.Message}", key)));
        }
    }

    public static OfrepFailure NoKey(string key) =>
        new("TARGETING_KEY_MISSING", "A percentage decides, and the context has no targetingKey. Send the installation's or the user's id.", key);
}

/// <summary>A failure as the protocol writes it.</summary>
/// <param name="ErrorCode">PARSE_ERROR, TARGETING_KEY_MISSING, INVALID_CONTEXT, FLAG_NOT_FOUND or GENERAL.</param>
internal sealed record OfrepFailure(string ErrorCode, string? ErrorDetails, string? Key);
