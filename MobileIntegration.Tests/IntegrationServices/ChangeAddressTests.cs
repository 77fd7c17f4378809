using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>Addresses that are changed in the Crm.</summary>
[Collection(nameof(BackOffice))]
public sealed class ChangeAddressTests(BackOffice office)
{
    private readonly HttpClient _http = office.Integration.Http;
    private readonly Commands _commands = new(office.Integration.Http);

    [Fact]
    public async Task A_changed_address_is_in_the_Crm_and_changes_of_one_customer_come_in_their_order()
    {
        var crm = new CustomersClient(_http);
        var before = (await crm.GetAsync("C-000215", default))!;
        Uri last = null!;
        await office.WithFaultAsync("crm", new { errorRate = 0.5, errorStatus = 500 }, async () =>
        {
            for (var number = 1; number <= 6; number++)
            {
                var address = new NewAddress("Neue Straße", $"{number}", "10117", "Berlin", "DE");
                last = (await _commands.SendAsync("/customers/C-000215/addresses/home", address, method: HttpMethod.Put)).Headers.Location!;
            }
            Assert.Equal(CommandStatusCode.Done, (await _commands.EndedAsync(last)).Status);
        });

        var after = (await crm.GetAsync("C-000215", default))!;

        Assert.Equal("Neue Straße 6", Assert.Single(after.Addresses, address => address.Type is AddressType.Home).Street);
        Assert.Equal(before.Addresses.Where(address => address.Type is not AddressType.Home), after.Addresses.Where(address => address.Type is not AddressType.Home));
        var unknown = await _commands.RunAsync("/customers/C-009999/addresses/work", new NewAddress("Ring", "1", "10115", "Berlin", "DE"), HttpMethod.Put);
        Assert.Equal((CommandStatusCode.Refused, "unknown-customer"), (unknown.Status, unknown.Problem!.Code));
        using var other = new HttpClient { BaseAddress = _http.BaseAddress };
        other.Authorize(TestAuthority.Shared.CustomerToken("C-000216", "account orders"));
        await (await other.GetAsync(last)).ProblemAsync(404);
        await (await new Commands(other).SendAsync("/customers/C-000215/addresses/home", new NewAddress("Ring", "1", "10115", "Berlin", "DE"), method: HttpMethod.Put)).ProblemAsync(403);
        await (await _commands.SendAsync("/customers/C-000215/addresses/home", new NewAddress("Ring", "1", "10115", "Berlin", "de"), method: HttpMethod.Put)).ProblemAsync(400);
    }
}
