using IntegrationServices.Commands;
using IntegrationServices.Connectors;
using IntegrationServices.Products;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;

namespace IntegrationServices.Orders;

/// <summary>The saga of a new order: price it, reserve the goods in the Wms, place it in the Erp. Both know it by the command's id.</summary>
internal sealed class PlaceOrder(IServiceProvider services, Reservations reservations, Erp erp)
{
    public const string Name = "place-order";
    private const string GivenUp = "Given up by an operator";

    public CommandKind Kind => new(
        Name,
        new CommandStep("price", PriceAsync),
        new CommandStep("reserve", ReserveAsync, ReleaseAsync),
        new CommandStep("place", PlaceAsync, TakeBackAsync));

    /// <summary>Once found, prices stay, so that every attempt places the same order.</summary>
    private async Task<StepOutcome> PriceAsync(Command command, CancellationToken ct)
    {
        var order = command.Read<NewOrder>();
        var products = await services.GetRequiredService<Pim>().GetAsync([.. order.Lines.Select(line => line.ProductId)], ct);
        var prices = products.Where(product => product.Active).ToDictionary(product => product.Id, product => product.Price);
        if (order.Lines.FirstOrDefault(line => !prices.ContainsKey(line.ProductId)) is { } missing)
        {
            return new StepOutcome.Refused("not-for-sale", $"The product {missing.ProductId} is not for sale.");
        }
        if (prices.Values.Select(price => price.Currency).Distinct().Count() > 1)
        {
            return new StepOutcome.Refused("several-currencies", "The products are sold in different currencies. Order them one by one.");
        }
        var total = new Money(prices.Values.First().Currency, order.Lines.Sum(line => line.Quantity * prices[line.ProductId].MinorUnits));
        return order.ExpectedTotal is { } expected && expected != total
            ? new StepOutcome.Refused("price-changed", $"The order comes to {total.ToDecimal()} {total.Currency} now. Show that to the customer and place it anew.")
            : new StepOutcome.Done("prices", prices);
    }

    private async Task<StepOutcome> ReserveAsync(Command command, CancellationToken ct)
    {
        var order = command.Read<NewOrder>();
        return await reservations.ReserveAsync(Reference(command), order.StoreId, order.Lines, ct) is { } refused ? refused : new StepOutcome.Done();
    }

    private Task ReleaseAsync(Command command, CancellationToken ct) => reservations.ReleaseAsync(Reference(command), ct);

    private async Task<StepOutcome> PlaceAsync(Command command, CancellationToken ct)
    {
        var prices = command.Found<Dictionary<string, Money>>("prices") ?? throw new InvalidOperationException("The step that prices it did not run.");
        var (placed, status, refused) = await erp.PlaceAsync(Reference(command), command.Read<NewOrder>(), prices, ct);
        return refused is null
            ? new StepOutcome.Done("order", placed, placed!.Changed(command, status))
            : new StepOutcome.Refused((refused.Code ?? "refused").ToLowerInvariant().Replace('_', '-'), refused.Message ?? "The Erp does not take the order.");
    }

    /// <summary>Of an attempt without an answer nobody knows whether it came through, so the Erp is asked.</summary>
    private async Task TakeBackAsync(Command command, CancellationToken ct)
    {
        if (await erp.FindAsync(Reference(command), command.CustomerId, ct) is { } orderId
            && await erp.CancelAsync(orderId, GivenUp, ct) is { TooLate: { } status })
        {
            throw BackendException.Misunderstood(Erp.Name, $"has placed this order as {orderId}, which is {status} and cannot be cancelled");
        }
    }

    private static string Reference(Command command) => command.Id.ToString();
}

/// <param name="Revision">As the Erp counts them; null when it did not tell.</param>
internal sealed record PlacedOrder(string Id, int? Revision = null)
{
    /// <summary>Under the Erp's own revision, so that its webhook of the same change tells nothing more.</summary>
    public NewEvent Changed(Command command, OrderStatus status) =>
        NewEvent.Of(OrderChanged.SubjectOf(Id), Revision, DateTimeOffset.UtcNow, new OrderChanged(Id, command.CustomerId, status));
}
