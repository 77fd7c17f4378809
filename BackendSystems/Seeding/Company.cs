using System.Globalization;

namespace BackendSystems.Seeding;

/// <summary>What all four systems of the company agree on: how much there is of everything, and how it is numbered.</summary>
internal static class Company
{
    public const int CustomerCount = 5_000;
    public const int ProductCount = 2_000;
    public const int OrderCount = 20_000;
    public const int FirstArticle = 100_001;
    public const long FirstOrder = 4_500_000_001;
    public const string Currency = "EUR";

    /// <summary>Prices include this value added tax.</summary>
    public const decimal TaxRate = 0.19m;

    /// <summary>The seeded data end here, on every machine and at any time.</summary>
    public static readonly DateTimeOffset Epoch = new(2026, 6, 30, 0, 0, 0, TimeSpan.Zero);

    public static readonly IReadOnlyList<Store> Stores =
    [
        new("W01", "Filiale Berlin", "Friedrichstraße 67", "10117", new("Berlin", "DE", "10", 5, 52.520008, 13.404954, "+4930")),
        new("W02", "Filiale Hamburg", "Mönckebergstraße 7", "20095", new("Hamburg", "DE", "20", 5, 53.551086, 9.993682, "+4940")),
        new("W03", "Filiale München", "Kaufingerstraße 12", "80331", new("München", "DE", "80", 5, 48.137154, 11.576124, "+4989")),
        new("W04", "Filiale Köln", "Hohe Straße 41", "50667", new("Köln", "DE", "50", 5, 50.937531, 6.960279, "+49221")),
        new("W05", "Filiale Frankfurt", "Zeil 106", "60313", new("Frankfurt am Main", "DE", "60", 5, 50.110924, 8.682127, "+4969")),
        new("W06", "Filiale Stuttgart", "Königstraße 27", "70173", new("Stuttgart", "DE", "70", 5, 48.775846, 9.182932, "+49711")),
        new("W07", "Filiale Leipzig", "Petersstraße 16", "04109", new("Leipzig", "DE", "04", 5, 51.339695, 12.373075, "+49341")),
        new("W08", "Filiale Düsseldorf", "Schadowstraße 40", "40212", new("Düsseldorf", "DE", "40", 5, 51.227741, 6.773456, "+49211")),
        new("W09", "Filiale Wien", "Mariahilfer Straße 88", "1070", new("Wien", "AT", "10", 4, 48.208174, 16.373819, "+431")),
        new("W10", "Filiale Graz", "Herrengasse 9", "8010", new("Graz", "AT", "80", 4, 47.070714, 15.439504, "+43316")),
        new("W11", "Filiale Zürich", "Bahnhofstrasse 75", "8001", new("Zürich", "CH", "80", 4, 47.376887, 8.541694, "+4144")),
        new("W12", "Filiaal Amsterdam", "Kalverstraat 92", "1012 PH", new("Amsterdam", "NL", "10", 4, 52.367573, 4.904139, "+3120")),
    ];

    /// <summary>Where customers live: the stores' cities and some without a store.</summary>
    public static readonly IReadOnlyList<City> Cities =
    [
        .. Stores.Select(store => store.City),
        new("Potsdam", "DE", "144", 5, 52.390569, 13.064473, "+49331"),
        new("Bremen", "DE", "28", 5, 53.079296, 8.801694, "+49421"),
        new("Augsburg", "DE", "861", 5, 48.370545, 10.897790, "+49821"),
        new("Bonn", "DE", "53", 5, 50.737430, 7.098207, "+49228"),
        new("Dresden", "DE", "01", 5, 51.050409, 13.737262, "+49351"),
        new("Salzburg", "AT", "50", 4, 47.809490, 13.055010, "+43662"),
        new("Winterthur", "CH", "84", 4, 47.499950, 8.737565, "+4152"),
        new("Utrecht", "NL", "35", 4, 52.090737, 5.121420, "+3130"),
    ];

    public static string CustomerId(int number) => string.Create(CultureInfo.InvariantCulture, $"C-{number:000000}");

    public static string ArticleNo(int index) => (FirstArticle + index).ToString(CultureInfo.InvariantCulture);
}

internal sealed record Store(string Code, string Name, string Street, string Postcode, City City);

/// <param name="PostcodePrefix">First digits of its postcodes, which have <paramref name="PostcodeLength"/> digits.</param>
internal sealed record City(
    string Name, string Country, string PostcodePrefix, int PostcodeLength, double Latitude, double Longitude, string AreaCode);
