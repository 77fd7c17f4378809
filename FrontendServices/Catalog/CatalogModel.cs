using MobileIntegration.Contracts;

namespace FrontendServices.Catalog;

/// <summary>A product in a list.</summary>
/// <param name="RegularPrice">When it is on sale.</param>
internal sealed record ProductCard(string Id, string Name, string Brand, Amount Price, Amount? RegularPrice, ImageReference Image)
{
    public static ProductCard Of(Product product, Language language) => new(
        product.Id, language.Name(product.Name, product.LocalNames), product.Brand, language.Amount(product.Price),
        product.RegularPrice is null ? null : language.Amount(product.RegularPrice), ImageReference.Of(product.ImageUrl));
}

/// <summary>A product on a screen of its own; the members of <see cref="ProductCard"/> mean the same here.</summary>
/// <param name="Active">Whether it is sold at present.</param>
internal sealed record ProductDetail(
    string Id, string Name, string Brand, string Description, string CategoryId, string Colour, string? Size, bool Active, Amount Price, Amount? RegularPrice, ImageReference Image)
{
    public static ProductDetail Of(Product product, Language language) => new(
        product.Id, language.Name(product.Name, product.LocalNames), product.Brand, product.Description, product.CategoryId, product.Colour, product.Size, product.Active,
        language.Amount(product.Price), product.RegularPrice is null ? null : language.Amount(product.RegularPrice), ImageReference.Of(product.ImageUrl));
}

/// <summary>Where a picture is; it is not in the answer.</summary>
/// <param name="Url">With <c>{size}</c> for one of <paramref name="Sizes"/>.</param>
/// <param name="Sizes">Widths in pixels.</param>
internal sealed record ImageReference(string Url, IReadOnlyList<int> Sizes)
{
    private static readonly int[] Widths = [160, 320, 640, 1280];

    public static ImageReference Of(string url) => new(url, Widths);
}

/// <param name="Id">To browse with.</param>
internal sealed record CategoryItem(string Id, string Name, string Department);

/// <param name="Available">Pieces free to sell now, 0 or more.</param>
internal sealed record StoreLevel(string StoreId, string Name, string City, string Postcode, Position Position, int Available);

/// <param name="Removed">Ids of products that are sold no more.</param>
/// <param name="Since">The cursor to ask with next time.</param>
/// <param name="More">There is more already: ask again at once.</param>
internal sealed record CatalogChanges(IReadOnlyList<ProductCard> Changed, IReadOnlyList<string> Removed, string Since, bool More);
