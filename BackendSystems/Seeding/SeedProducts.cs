using System.Globalization;
using Bogus;

namespace BackendSystems.Seeding;

internal sealed record SeedCategory(
    string Code, string Department, string Name, string NameDe, string Noun, string NounDe, int From, int To, int SortOrder);

/// <summary>An article as Pim describes it and Erp sells it.</summary>
internal sealed record SeedProduct(
    string Sku, SeedCategory Category, string Name, string NameDe, string Description, string Brand, decimal ListPrice, decimal? SalePrice,
    string Ean, string Colour, string? Size, int WeightGrams, bool Active, DateOnly LaunchedOn, DateTimeOffset ModifiedAt);

/// <summary>The same catalogue whoever asks: Bogus with a fixed seed and dates counted back from <see cref="Company.Epoch"/>.</summary>
internal static class SeedProducts
{
    private static readonly string[] Brands =
    [
        "Nordlicht", "Alpenrot", "Hafenkind", "Lumen & Co", "Vierjahr", "Kranich", "Tannhof", "Morgenstern", "Ruhrwerk", "Seeblick",
        "Fjordline", "Atelier Neun", "Bergzeit", "Kiesel", "Polder", "Grachten", "Steinadler", "Wolkenlos", "Zirbe", "Elbtal",
    ];

    private static readonly (string En, string De)[] Styles =
    [
        ("Classic", "Klassik"), ("Light", "Leicht"), ("Urban", "Urban"), ("Studio", "Studio"), ("Heritage", "Tradition"), ("Active", "Aktiv"),
        ("Compact", "Kompakt"), ("Premium", "Premium"), ("Everyday", "Alltag"), ("Organic", "Bio"), ("Trail", "Pfad"), ("Essential", "Basis"),
    ];

    private static readonly string[] Colours =
        ["black", "white", "navy", "grey", "red", "green", "sand", "blue", "burgundy", "olive", "yellow", "brown"];

    private static readonly string[] Sizes = ["XS", "S", "M", "L", "XL"];

    private static readonly string[] Uses =
        ["for every day", "for the weekend", "for travelling", "for cold mornings", "for long evenings", "for small homes", "as a gift", "for beginners"];

    /// <summary>Department, name, name in German, noun, noun in German, lowest and highest price.</summary>
    private const string CategoryTable = """
        Women|Dresses|Kleider|dress|Kleid|39|149
        Women|Blouses|Blusen|blouse|Bluse|29|89
        Women|Coats|Mäntel|coat|Mantel|89|299
        Women|Skirts|Röcke|skirt|Rock|29|99
        Women|Handbags|Handtaschen|handbag|Handtasche|49|249
        Men|Shirts|Hemden|shirt|Hemd|29|99
        Men|Trousers|Hosen|trousers|Hose|39|129
        Men|Suits|Anzüge|suit|Anzug|149|499
        Men|Belts|Gürtel|belt|Gürtel|19|69
        Men|Watches|Uhren|watch|Uhr|59|399
        Kids|T-Shirts|T-Shirts|t-shirt|T-Shirt|9|29
        Kids|Jackets|Jacken|jacket|Jacke|29|99
        Kids|Toys|Spielzeug|toy|Spielzeug|9|79
        Kids|School|Schule|school bag|Schultasche|29|149
        Kids|Baby|Baby|romper|Strampler|12|39
        Sports|Running|Laufen|running shoe|Laufschuh|59|179
        Sports|Yoga|Yoga|yoga mat|Yogamatte|19|79
        Sports|Football|Fußball|football|Fußball|15|89
        Sports|Swimming|Schwimmen|swimsuit|Badeanzug|19|69
        Sports|Cycling|Radfahren|cycling jersey|Radtrikot|39|129
        Outdoor|Tents|Zelte|tent|Zelt|99|499
        Outdoor|Backpacks|Rucksäcke|backpack|Rucksack|49|199
        Outdoor|Hiking|Wandern|hiking boot|Wanderstiefel|89|249
        Outdoor|Camping|Camping|camping stove|Campingkocher|29|129
        Outdoor|Rainwear|Regenkleidung|rain jacket|Regenjacke|59|199
        Home|Bedding|Bettwäsche|duvet cover|Bettbezug|29|119
        Home|Lighting|Leuchten|lamp|Lampe|25|199
        Home|Kitchen|Küche|pan|Pfanne|19|139
        Home|Furniture|Möbel|chair|Stuhl|79|399
        Home|Bathroom|Bad|towel|Handtuch|9|49
        Electronics|Headphones|Kopfhörer|headphones|Kopfhörer|29|349
        Electronics|Speakers|Lautsprecher|speaker|Lautsprecher|39|299
        Electronics|Cameras|Kameras|camera|Kamera|149|899
        Electronics|Wearables|Wearables|fitness tracker|Fitness-Tracker|49|249
        Electronics|Chargers|Ladegeräte|charger|Ladegerät|15|69
        Beauty|Skin Care|Hautpflege|face cream|Gesichtscreme|9|59
        Beauty|Fragrance|Düfte|perfume|Parfum|29|129
        Beauty|Hair|Haare|shampoo|Shampoo|5|29
        Beauty|Make-up|Make-up|lipstick|Lippenstift|7|35
        Beauty|Shaving|Rasur|razor|Rasierer|9|149
        """;

    public static readonly IReadOnlyList<SeedCategory> Categories =
        [.. CategoryTable.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select((line, index) => Category(line.Split('|'), index + 1))];

    public static IEnumerable<SeedProduct> Generate()
    {
        var random = new Randomizer(20260701);
        for (var index = 0; index < Company.ProductCount; index++)
        {
            yield return Next(index, random);
        }
    }

    private static SeedProduct Next(int index, Randomizer random)
    {
        var category = Categories[index % Categories.Count];
        var style = random.ArrayElement(Styles);
        var brand = random.ArrayElement(Brands);
        var colour = random.ArrayElement(Colours);
        var listPrice = random.Number(category.From, category.To) + 0.99m;
        var sku = Company.ArticleNo(index);
        return new(
            sku,
            category,
            $"{style.En} {category.Noun} {random.Number(100, 999)}",
            $"{category.NounDe} {style.De} {random.Number(100, 999)}",
            $"{style.En} {category.Noun} in {colour} by {brand}, made {random.ArrayElement(Uses)}.",
            brand,
            listPrice,
            random.Bool(0.15f) ? Math.Floor(listPrice * 0.8m) + 0.95m : null,
            Ean("40" + sku.PadLeft(10, '0')),
            colour,
            category.Department is "Women" or "Men" or "Kids" or "Sports" ? random.ArrayElement(Sizes) : null,
            random.Number(50, 4_000),
            random.Bool(0.97f),
            DateOnly.FromDateTime(Company.Epoch.UtcDateTime).AddDays(-random.Number(10, 1_500)),
            Company.Epoch.AddMinutes(-random.Number(1, 300_000)));
    }

    /// <summary>Adds the check digit to the first twelve digits of an EAN-13.</summary>
    private static string Ean(string twelve)
    {
        var sum = twelve.Select((digit, at) => (digit - '0') * (at % 2 == 0 ? 1 : 3)).Sum();
        return twelve + ((10 - (sum % 10)) % 10).ToString(CultureInfo.InvariantCulture);
    }

    private static SeedCategory Category(string[] part, int number) => new(
        string.Create(CultureInfo.InvariantCulture, $"K{number:00}"), part[0], part[1], part[2], part[3], part[4],
        int.Parse(part[5], CultureInfo.InvariantCulture), int.Parse(part[6], CultureInfo.InvariantCulture), number * 10);
}
