using System.Buffers.Text;
using System.Globalization;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using MobileServices.Devices;
using MobileServices.Push.Messages;
using MobileServices.Push.Networks.WebPush;
using MobileServices.Push.Registrations;

namespace MobileServices.Push.Networks.Own;

/// <summary>A push service (RFC 8030) of our own: any Web Push sender can send to its endpoints; devices hold one stream.</summary>
internal static class OwnEndpoints
{
    private const int LargestBody = 4096;
    // From the one that waits longest.
    private static readonly string[] Urgencies = ["very-low", "low", "normal", "high"];

    /// <summary>For devices.</summary>
    public static void MapSubscriptions(this IEndpointRouteBuilder app)
    {
        app.MapPost("/own/subscriptions", SubscribeAsync).WithSummary("Subscribes at the own push service (RFC 8030, section 4)").ProducesValidationProblem();
        app.MapDelete("/own/subscriptions/{id}", UnsubscribeAsync).WithSummary("Ends a subscription; idempotent");
        app.MapGet("/own/subscriptions/{id}/messages", StreamAsync).WithSummary("A stream (SSE) of what is kept for a subscription and of what comes; ?urgency= is the least that is wanted")
            .DisableRateLimiting().Produces<string>(StatusCodes.Status200OK, "text/event-stream").ProducesProblem(404).ProducesProblem(503).ProducesValidationProblem();
    }

    /// <summary>For whoever knows an unguessable address: senders, and devices that acknowledge.</summary>
    public static void MapPushService(this IEndpointRouteBuilder app)
    {
        app.MapPost("/endpoint/{id}", PushAsync).WithSummary("Pushes a message to a subscription (RFC 8030, section 5)")
            .Produces(StatusCodes.Status201Created).Produces(StatusCodes.Status202Accepted).ProducesProblem(400).ProducesProblem(401).ProducesProblem(403).ProducesProblem(404).ProducesProblem(413);
        app.MapReceipts();
        app.MapDelete("/message/{id}", AcknowledgeAsync).WithSummary("The device has it (RFC 8030, section 6.2)").ProducesProblem(404);
    }

    private static async Task<Results<Created<OwnSubscription>, ValidationProblem>> SubscribeAsync(
        OwnSubscribe subscribe, HttpContext http, OwnStore store, IOptions<PushOptions> options, CancellationToken ct)
    {
        byte[]? key = null;
        if (subscribe.ApplicationServerKey is { } text && ((key = RegistrationRules.Decode(text)) is null || !MessageEncryption.IsPoint(key)))
        {
            return RegistrationEndpoints.Wrong(new() { ["applicationServerKey"] = ["Must be the sender's public key: an uncompressed point on P-256, 65 bytes in base64url."] });
        }
        var (push, receive) = await store.SubscribeAsync(http.User.Id(), key, ct);
        var endpoint = $"{Origin(http, options.Value)}{OwnNetwork.EndpointPath}{push}";
        http.Response.Headers.Link = $"<{endpoint}>; rel=\"urn:ietf:params:push\"";
        return TypedResults.Created($"/push/own/subscriptions/{receive}", new OwnSubscription(receive, endpoint, $"/push/own/subscriptions/{receive}/messages"));
    }

    private static async Task<NoContent> UnsubscribeAsync(string id, ClaimsPrincipal caller, OwnStore store, CancellationToken ct)
    {
        await store.UnsubscribeAsync(id, caller.Id(), ct);
        return TypedResults.NoContent();
    }

    private static async Task StreamAsync(string id, string? urgency, HttpContext http, OwnStore store, OwnStreams streams, TimeProvider time, CancellationToken ct)
    {
        if (urgency is not null && !Urgencies.Contains(urgency))
        {
            await RegistrationEndpoints.Wrong(new() { ["urgency"] = [$"Must be one of {string.Join(", ", Urgencies)}."] }).ExecuteAsync(http);
            return;
        }
        if (await store.FindAsync(id, http.User.Id(), ct) is not { } pushId)
        {
            await TypedResults.Problem("There is no such subscription. Subscribe anew with POST /push/own/subscriptions.", statusCode: 404).ExecuteAsync(http);
            return;
        }
        var urgencies = urgency is null ? Urgencies : Urgencies[Array.IndexOf(Urgencies, urgency)..];
        // A message comes again on each new stream until it is acknowledged.
        await streams.AnswerAsync(pushId, http, 0, async (last, token) =>
            [.. (await store.AfterAsync(pushId, last, urgencies, token)).Select(message => new Frame(message.Number, message.Id, "push", Write(message, time.GetUtcNow())))]);
    }

    private static string Write(StoredMessage message, DateTimeOffset now) => JsonSerializer.Serialize(
        new PushedMessage(
            message.Id, message.Topic, message.Urgency, message.Encoding, Base64Url.EncodeToString(message.Body), Math.Max(0, (int)(message.ExpiresAt - now.UtcDateTime).TotalSeconds)),
        PushContent.Json);

    private static async Task<IResult> PushAsync(
        string id, HttpContext http, OwnStore store, ReceiptStore receipts, IOptions<PushOptions> options, TimeProvider time, CancellationToken ct)
    {
        var headers = http.Request.Headers;
        if (!int.TryParse(headers["TTL"], NumberStyles.None, CultureInfo.InvariantCulture, out var ttl))
        {
            return Wrong("The header TTL is missing or not a number of seconds (RFC 8030, section 5.2).");
        }
        var topic = (string?)headers["Topic"];
        if (topic is not null && (topic.Length is 0 or > 32 || !topic.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_')))
        {
            return Wrong("The header Topic must be at most 32 characters of base64url (RFC 8030, section 5.4).");
        }
        var urgency = (string?)headers["Urgency"] ?? "normal";
        if (!Urgencies.Contains(urgency))
        {
            return Wrong($"The header Urgency must be one of {string.Join(", ", Urgencies)} (RFC 8030, section 5.3).");
        }
        var encoding = (string?)headers.ContentEncoding;
        if (encoding is not (null or "aes128gcm"))
        {
            return TypedResults.Problem("The body's content coding must be aes128gcm (RFC 8291).", statusCode: StatusCodes.Status415UnsupportedMediaType);
        }
        if (await store.SenderOfAsync(id, ct) is not { } sender)
        {
            return TypedResults.Problem("There is no such subscription. Remove it.", statusCode: 404);
        }
        if (sender.Length > 0)
        {
            if (Vapid.Verify(headers.Authorization, Origin(http, options.Value), time.GetUtcNow()) is not { } signer)
            {
                http.Response.Headers.WWWAuthenticate = "vapid";
                return TypedResults.Problem("The subscription is for one sender: sign the request as it (RFC 8292).", statusCode: 401);
            }
            if (!CryptographicOperations.FixedTimeEquals(signer, sender))
            {
                return TypedResults.Problem("The subscription is for another sender (RFC 8292, section 4.2).", statusCode: 403);
            }
        }
        if (await ReadAsync(http.Request, ct) is not { } body)
        {
            return TypedResults.Problem($"The body is larger than {LargestBody} bytes (RFC 8030, section 7.2).", statusCode: 413);
        }
        var wantsReceipt = ReceiptEndpoints.IsAsked(headers);
        var receipt = wantsReceipt ? await ReceiptEndpoints.SubscriptionAsync(headers, receipts, ct) : null;
        if (wantsReceipt && receipt is null)
        {
            return Wrong("The header Link names a receipt subscription that is not there. Leave it out, and a new one is made (RFC 8030, section 5.1).");
        }
        var kept = Math.Min(ttl, options.Value.OwnTtlSeconds);
        if (await store.KeepAsync(id, topic, urgency, encoding, body, kept, null, receipt, ct) is not { } message)
        {
            return TypedResults.Problem("There is no such subscription. Remove it.", statusCode: 404);
        }
        http.Response.Headers["TTL"] = kept.ToString(CultureInfo.InvariantCulture);
        var location = $"{Origin(http, options.Value)}/push/message/{message}";
        if (receipt is null)
        {
            return TypedResults.Created(location);
        }
        http.Response.Headers.Link = ReceiptEndpoints.Link(Origin(http, options.Value), receipt);
        return TypedResults.Accepted(location);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> AcknowledgeAsync(string id, OwnStore store, CancellationToken ct) =>
        await store.AcknowledgeAsync(id, ct) ? TypedResults.NoContent() : TypedResults.Problem("There is no such message: it was acknowledged, replaced, or its time is over.", statusCode: 404);

    private static async Task<byte[]?> ReadAsync(HttpRequest request, CancellationToken ct)
    {
        var buffer = new byte[LargestBody + 1];
        var length = await request.Body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, ct);
        return length > LargestBody ? null : buffer[..length];
    }

    public static string Origin(HttpContext http, PushOptions options) => options.OwnAddress?.TrimEnd('/') ?? $"{http.Request.Scheme}://{http.Request.Host}";

    private static ProblemHttpResult Wrong(string detail) => TypedResults.Problem(detail, statusCode: StatusCodes.Status400BadRequest);
}

/// <param name="ApplicationServerKey">The only sender who may push (RFC 8292, section 4); everybody who knows the endpoint without one.</param>
internal sealed record OwnSubscribe(string? ApplicationServerKey);

/// <param name="Id">For the device alone.</param>
/// <param name="Endpoint">For senders.</param>
/// <param name="Messages">Where the device listens.</param>
internal sealed record OwnSubscription(string Id, string Endpoint, string Messages);
