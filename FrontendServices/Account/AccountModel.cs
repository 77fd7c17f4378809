using MobileIntegration.Contracts;

namespace FrontendServices.Account;

/// <summary>Who the customer is; the members of <see cref="Customer"/> mean the same here.</summary>
internal sealed record AccountProfile(
    string Id, string? Salutation, string GivenName, string FamilyName, string Email, string? Phone, string Language, Loyalty Loyalty, string? FavouriteStoreId);

/// <summary>How the customer wants the app to be.</summary>
/// <param name="Language">BCP 47; null for the device's own.</param>
/// <param name="Theme"><c>system</c>, <c>light</c> or <c>dark</c>.</param>
/// <param name="OrderNews">Whether to be told how orders go on.</param>
/// <param name="Offers">Whether to be told of offers; counts only with the consent to marketing.</param>
internal sealed record Preferences(string? Language, string Theme = "system", bool OrderNews = true, bool Offers = false);

/// <summary><see cref="Preferences"/> with their version.</summary>
/// <param name="Revision">0 as long as the customer has none of his own. Its quoted form is the ETag that a change names in If-Match.</param>
internal sealed record KnownPreferences(string? Language, string Theme, bool OrderNews, bool Offers, int Revision);

/// <summary>What the customer last said to a purpose.</summary>
/// <param name="TextVersion">Of the text that was agreed to or refused; null when nobody asked yet.</param>
/// <param name="At">UTC; null when nobody asked yet.</param>
internal sealed record Consent(string Purpose, bool Granted, string? TextVersion, DateTimeOffset? At);

/// <param name="TextVersion">Of the text that the customer saw, 1 to 40 letters, digits, dots and dashes.</param>
internal sealed record ConsentChange(bool Granted, string TextVersion);
