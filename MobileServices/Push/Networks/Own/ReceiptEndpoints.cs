using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using MobileServices.Push.Messages;

namespace MobileServices.Push.Networks.Own;

/// <summary>How a sender learns that a device has its message (RFC 8030, sections 5.1 and 6.3). The RFC pushes receipts over HTTP/2 server push, which clients have given up; here they come as SSE.</summary>
internal static class ReceiptEndpoints
{
    private const string Relation = "rel=\"urn:ietf:params:push:receipt\"";

    /// <summary>For senders that want a receipt subscription before their first message.</summary>
    public static void MapReceiptSubscriptions(this IEndpointRouteBuilder sender) =>
        sender.MapPost("/receipts", SubscribeAsync).WithSummary("Makes a receipt subscription at the own push service; a push with Prefer: respond-async makes one as well");

    /// <summary>For whoever knows the unguessable address.</summary>
    public static void MapReceipts(this IEndpointRouteBuilder app)
    {
        app.MapGet("/receipt/{id}", StreamAsync).WithSummary("A stream (SSE) of receipts (RFC 8030, section 6.3): status 204 when the device has the message, 410 when it will not")
            .DisableRateLimiting().Produces<string>(StatusCodes.Status200OK, "text/event-stream").ProducesProblem(400).ProducesProblem(404).ProducesProblem(503);
        app.MapDelete("/receipt/{id}", UnsubscribeAsync).WithSummary("Ends a receipt subscription; idempotent");
    }

    /// <summary>Whether a push asks for a receipt.</summary>
    public static bool IsAsked(IHeaderDictionary headers) => headers["Prefer"].SelectMany(value => (value ?? "").Split(','))
        .Any(preference => preference.Split(';')[0].Trim().Equals("respond-async", StringComparison.OrdinalIgnoreCase));

    /// <summary>The subscription that a push names for its receipt, or a new one.</summary>
    /// <returns>Null when it names one that is not there.</returns>
    public static async Task<string?> SubscriptionAsync(IHeaderDictionary headers, ReceiptStore store, CancellationToken ct)
    {
        foreach (var link in headers.Link.SelectMany(value => (value ?? "").Split(',')))
        {
            if (!link.Contains("urn:ietf:params:push:receipt", StringComparison.Ordinal))
            {
                continue;
            }
            var (from, to) = (link.IndexOf('<', StringComparison.Ordinal), link.IndexOf('>', StringComparison.Ordinal));
            var id = from < 0 || to < from ? "" : link[(from + 1)..to].Split('/')[^1];
            return await store.UseAsync(id, ct) ? id : null;
        }
        return await store.SubscribeAsync(ct);
    }

    public static string Link(string origin, string id) => $"<{origin}/push/receipt/{id}>; {Relation}";

    private static async Task<Created> SubscribeAsync(HttpContext http, ReceiptStore store, IOptions<PushOptions> options, CancellationToken ct)
    {
        var (origin, id) = (OwnEndpoints.Origin(http, options.Value), await store.SubscribeAsync(ct));
        http.Response.Headers.Link = Link(origin, id);
        return TypedResults.Created($"{origin}/push/receipt/{id}");
    }

    private static async Task<NoContent> UnsubscribeAsync(string id, ReceiptStore store, CancellationToken ct)
    {
        await store.UnsubscribeAsync(id, ct);
        return TypedResults.NoContent();
    }

    private static async Task StreamAsync(string id, HttpContext http, ReceiptStore store, OwnStreams streams, IOptions<PushOptions> options, CancellationToken ct)
    {
        long last = 0;
        if (http.Request.Headers.TryGetValue("Last-Event-ID", out var seen) && !long.TryParse(seen, NumberStyles.None, CultureInfo.InvariantCulture, out last))
        {
            await TypedResults.Problem("The header Last-Event-ID must be the id of a receipt of this stream. Leave it out to have all that are kept.", statusCode: 400).ExecuteAsync(http);
            return;
        }
        if (!await store.UseAsync(id, ct))
        {
            await TypedResults.Problem("There is no such receipt subscription. Push without it, and a new one is made.", statusCode: 404).ExecuteAsync(http);
            return;
        }
        var origin = OwnEndpoints.Origin(http, options.Value);
        await streams.AnswerAsync(id, http, last, async (after, token) =>
            [.. (await store.AfterAsync(id, after, token)).Select(receipt => new Frame(receipt.Number, receipt.Number.ToString(CultureInfo.InvariantCulture), "receipt", Write(origin, receipt)))]);
    }

    private static string Write(string origin, Receipt receipt) =>
        JsonSerializer.Serialize(new PushReceiptFrame($"{origin}/push/message/{receipt.MessageId}", receipt.Status), PushContent.Json);
}

/// <summary>A receipt on a sender's stream.</summary>
/// <param name="Message">The Location that the push was answered with.</param>
/// <param name="Status">204: the device has it; 410: its time was over, it had to make room, or its subscription ended.</param>
internal sealed record PushReceiptFrame(string Message, int Status);
