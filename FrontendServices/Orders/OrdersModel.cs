using MobileIntegration.Contracts;

namespace FrontendServices.Orders;

/// <summary>What an app orders; the members of <see cref="NewOrder"/> mean the same here.</summary>
/// <param name="CustomerId">For back-office clients; null for the token's customer.</param>
internal sealed record Basket(string StoreId, Recipient ShipTo, IReadOnlyList<NewOrderLine> Lines, Money? ExpectedTotal = null, string? CustomerId = null);

/// <summary>An order that is placed again; what is left out is as in the order.</summary>
/// <param name="ExpectedTotal">What the customer was shown; an order that comes to something else today is refused. Null to take any price.</param>
internal sealed record Reorder(string? StoreId = null, Recipient? ShipTo = null, Money? ExpectedTotal = null);

/// <summary>An order on a screen of its own; the members of <see cref="Order"/> mean the same here.</summary>
internal sealed record OrderDetail(
    string Id, string CustomerId, OrderStatus Status, Money Total, Money Tax, DateTimeOffset PlacedAt, DateTimeOffset ChangedAt, string? StoreId, Recipient ShipTo,
    string? CancelReason, IReadOnlyList<OrderLine> Lines, Tracking Tracking)
{
    public static OrderDetail Of(Order order, Language language) => new(
        order.Id, order.CustomerId, order.Status, order.Total, order.Tax, order.PlacedAt, order.ChangedAt, order.StoreId, order.ShipTo, order.CancelReason, order.Lines,
        Tracking.Of(order, language));
}

/// <summary>How far an order is.</summary>
/// <param name="Text">Its status in the language of the answer.</param>
/// <param name="Carrier">Who brings it, once it has left.</param>
/// <param name="Number">The carrier's, once it has left.</param>
/// <param name="Steps">The way of an order, or of one that was cancelled.</param>
internal sealed record Tracking(string Text, string? Carrier, string? Number, IReadOnlyList<TrackingStep> Steps)
{
    private static readonly OrderStatus[] Way = [OrderStatus.Open, OrderStatus.Picked, OrderStatus.Shipped, OrderStatus.Delivered];
    private static readonly OrderStatus[] CancelledWay = [OrderStatus.Open, OrderStatus.Cancelled];

    public static Tracking Of(Order order, Language language)
    {
        var way = order.Status is OrderStatus.Cancelled ? CancelledWay : Way;
        var reached = Array.IndexOf(way, order.Status);
        return new(language.Text(order.Status), order.Carrier, order.TrackingNumber,
        [
            .. way.Select((status, at) => new TrackingStep(
                status, language.Text(status), at <= reached, at is 0 ? order.PlacedAt : at == reached ? order.ChangedAt : null)),
        ]);
    }
}

/// <param name="IsReached">Whether the order has come so far.</param>
/// <param name="At">UTC, when it did, where that is known.</param>
internal sealed record TrackingStep(OrderStatus Status, string Text, bool IsReached, DateTimeOffset? At);
