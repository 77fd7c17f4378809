namespace MobileIntegration.Contracts;

/// <summary>An order to place. Prices are those of the product system when it is worked on.</summary>
/// <param name="StoreId">Where the goods are taken from.</param>
/// <param name="Lines">1 to 100, each product once.</param>
/// <param name="ExpectedTotal">What the customer was shown; an order that comes to something else is refused. Null to take any price.</param>
public sealed record NewOrder(string CustomerId, string StoreId, Recipient ShipTo, IReadOnlyList<NewOrderLine> Lines, Money? ExpectedTotal = null);

/// <param name="Quantity">Pieces, 1 to 9999.</param>
public sealed record NewOrderLine(string ProductId, int Quantity);

/// <param name="Reason">At most 200 characters; null when none was given.</param>
public sealed record OrderCancellation(string? Reason = null);
