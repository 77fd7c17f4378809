using System.Globalization;
using System.Text.Json;

namespace BackendSystems.Crm;

/// <summary>A customer on the wire.</summary>
internal sealed record Customer(
    string Id, int Rev, DateTime Modified, CustomerName Name, string Email, string? Phone, DateOnly? BirthDate, string Language,
    Loyalty Loyalty, CustomerAddress[] Addresses, Preferences Preferences, Consent Consent);

/// <summary>The part of a customer that callers write, and that is kept as it is written.</summary>
internal sealed record CustomerFields(
    CustomerName? Name, string? Email, string? Phone, DateOnly? BirthDate, string? Language,
    CustomerAddress[]? Addresses, Preferences? Preferences, Consent? Consent)
{
    public string ToJson() => JsonSerializer.Serialize(this, JsonSerializerOptions.Web);

    public static CustomerFields FromJson(string json) => JsonSerializer.Deserialize<CustomerFields>(json, JsonSerializerOptions.Web)!;

    public string SearchText() =>
        string.Join(' ', [Name?.Given, Name?.Family, Email, .. (Addresses ?? []).Select(address => address.City)]).ToLowerInvariant();
}

internal sealed record CustomerName(string? Salutation, string? Given, string? Family);

internal sealed record Loyalty(string Tier, int Points, DateOnly Since);

internal sealed record CustomerAddress(
    string? Type, bool Primary, string? Street, string? HouseNumber, string? Postcode, string? City, string? Country, double? Latitude, double? Longitude);

internal sealed record Preferences(string? FavouriteStore, string[]? Channels, bool Newsletter);

/// <param name="Changed">Set by the Crm when one of the two changes.</param>
internal sealed record Consent(bool Marketing, bool Profiling, DateTime? Changed);

internal static class CustomerId
{
    public static bool TryParse(string? id, out int number)
    {
        number = 0;
        return id is { Length: 8 } && id.StartsWith("C-", StringComparison.Ordinal)
            && int.TryParse(id.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }
}
