using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using MobileIntegration.Contracts;

namespace MobileServices.Sync.Bound;

/// <summary>What a client's change of an order's document asks for.</summary>
internal abstract record OrderEdit
{
    /// <summary>Documents of orders that came from the Erp have this before the order's number.</summary>
    public const string Prefix = "order:";

    public static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        MaxDepth = 1100,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        PropertyNameCaseInsensitive = false,
    };

    /// <summary>Nothing of the back office's business.</summary>
    public sealed record Nothing : OrderEdit;

    public sealed record Place(NewOrder Order) : OrderEdit;

    public sealed record Cancel(string OrderId, string? Reason) : OrderEdit;

    public sealed record Refuse(string Code, string Detail) : OrderEdit;

    /// <param name="before">What the client changed; null when it wrote a new document.</param>
    /// <param name="known">The Erp's order that the document shows; null when it shows none.</param>
    public static OrderEdit Of(string documentId, string body, string? before, (string OrderId, string Body)? known, string customerId)
    {
        try
        {
            using var now = JsonDocument.Parse(body, Reading);
            using var earlier = before is null ? null : JsonDocument.Parse(before, Reading);
            if (known is not { } order)
            {
                return OfNew(documentId, now.RootElement, customerId);
            }
            using var erp = JsonDocument.Parse(order.Body, Reading);
            return OfKnown(order.OrderId, now.RootElement, earlier?.RootElement ?? erp.RootElement, erp.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return new Refuse("invalid-order", $"The order cannot be read: {exception.Message}");
        }
    }

    /// <summary>Whether a document asks for a cancellation, or shows one.</summary>
    public static bool Cancels(JsonElement order) =>
        order.ValueKind is JsonValueKind.Object
        && ((order.TryGetProperty("cancelled", out var flag) && flag.ValueKind is JsonValueKind.True) || (order.TryGetProperty("status", out var status) && Is(status, "cancelled")));

    private static OrderEdit OfNew(string documentId, JsonElement body, string customerId)
    {
        if (documentId.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return new Refuse("unknown-order", $"The customer has no such order. Give a new order an id that does not begin with {Prefix}.");
        }
        if (body.TryGetProperty("status", out var status) && status.ValueKind is not JsonValueKind.Null)
        {
            return Is(status, "refused") || Is(status, "cancelled") ? new Nothing() : new Refuse("invalid-order", "A new order has no status: it is the Erp's.");
        }
        if (Cancels(body))
        {
            return new Nothing();
        }
        var draft = body.Deserialize<Draft>(Json)!;
        return draft.CustomerId is { } other && other != customerId
            ? new Refuse("another-customer", "The order names another customer. Leave customerId out.")
            : new Place(new(customerId, draft.StoreId, draft.ShipTo, draft.Lines, draft.ExpectedTotal));
    }

    private static OrderEdit OfKnown(string orderId, JsonElement body, JsonElement before, JsonElement erp)
    {
        var cancels = Cancels(body);
        var names = body.EnumerateObject().Concat(before.EnumerateObject()).Select(member => member.Name).Distinct(StringComparer.Ordinal);
        var changed = names.Where(name => !Same(body, before, name)).Where(name => name switch
        {
            "problem" or "cancelled" => false,
            "cancelReason" => !cancels,
            "status" => !body.TryGetProperty(name, out var status) || !Is(status, "cancelled"),
            _ => true,
        }).Order(StringComparer.Ordinal).Take(20).ToList();
        if (changed.Count > 0)
        {
            return new Refuse("read-only", $"The Erp's fields cannot be changed here: {string.Join(", ", changed)}. Only cancelled and, with it, cancelReason can.");
        }
        if (body.TryGetProperty("cancelled", out var flag) && flag.ValueKind is not (JsonValueKind.True or JsonValueKind.False or JsonValueKind.Null))
        {
            return new Refuse("invalid-order", "cancelled must be true or false.");
        }
        if (!cancels || Cancels(before) || Cancels(erp))
        {
            return new Nothing();
        }
        return !body.TryGetProperty("cancelReason", out var reason) || reason.ValueKind is JsonValueKind.Null ? new Cancel(orderId, null)
            : reason.ValueKind is JsonValueKind.String ? new Cancel(orderId, reason.GetString())
            : new Refuse("invalid-order", "cancelReason must be a text.");
    }

    /// <summary>A body without those members, and with what is to be added.</summary>
    /// <param name="added">Members as JSON, such as <c>"a":1</c>; empty for none.</param>
    public static byte[] With(string body, string[] without, string added)
    {
        using var json = JsonDocument.Parse(body, Reading);
        var text = new JsonOut();
        var isFirst = true;
        foreach (var member in json.RootElement.EnumerateObject().Where(member => !without.Contains(member.Name)))
        {
            text.Raw(isFirst ? "{\""u8 : ",\""u8);
            isFirst = false;
            text.Raw(JsonMarshal.GetRawUtf8PropertyName(member));
            text.Raw("\":"u8);
            text.Raw(JsonMarshal.GetRawUtf8Value(member.Value));
        }
        text.Raw(isFirst ? "{"u8 : added.Length > 0 ? ","u8 : ""u8);
        text.Raw(added);
        text.Raw("}"u8);
        return text.Written.ToArray();
    }

    private static bool Same(JsonElement one, JsonElement other, string name) =>
        one.TryGetProperty(name, out var mine) ? other.TryGetProperty(name, out var theirs) && JsonElement.DeepEquals(mine, theirs) : !other.TryGetProperty(name, out _);

    private static bool Is(JsonElement value, string text) => value.ValueKind is JsonValueKind.String && value.ValueEquals(text);

    private sealed record Draft(
        string StoreId, Recipient ShipTo, IReadOnlyList<NewOrderLine> Lines, Money? ExpectedTotal = null, string? CustomerId = null, JsonElement? Problem = null, JsonElement? Status = null);
}
