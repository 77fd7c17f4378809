using IntegrationServices.Connectors;
using MobileIntegration.Contracts;

namespace IntegrationServices.Customers;

/// <summary>The customer system, REST/JSON; how its fields become ours stands in the two methods Map.</summary>
internal sealed class Crm([FromKeyedServices(Crm.Name)] RestConnector connector)
{
    public const string Name = "crm";

    public async Task<Customer?> GetAsync(string id, CancellationToken ct) =>
        await connector.GetAsync<CrmCustomer>($"/crm/v1/customers/{Uri.EscapeDataString(id)}", ct) is { } customer ? Map(customer) : null;

    /// <summary>Those of up to 100 customers that exist, ordered by id.</summary>
    public async Task<List<Customer>> GetAsync(IReadOnlyCollection<string> ids, CancellationToken ct)
    {
        var page = await connector.GetAsync<CrmPage>($"/crm/v1/customers?pageSize=200&ids={Uri.EscapeDataString(string.Join(',', ids))}", ct);
        var record = new SourceRecord(Name, "a page of customers");
        return [.. record.Required(page?.Items).Select(Map)];
    }

    private static Customer Map(CrmCustomer source)
    {
        var record = new SourceRecord(Name, $"customer {source.Id}");
        var loyalty = record.Required(source.Loyalty);
        var addresses = record.Required(source.Addresses);
        if (addresses.Count is 0)
        {
            throw record.Wrong("addresses", "is empty");
        }
        return new(
            record.Required(source.Id),
            source.Name?.Salutation,
            record.Required(source.Name?.Given),
            record.Required(source.Name?.Family),
            record.Required(source.Email),
            source.Phone,
            record.Required(source.Language),
            new(
                Enum.TryParse<LoyaltyTier>(loyalty.Tier, ignoreCase: true, out var tier) ? tier : throw record.Wrong("loyalty.tier", $"is '{loyalty.Tier}'"),
                record.Required(loyalty.Points),
                record.Required(loyalty.Since)),
            source.Preferences?.FavouriteStore,
            [.. addresses.OrderByDescending(address => address.Primary).Select(address => Map(address, record))]);
    }

    private static Address Map(CrmAddress address, SourceRecord record) => new(
        Enum.TryParse<AddressType>(address.Type, ignoreCase: true, out var type) ? type : throw record.Wrong("addresses.type", $"is '{address.Type}'"),
        $"{record.Required(address.Street)} {address.HouseNumber}".TrimEnd(),
        record.Required(address.Postcode),
        record.Required(address.City),
        record.Required(address.Country),
        address is { Latitude: { } latitude, Longitude: { } longitude } ? new(latitude, longitude) : null);

    private sealed record CrmPage(List<CrmCustomer>? Items);

    private sealed record CrmCustomer(
        string? Id, CrmName? Name, string? Email, string? Phone, string? Language, CrmLoyalty? Loyalty, List<CrmAddress>? Addresses, CrmPreferences? Preferences);

    private sealed record CrmName(string? Salutation, string? Given, string? Family);

    private sealed record CrmLoyalty(string? Tier, int? Points, DateOnly? Since);

    private sealed record CrmAddress(
        string? Type, bool Primary, string? Street, string? HouseNumber, string? Postcode, string? City, string? Country, double? Latitude, double? Longitude);

    private sealed record CrmPreferences(string? FavouriteStore);
}
