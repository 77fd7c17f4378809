using System.Globalization;
using Bogus;

namespace BackendSystems.Seeding;

internal sealed record SeedCategory(string Code, string Department, string Name, string NameDe, string Noun, string NounDe, int From, int To, int SortOrder);

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

    public static readonly IReadOnlyList<SeedCategory> Categories = Build(
    [
        ("Women", "Dresses|Kleider|dress|Kleid|39|149", "Blouses|Blusen|blouse|Bluse|29|89", "Coats|Mäntel|coat|Mantel|89|299", "Skirts|Röcke|skirt|Rock|29|99", "Handbags|Handtaschen|handbag|Handtasche|49|249"),
        ("Men", "Shirts|Hemden|shirt|Hemd|29|99", "Trousers|Hosen|trousers|Hose|39|129", "Suits|Anzüge|suit|Anzug|149|499", "Belts|Gürtel|belt|Gürtel|19|69", "Watches|Uhren|watch|Uhr|59|399"),
        ("Kids", "T-Shirts|T-Shirts|t-shirt|T-Shirt|9|29", "Jackets|Jacken|jacket|Jacke|29|99", "Toys|Spielzeug|toy|Spielzeug|9|79", "School|Schule|school bag|Schultasche|29|149", "Baby|Baby|romper|Strampler|12|39"),
        ("Sports", "Running|Laufen|running shoe|Laufschuh|59|179", "Yoga|Yoga|yoga mat|Yogamatte|19|79", "Football|Fußball|football|Fußball|15|89", "Swimming|Schwimmen|swimsuit|Badeanzug|19|69", "Cycling|Radfahren|cycling jersey|Radtrikot|39|129"),
        ("Outdoor", "Tents|Zelte|tent|Zelt|99|499", "Backpacks|Rucksäcke|backpack|Rucksack|49|199", "Hiking|Wandern|hiking boot|Wanderstiefel|89|249", "Camping|Camping|camping stove|Campingkocher|29|129", "Rainwear|Regenkleidung|rain jacket|Regenjacke|59|199"),
        ("Home", "Bedding|Bettwäsche|duvet cover|Bettbezug|29|119", "Lighting|Leuchten|lamp|Lampe|25|199", "Kitchen|Küche|pan|Pfanne|19|139", "Furniture|Möbel|chair|Stuhl|79|399", "Bathroom|Bad|towel|Handtuch|9|49"),
        ("Electronics", "Headphones|Kopfhörer|headphones|Kopfhörer|29|349", "Speakers|Lautsprecher|speaker|Lautsprecher|39|299", "Cameras|Kameras|camera|Kamera|149|899", "Wearables|Wearables|fitness tracker|Fitness-Tracker|49|249", "Chargers|Ladegeräte|charger|Ladegerät|15|69"),
        ("Beauty", "Skin Care|Hautpflege|face cream|Gesichtscreme|9|59", "Fragrance|Düfte|perfume|Parfum|29|129", "Hair|Haare|shampoo|Shampoo|5|29", "Make-up|Make-up|lipstick|Lippenstift|7|35", "Shaving|Rasur|razor|Rasierer|9|149"),
    ]);

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

    private static List<SeedCategory> Build((string Department, string A, string B, string C, string D, string E)[] departments)
    {
        var categories = new List<SeedCategory>();
        foreach (var department in departments)
        {
            foreach (var line in new[] { department.A, department.B, department.C, department.D, department.E })
            {
                var part = line.Split('|');
                var number = categories.Count + 1;
                categories.Add(new(string.Create(CultureInfo.InvariantCulture, $"K{number:00}"), department.Department, part[0], part[1], part[2], part[3],
                    int.Parse(part[4], CultureInfo.InvariantCulture), int.Parse(part[5], CultureInfo.InvariantCulture), number * 10));
            }
        }

        return categories;
    }
}
