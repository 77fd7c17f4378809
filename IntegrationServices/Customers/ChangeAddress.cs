using IntegrationServices.Commands;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;

namespace IntegrationServices.Customers;

/// <summary>Changes one address of a customer in the Crm. The Crm's ETag keeps a worker that was thought dead from writing over what came after it.</summary>
internal sealed class ChangeAddress(IServiceProvider services)
{
    public const string Name = "change-address";

    public CommandKind Kind => new(Name, new CommandStep("change", ChangeAsync));

    private async Task<StepOutcome> ChangeAsync(Command command, CancellationToken ct)
    {
        var body = command.Read<Body>();
        return await services.GetRequiredService<Crm>().ChangeAddressAsync(command.CustomerId, body.Type, body.Address, ct) switch
        {
            { IsKnown: false } => new StepOutcome.Refused("unknown-customer", $"There is no customer {command.CustomerId}."),
            { Refusal: { } refusal } => new StepOutcome.Refused("invalid-address", refusal),
            var changed => new StepOutcome.Done(Event: NewEvent.Of(
                CustomerChanged.SubjectOf(command.CustomerId), changed.Revision, DateTimeOffset.UtcNow, new CustomerChanged(command.CustomerId, ["addresses"]))),
        };
    }

    internal sealed record Body(AddressType Type, NewAddress Address);
}
