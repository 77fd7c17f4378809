namespace MobileIntegration.Contracts;

/// <summary>An article that can be bought.</summary>
/// <param name="Id">The article number, six digits, such as <c>100042</c>.</param>
/// <param name="Price">What one costs now, tax included.</param>
/// <param name="RegularPrice">What one costs when it is not on sale; null when <paramref name="Price"/> is that already.</param>
/// <param name="Size">Null for articles without sizes.</param>
/// <param name="ImageUrl">An absolute https address in which <c>{size}</c> stands for the wanted width in pixels.</param>
/// <param name="Active">Whether it is sold at present.</param>
/// <param name="LocalNames">Its name in other languages than that of <paramref name="Name"/>, by BCP 47 language; null when there are none.</param>
/// <param name="ChangedAt">UTC, when anything of it changed last; null when the system does not say.</param>
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
    bool Active,
    IReadOnlyDictionary<string, string>? LocalNames = null,
    DateTimeOffset? ChangedAt = null);

/// <summary>What an article costs now.</summary>
/// <param name="Amount">Of one, tax included.</param>
/// <param name="Regular">When it is not on sale; null when <paramref name="Amount"/> is that already.</param>
public sealed record Price(string ProductId, Money Amount, Money? Regular);

/// <summary>A kind of articles.</summary>
/// <param name="Id"><c>K</c> and two digits, such as <c>K01</c>.</param>
/// <param name="LocalNames">As in <see cref="Product"/>.</param>
/// <param name="SortOrder">Lower ones first.</param>
public sealed record Category(string Id, string Name, string Department, int SortOrder, IReadOnlyDictionary<string, string>? LocalNames = null);

/// <summary>The articles to offer, best first.</summary>
public sealed record Suggestions(IReadOnlyList<string> ProductIds);
