using System.Text.Json.Serialization;
using MobileIntegration.Contracts;

namespace FrontendServices.Home;

/// <summary>What an app shows first. Each section stands for itself: one that failed says why and leaves the others alone.</summary>
internal sealed record HomePage(
    Section<Profile> Profile,
    Section<IReadOnlyList<OrderSummary>> Orders,
    Section<IReadOnlyList<Product>> Suggestions,
    Section<IReadOnlyList<NearbyStock>> Stock);

/// <param name="Data">There when fresh.</param>
/// <param name="Problem">There when failed.</param>
internal sealed record Section<T>(
    SectionStatus Status,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] T? Data,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Problem? Problem) where T : class
{
    public static Section<T> Fresh(T data) => new(SectionStatus.Fresh, data, null);

    public static Section<T> Failed(Problem problem) => new(SectionStatus.Failed, null, problem);

    public Section<TOther> Select<TOther>(Func<T, TOther> map) where TOther : class => new(Status, Data is null ? null : map(Data), Problem);
}

internal enum SectionStatus
{
    Fresh,
    Failed,
}

/// <summary>As much of a customer as a greeting needs; the members of <see cref="Customer"/> mean the same here.</summary>
/// <param name="City">Of the primary address.</param>
internal sealed record Profile(
    string Id, string? Salutation, string GivenName, string FamilyName, string Language, Loyalty Loyalty, string? FavouriteStoreId, string? City);

/// <param name="Stores">The nearest ones that have it, nearest first; by store id where the customer's place is not known.</param>
internal sealed record NearbyStock(string ProductId, IReadOnlyList<StoreStock> Stores);

/// <param name="DistanceKm">From the customer's primary address as the crow flies, to 100 m; null where that is not known.</param>
/// <param name="Available">Pieces, 1 or more.</param>
internal sealed record StoreStock(string StoreId, string Name, string City, double? DistanceKm, int Available);
