using System.Globalization;
using System.Text;
using Bogus;
using Bogus.DataSets;

namespace BackendSystems.Seeding;

/// <summary>A customer as Crm and Erp both know them.</summary>
internal sealed record SeedCustomer(
    int Number, string? Salutation, string Given, string Family, string Email, string Phone, DateOnly? BirthDate, string Language,
    string Tier, int Points, DateOnly MemberSince, SeedAddress Home, SeedAddress? Work, string? FavouriteStore,
    string[] Channels, bool Newsletter, bool Marketing, bool Profiling, DateTimeOffset ConsentAt, DateTimeOffset ModifiedAt);

internal sealed record SeedAddress(
    string Street, string HouseNumber, string Postcode, City City, double Latitude, double Longitude);

/// <summary>The same customers in the same order whoever asks: Bogus with a fixed seed and dates counted back from <see cref="Company.Epoch"/>.</summary>
internal static class SeedCustomers
{
    private static readonly string[] Tiers = ["BASIC", "SILVER", "GOLD", "PLATINUM"];
    private static readonly float[] TierWeights = [0.55f, 0.27f, 0.13f, 0.05f];
    private static readonly string[] AllChannels = ["email", "push", "sms", "post"];

    private static readonly string[] StreetNames =
    [
        "Linden", "Garten", "Berg", "Schul", "Kirch", "Mühlen", "Rosen", "Wald", "Bahnhof", "Goethe", "Schiller", "Mozart", "Buchen", "Eichen", "Ahorn",
        "Birken", "Wiesen", "Brunnen", "Markt", "Hafen", "Ufer", "Sonnen", "Blumen", "Kastanien", "Tannen", "Kloster", "Schloss", "Brücken", "Feld", "Weinberg",
    ];

    private static readonly string[] StreetKinds = ["straße", "weg", "allee", "gasse", "platz", "ring"];

    /// <summary>Crm and Erp ask for the same one after the other; nobody does later.</summary>
    private static readonly WeakReference<SeedCustomer[]> Latest = new([]);

    public static SeedCustomer[] Generate()
    {
        if (Latest.TryGetTarget(out var latest) && latest.Length > 0)
        {
            return latest;
        }

        var random = new Randomizer(20260630);
        var name = new Name("de") { Random = random };
        SeedCustomer[] customers = [.. Enumerable.Range(1, Company.CustomerCount).Select(number => Next(number, random, name))];
        Latest.SetTarget(customers);
        return customers;
    }

    /// <summary>An address in <paramref name="city"/>, within about five kilometres of its centre.</summary>
    public static SeedAddress AddressIn(City city, Randomizer random, string street)
    {
        var digits = city.PostcodeLength - city.PostcodePrefix.Length;
        var rest = random.Number(1, (int)Math.Pow(10, digits) - 1).ToString(CultureInfo.InvariantCulture).PadLeft(digits, '0');
        var houseNumber = random.Number(1, 140).ToString(CultureInfo.InvariantCulture) + (random.Bool(0.1f) ? "a" : "");
        return new(street, houseNumber, city.PostcodePrefix + rest, city,
            Math.Round(city.Latitude + random.Double(-0.045, 0.045), 6),
            Math.Round(city.Longitude + random.Double(-0.065, 0.065), 6));
    }

    private static SeedCustomer Next(int number, Randomizer random, Name name)
    {
        var female = random.Bool();
        var given = name.FirstName(female ? Name.Gender.Female : Name.Gender.Male);
        var family = name.LastName();
        var city = random.ListItem((IList<City>)Company.Cities);
        var home = AddressIn(city, random, Street(random));
        var work = random.Bool(0.2f)
            ? AddressIn(random.ListItem((IList<City>)Company.Cities), random, Street(random))
            : null;
        var tier = random.WeightedRandom(Tiers, TierWeights);
        var memberSince = DateOnly.FromDateTime(Company.Epoch.UtcDateTime).AddDays(-random.Number(30, 3_000));
        var store = Company.Stores.FirstOrDefault(store => store.City == city)
            ?? random.ListItem((IList<Store>)Company.Stores);
        return new(
            number,
            random.Bool(0.9f) ? (female ? "Ms" : "Mr") : null,
            given,
            family,
            $"{Mailbox(given)}.{Mailbox(family)}.{number}@example.com",
            city.AreaCode + random.Number(1_000_000, 9_999_999).ToString(CultureInfo.InvariantCulture),
            random.Bool(0.8f) ? new DateOnly(1945, 1, 1).AddDays(random.Number(0, 22_000)) : null,
            city.Country == "NL" ? "nl" : random.Bool(0.12f) ? "en" : "de",
            tier,
            random.Number(0, 900) + (Array.IndexOf(Tiers, tier) * 1_000),
            memberSince,
            home,
            work,
            random.Bool(0.8f) ? store.Code : null,
            [.. AllChannels.Where(_ => random.Bool(0.4f))],
            random.Bool(0.45f),
            random.Bool(0.5f),
            random.Bool(0.3f),
            Company.Epoch.AddMinutes(-random.Number(1_000, 1_000_000)),
            Company.Epoch.AddMinutes(-random.Number(1, 500_000)));
    }

    private static string Street(Randomizer random) => random.ArrayElement(StreetNames) + random.ArrayElement(StreetKinds);

    private static string Mailbox(string name)
    {
        var ascii = new StringBuilder(name.Length + 4);
        foreach (var letter in name.ToLowerInvariant())
        {
            ascii.Append(letter switch
            {
                'ä' => "ae",
                'ö' => "oe",
                'ü' => "ue",
                'ß' => "ss",
                >= 'a' and <= 'z' => letter.ToString(),
                _ => "",
            });
        }

        return ascii.ToString();
    }
}
