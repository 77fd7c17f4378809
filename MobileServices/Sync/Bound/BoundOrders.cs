using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using MobileIntegration.Contracts;

namespace MobileServices.Sync.Bound;

/// <summary>Hands changes of orders to integration's commands, follows them to their end, and reads what became of the orders.</summary>
internal sealed class BoundOrders(IHttpClientFactory http, BoundStore store, BoundDocuments documents)
{
    public const string Client = "sync-integration";

    private const string PageSize = "100";
    private static readonly TimeSpan SecondLook = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestLook = TimeSpan.FromSeconds(30);

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private OrdersClient Orders => new(http.CreateClient(Client));

    /// <summary>One step of a change.</summary>
    /// <exception cref="ProblemException">Integration cannot take it now.</exception>
    /// <exception cref="HttpRequestException">It was not reached.</exception>
    public Task StepAsync(BoundChange change, CancellationToken ct) => change.CommandId is { } command ? FollowAsync(change, command, ct) : BeginAsync(change, ct);

    /// <inheritdoc cref="StepAsync(BoundChange, CancellationToken)"/>
    public Task StepAsync(BoundRead read, CancellationToken ct) => read.OrderId.Length is 0 ? ListAsync(read, ct) : ReadAsync(read, ct);

    private async Task BeginAsync(BoundChange change, CancellationToken ct)
    {
        var known = await store.KnownAsync(change.DbId, change.DocId, ct);
        if (known is { Body: null })
        {
            await store.LaterAsync(change, TimeSpan.FromMilliseconds(250), null, ct);
            return;
        }
        var edit = change.Deleted
            ? new OrderEdit.Nothing()
            : OrderEdit.Of(change.DocId, change.Body, change.Base, known is { } order ? (order.OrderId, order.Body!) : null, change.CustomerId);
        switch (edit)
        {
            case OrderEdit.Place place:
                await SendAsync(change, key => Orders.PlaceAsync(place.Order, key, ct), ct);
                break;
            case OrderEdit.Cancel cancel:
                await SendAsync(change, key => Orders.CancelAsync(cancel.OrderId, new(cancel.Reason), key, ct), ct);
                break;
            case OrderEdit.Refuse refused:
                await documents.RefuseAsync(change, refused.Code, refused.Detail);
                break;
            default:
                await documents.DoneAsync(change, null);
                break;
        }
    }

    private async Task SendAsync(BoundChange change, Func<string, Task<CommandStatus>> sendAsync, CancellationToken ct)
    {
        try
        {
            await store.SentAsync(change, (await sendAsync(Key(change))).Id, ct);
        }
        catch (ProblemException exception) when (exception.Problem.Status is 400 or 404 or 409 or 413 or 422)
        {
            await documents.RefuseAsync(change, exception.Problem.Status is 404 ? "unknown-order" : "invalid-order", Words(exception.Problem));
        }
    }

    private async Task FollowAsync(BoundChange change, Guid command, CancellationToken ct)
    {
        switch (await Orders.GetCommandAsync(command, ct))
        {
            case { Status: CommandStatusCode.Done } done:
                await documents.DoneAsync(change, done.OrderId ?? (await store.KnownAsync(change.DbId, change.DocId, ct))?.OrderId);
                break;
            case { Status: CommandStatusCode.Refused or CommandStatusCode.Discarded } refused:
                await documents.RefuseAsync(change, refused.Problem?.Code ?? "discarded", refused.Problem?.Detail ?? "An operator gave it up.");
                break;
            case { Status: CommandStatusCode.Dead } dead:
                await store.LaterAsync(change, LongestLook, $"The command {command} waits for an operator (POST /commands/{command}/replay): {dead.Problem?.Detail}", ct);
                break;
            case null:
                await store.LaterAsync(change, LongestLook, $"Integration does not know the command {command} any more. Look into the Erp whether it was done, then replay or forget it here.", ct);
                break;
            default:
                // A tenth late at most, however often it was tried while integration was away.
                await store.LaterAsync(change, Look(change.SentFor / 10), null, ct);
                break;
        }
    }

    /// <summary>All of the customer's orders, as far back as integration lists them.</summary>
    private async Task ListAsync(BoundRead read, CancellationToken ct)
    {
        string? cursor = null;
        try
        {
            do
            {
                var page = await Orders.GetHistoryAsync(read.CustomerId, PageSize, cursor, ct);
                await store.ReadAsync(read.DbId, [.. page.Items.Select(order => order.Id)], ct);
                cursor = page.Next;
            }
            while (cursor is not null);
        }
        catch (ProblemException exception) when (exception.Problem.Status is 404)
        {
            // The Erp has no such customer yet: who has not ordered may not be there.
        }
        await (read.Wanted is null ? store.AgainAsync(read, SecondLook, ct) : store.ForgetAsync(read, ct));
    }

    private async Task ReadAsync(BoundRead read, CancellationToken ct)
    {
        var order = await Orders.GetAsync(read.OrderId, ct);
        if (order is not null && order.CustomerId != read.CustomerId)
        {
            await store.ForgetAsync(read, ct);
            return;
        }
        if (order is null || order.Revision < read.Wanted)
        {
            var reason = order is null ? $"Integration knows no order {read.OrderId}." : $"Integration answers the revision {order.Revision} of the order, and the event told of {read.Wanted}.";
            await store.LaterAsync(read, Look(0.2 * Math.Pow(1.4, Math.Min(read.Failures, 30))), reason, ct);
            return;
        }
        if (await store.DocumentOfAsync(read.DbId, read.OrderId, order.Reference, ct) is not { } document)
        {
            await store.LaterAsync(read, TimeSpan.FromMilliseconds(500), null, ct);
            return;
        }
        await documents.WriteAsync(read, document, order.Revision ?? 0, JsonSerializer.Serialize(order with { Reference = null }, Json));
    }

    /// <summary>The same whenever this revision is sent, also after the database was made anew; another once an operator has it sent again.</summary>
    private static string Key(BoundChange change) => $"sync-{Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(
        (string[])[change.App, change.Owner, change.Name, change.DocId, change.Rev, change.Replays.ToString(CultureInfo.InvariantCulture)])))}";

    private static TimeSpan Look(double seconds) => TimeSpan.FromSeconds(Math.Clamp(seconds, 0.2, LongestLook.TotalSeconds));

    private static string Words(Problem problem)
    {
        var words = problem.Detail ?? problem.Title ?? $"Integration answered {problem.Status}.";
        return problem.Extensions?.TryGetValue("errors", out var errors) is true && errors.ValueKind is JsonValueKind.Object
            ? $"{words} {string.Join(' ', errors.EnumerateObject().Select(error => $"{error.Name}: {string.Join(' ', error.Value.EnumerateArray())}"))}"
            : words;
    }
}
