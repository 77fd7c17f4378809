using System.Globalization;
using System.Net.Http.Headers;
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
        return [.. record.Entries(page?.Items).Select(Map)];
    }

    /// <summary>A page of the customers in whose name, e-mail or city the text is, ordered by id.</summary>
    /// <param name="page">From 1.</param>
    /// <param name="size">1 to 200.</param>
    public async Task<List<Customer>> SearchAsync(string text, int page, int size, CancellationToken ct)
    {
        var uri = string.Create(CultureInfo.InvariantCulture, $"/crm/v1/customers?page={page}&pageSize={size}&q={Uri.EscapeDataString(text)}");
        return [.. new SourceRecord(Name, "a page of customers").Entries((await connector.GetAsync<CrmPage>(uri, ct))?.Items, "items").Select(Map)];
    }

    /// <summary>Sets the address of a type, or adds it; the same again changes nothing.</summary>
    /// <exception cref="BackendException">No usable answer, or somebody else changed the customer in between.</exception>
    public async Task<AddressChange> ChangeAddressAsync(string id, AddressType type, NewAddress address, CancellationToken ct)
    {
        var path = $"/crm/v1/customers/{Uri.EscapeDataString(id)}";
        if (await connector.GetTaggedAsync<CrmCustomer>(path, ct) is not { } read)
        {
            return new(IsKnown: false, null);
        }
        var name = type.ToString().ToLowerInvariant();
        List<CrmAddress> addresses = [.. new SourceRecord(Name, $"customer {id}").Entries(read.Record.Addresses, "addresses")];
        var former = addresses.Find(one => one.Type == name);
        // Where the new address is on the map is not known.
        var changed = new CrmAddress(name, former?.Primary ?? false, address.Street, address.HouseNumber, address.Postcode, address.City, address.Country, null, null);
        if (former is not null && former with { Latitude = null, Longitude = null } == changed)
        {
            return new(IsKnown: true, null, Revision(read.Tag));
        }
        var merged = former is null ? [.. addresses, changed] : addresses.ConvertAll(one => ReferenceEquals(one, former) ? changed : one);
        var (refusal, tag) = await connector.PatchAsync(path, new { addresses = merged }, read.Tag, ct);
        return new(IsKnown: true, refusal, Revision(tag));
    }

    /// <param name="Refusal">Why the Crm does not take it; null when it did.</param>
    /// <param name="Revision">The customer's, with the address; null when the Crm did not tell.</param>
    internal readonly record struct AddressChange(bool IsKnown, string? Refusal, long? Revision = null);

    /// <summary>The Crm's ETag is the quoted revision.</summary>
    private static long? Revision(EntityTagHeaderValue? tag) =>
        long.TryParse(tag?.Tag.Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out var revision) ? revision : null;

    private static Customer Map(CrmCustomer source)
    {
        var record = new SourceRecord(Name, $"customer {source.Id}");
        var loyalty = record.Required(source.Loyalty);
        var addresses = record.Entries(source.Addresses);
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
                record.OneOf<LoyaltyTier>(loyalty.Tier, "source.Loyalty.Tier"),
                record.Required(loyalty.Points),
                record.Required(loyalty.Since)),
            source.Preferences?.FavouriteStore,
            [.. addresses.OrderByDescending(address => address.Primary).Select(address => Map(address, record))]);
    }

    private static Address Map(CrmAddress address, SourceRecord record) => new(
        record.OneOf<AddressType>(address.Type, "source.Addresses.Type"),
        $"{record.Required(address.Street)} {address.HouseNumber}".TrimEnd(),
        record.Required(address.Postcode),
        record.Required(address.City),
        record.Required(address.Country),
        address is { Latitude: { } latitude, Longitude: { } longitude } ? record.Position(latitude, longitude, "addresses.latitude, longitude") : null);

    private sealed record CrmPage(List<CrmCustomer?>? Items);

    private sealed record CrmCustomer(
        string? Id, CrmName? Name, string? Email, string? Phone, string? Language, CrmLoyalty? Loyalty, List<CrmAddress?>? Addresses, CrmPreferences? Preferences);

    private sealed record CrmName(string? Salutation, string? Given, string? Family);

    private sealed record CrmLoyalty(string? Tier, int? Points, DateOnly? Since);

    private sealed record CrmAddress(
        string? Type, bool Primary, string? Street, string? HouseNumber, string? Postcode, string? City, string? Country, double? Latitude, double? Longitude);

    private sealed record CrmPreferences(string? FavouriteStore);
}
