using IntegrationServices.Commands;
using MobileIntegration.Contracts;

namespace IntegrationServices.Orders;

/// <summary>Cancels an order in the Erp, then releases the goods that were reserved for it.</summary>
internal sealed class CancelOrder(Erp erp, Reservations reservations)
{
    public const string Name = "cancel-order";

    public CommandKind Kind => new(Name, new CommandStep("cancel", CancelAsync), new CommandStep("release", ReleaseAsync));

    private async Task<StepOutcome> CancelAsync(Command command, CancellationToken ct)
    {
        var body = command.Read<Body>();
        var cancelled = await erp.CancelAsync(body.OrderId, body.Reason ?? "", ct);
        if (!cancelled.IsKnown)
        {
            return new StepOutcome.Refused("unknown-order", $"There is no order {body.OrderId}.");
        }
        return cancelled.TooLate is { } status
            ? new StepOutcome.Refused("not-cancellable", $"The order {body.OrderId} is {status}; only open and picked orders can be cancelled.")
            : new StepOutcome.Done("order", new PlacedOrder(body.OrderId, cancelled.Revision));
    }

    /// <summary>The order's reference is that of its reservation; orders that were not placed here have none.</summary>
    private async Task<StepOutcome> ReleaseAsync(Command command, CancellationToken ct)
    {
        var body = command.Read<Body>();
        if (await erp.ReferenceAsync(body.OrderId, ct) is { } reference)
        {
            await reservations.ReleaseAsync(reference, ct);
        }
        var order = command.Found<PlacedOrder>("order") ?? throw new InvalidOperationException("The step that cancels it did not run.");
        return new StepOutcome.Done(Event: order.Changed(command, OrderStatus.Cancelled));
    }

    internal sealed record Body(string OrderId, string CustomerId, string? Reason);
}
