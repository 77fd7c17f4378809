namespace MobileIntegration.Contracts;

/// <summary>A person who shops.</summary>
/// <param name="Id"><c>C-</c> and six digits, such as <c>C-000123</c>.</param>
/// <param name="Salutation">As the customer wishes to be addressed; null when unknown.</param>
/// <param name="Phone">E.164, such as <c>+4930901820123</c>; null when unknown.</param>
/// <param name="Language">BCP 47, such as <c>de</c>.</param>
/// <param name="FavouriteStoreId">The <see cref="Store"/> the customer chose; null when none.</param>
/// <param name="Addresses">At least one, the primary one first.</param>
public sealed record Customer(
    string Id,
    string? Salutation,
    string GivenName,
    string FamilyName,
    string Email,
    string? Phone,
    string Language,
    Loyalty Loyalty,
    string? FavouriteStoreId,
    IReadOnlyList<Address> Addresses);

/// <param name="Points">Points to spend, 0 or more.</param>
/// <param name="Since">The day the customer joined.</param>
public sealed record Loyalty(LoyaltyTier Tier, int Points, DateOnly Since);

public enum LoyaltyTier
{
    Basic,
    Silver,
    Gold,
    Platinum,
}

/// <param name="Street">With the house number.</param>
/// <param name="Country">ISO 3166-1 alpha-2, such as <c>DE</c>.</param>
/// <param name="Position">Where the address is; null when unknown.</param>
public sealed record Address(AddressType Type, string Street, string Postcode, string City, string Country, Position? Position);

public enum AddressType
{
    Home,
    Work,
    Delivery,
}

/// <summary>A place on Earth, WGS 84.</summary>
/// <param name="Latitude">Degrees, -90 to 90, north positive.</param>
/// <param name="Longitude">Degrees, -180 to 180, east positive.</param>
public sealed record Position(double Latitude, double Longitude)
{
    private const double EarthRadiusKm = 6371.0088;

    /// <summary>Kilometres along the surface of a sphere, within 0.5 % of the true distance.</summary>
    public double KilometresTo(Position other)
    {
        ArgumentNullException.ThrowIfNull(other);
        var latitudes = Radians(other.Latitude - Latitude);
        var longitudes = Radians(other.Longitude - Longitude);
        var chord = Math.Pow(Math.Sin(latitudes / 2), 2)
            + (Math.Cos(Radians(Latitude)) * Math.Cos(Radians(other.Latitude)) * Math.Pow(Math.Sin(longitudes / 2), 2));
        return 2 * EarthRadiusKm * Math.Asin(Math.Min(1, Math.Sqrt(chord)));
    }

    private static double Radians(double degrees) => degrees * Math.PI / 180;
}

/// <summary>An address as its customer writes it.</summary>
/// <param name="HouseNumber">At most 10 characters, such as <c>12a</c>.</param>
/// <param name="Country">ISO 3166-1 alpha-2, such as <c>DE</c>.</param>
public sealed record NewAddress(string Street, string HouseNumber, string Postcode, string City, string Country);
