namespace MobileIntegration.Contracts;

/// <summary>An order as lists show it.</summary>
/// <param name="Id">The order number, ten digits, such as <c>4500001234</c>.</param>
/// <param name="Total">What the customer pays, tax included.</param>
/// <param name="Tax">The tax in it.</param>
/// <param name="PlacedAt">UTC.</param>
/// <param name="ChangedAt">UTC, when its status changed last.</param>
/// <param name="LineCount">1 or more.</param>
public sealed record OrderSummary(
    string Id, string CustomerId, OrderStatus Status, Money Total, Money Tax, DateTimeOffset PlacedAt, DateTimeOffset ChangedAt, int LineCount);

/// <summary>An order with all that is known of it; the members of <see cref="OrderSummary"/> mean the same here.</summary>
/// <param name="StoreId">Where it is prepared; null when not decided.</param>
/// <param name="Carrier">Who brings it, from <see cref="OrderStatus.Shipped"/> on.</param>
/// <param name="TrackingNumber">The carrier's number, from <see cref="OrderStatus.Shipped"/> on.</param>
/// <param name="CancelReason">Why it was cancelled; null otherwise.</param>
/// <param name="Revision">The Erp's; rises with every change of the order, and is the version of <see cref="OrderChanged"/>. Null when it is not told.</param>
/// <param name="Reference">The id of the command that placed it; null for an order that came another way.</param>
public sealed record Order(
    string Id,
    string CustomerId,
    OrderStatus Status,
    Money Total,
    Money Tax,
    DateTimeOffset PlacedAt,
    DateTimeOffset ChangedAt,
    string? StoreId,
    Recipient ShipTo,
    string? Carrier,
    string? TrackingNumber,
    string? CancelReason,
    IReadOnlyList<OrderLine> Lines,
    int? Revision = null,
    string? Reference = null);

public enum OrderStatus
{
    Open,
    Picked,
    Shipped,
    Delivered,
    Cancelled,
}

/// <param name="Country">ISO 3166-1 alpha-2.</param>
public sealed record Recipient(string Name, string Street, string Postcode, string City, string Country);

/// <param name="Quantity">Pieces, 1 or more.</param>
/// <param name="UnitPrice">Of one piece, tax included.</param>
/// <param name="Total">Of the line, tax included.</param>
public sealed record OrderLine(int Position, string ProductId, string Description, int Quantity, Money UnitPrice, Money Total);
