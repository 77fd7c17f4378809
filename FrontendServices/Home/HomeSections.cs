using FrontendServices.Sections;
using MobileIntegration.Contracts;

namespace FrontendServices.Home;

/// <summary>What an app shows first.</summary>
internal sealed record HomeScreen(
    Section<Profile> Profile, Section<IReadOnlyList<OrderSummary>> Orders, Section<IReadOnlyList<Product>> Suggestions, Section<IReadOnlyList<NearbyStock>> Stock);

/// <summary>As much of a customer as a greeting needs; the members of <see cref="Customer"/> mean the same here.</summary>
/// <param name="City">Of the primary address.</param>
internal sealed record Profile(
    string Id, string? Salutation, string GivenName, string FamilyName, string Language, Loyalty Loyalty, string? FavouriteStoreId, string? City);

/// <param name="Stores">The nearest ones that have it, nearest first; by store id where the customer's place is not known.</param>
internal sealed record NearbyStock(string ProductId, IReadOnlyList<StoreStock> Stores);

/// <param name="DistanceKm">From the customer's primary address as the crow flies, to 100 m; null where that is not known.</param>
/// <param name="Available">Pieces, 1 or more.</param>
internal sealed record StoreStock(string StoreId, string Name, string City, double? DistanceKm, int Available);
