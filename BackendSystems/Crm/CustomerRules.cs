using System.Text.RegularExpressions;
using BackendSystems.Seeding;

namespace BackendSystems.Crm;

/// <summary>What the Crm takes as a customer.</summary>
internal static partial class CustomerRules
{
    private static readonly string[] Languages = ["de", "en", "nl"];
    private static readonly string[] AddressTypes = ["home", "work", "delivery"];
    private static readonly string[] Channels = ["email", "push", "sms", "post"];

    /// <returns>The wrong fields by their path, each with the rule it breaks.</returns>
    public static Dictionary<string, string[]> Check(CustomerFields fields, DateOnly today)
    {
        var errors = new Dictionary<string, string[]>();
        void Require(bool holds, string field, string rule)
        {
            if (!holds)
            {
                errors[field] = [$"{field} {rule}"];
            }
        }

        Require(IsText(fields.Name?.Given, 60), "name.given", "is required, at most 60 characters.");
        Require(IsText(fields.Name?.Family, 60), "name.family", "is required, at most 60 characters.");
        Require(fields.Name?.Salutation is null || IsText(fields.Name.Salutation, 20), "name.salutation", "has at most 20 characters or is null.");
        Require(fields.Email is { Length: <= 254 } email && Email().IsMatch(email), "email", "must be an e-mail address.");
        Require(fields.Phone is null || Phone().IsMatch(fields.Phone), "phone", "must be E.164, such as +4930901820123, or null.");
        Require(fields.BirthDate is null || (fields.BirthDate.Value.Year >= 1900 && fields.BirthDate <= today), "birthDate", "must be from 1900 to today or null.");
        Require(Languages.Contains(fields.Language), "language", "must be de, en or nl.");
        Require(fields.Addresses is { Length: >= 1 and <= 5 }, "addresses", "must be 1 to 5 addresses.");
        Require(fields.Addresses?.Count(address => address is { Primary: true }) == 1, "addresses.primary", "must be true in exactly one address.");
        foreach (var (address, at) in (fields.Addresses ?? []).Take(5).Select((address, at) => (address, $"addresses[{at}]")))
        {
            Require(AddressTypes.Contains(address?.Type), $"{at}.type", "must be home, work or delivery.");
            Require(IsText(address?.Street, 80), $"{at}.street", "is required, at most 80 characters.");
            Require(IsText(address?.HouseNumber, 10), $"{at}.houseNumber", "is required, at most 10 characters.");
            Require(IsText(address?.Postcode, 10), $"{at}.postcode", "is required, at most 10 characters.");
            Require(IsText(address?.City, 60), $"{at}.city", "is required, at most 60 characters.");
            Require(address?.Country is { } country && Country().IsMatch(country), $"{at}.country", "must be ISO 3166-1 alpha-2, such as DE.");
            Require(address?.Latitude is null or (>= -90 and <= 90), $"{at}.latitude", "must be from -90 to 90 or null.");
            Require(address?.Longitude is null or (>= -180 and <= 180), $"{at}.longitude", "must be from -180 to 180 or null.");
        }

        Require(fields.Preferences is not null, "preferences", "is required.");
        Require(fields.Preferences?.FavouriteStore is not { } store || Company.Stores.Any(known => known.Code == store),
            "preferences.favouriteStore", "must be one of W01 to W12 or null.");
        Require(fields.Preferences is null || (fields.Preferences.Channels is { } channels && channels.All(Channels.Contains)
            && channels.Distinct().Count() == channels.Length), "preferences.channels", "must be any of email, push, sms and post, each once.");
        Require(fields.Consent is not null, "consent", "is required.");
        return errors;
    }

    private static bool IsText(string? text, int longest) =>
        !string.IsNullOrWhiteSpace(text) && text.Length <= longest && !text.Any(char.IsControl);

    [GeneratedRegex(@"^[^\s@<>""]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\z")]
    private static partial Regex Email();

    [GeneratedRegex(@"^\+[1-9][0-9]{6,14}\z")]
    private static partial Regex Phone();

    [GeneratedRegex(@"^[A-Z]{2}\z")]
    private static partial Regex Country();
}
