namespace MobileIntegration.Contracts;

/// <summary>An article that can be bought.</summary>
/// <param name="Id">The article number, six digits, such as <c>100042</c>.</param>
/// <param name="Price">What one costs now, tax included.</param>
/// <param name="RegularPrice">What one costs when it is not on sale; null when <paramref name="Price"/> is that already.</param>
/// <param name="Size">Null for articles without sizes.</param>
/// <param name="ImageUrl">An absolute https address in which <c>{size}</c> stands for the wanted width in pixels.</param>
/// <param name="Active">Whether it is sold at present.</param>
public sealed record Product(
    string Id,
    string Name,
    string Description,
    string Brand,
    string CategoryId,
    Money Price,
    Money? RegularPrice,
    string Colour,
    string? Size,
    string ImageUrl,
    bool Active);

/// <summary>The articles to offer, best first.</summary>
public sealed record Suggestions(IReadOnlyList<string> ProductIds);
