using System.Globalization;
using IntegrationServices.Connectors;
using MobileIntegration.Contracts;

namespace IntegrationServices.Products;

/// <summary>The product system, OData v4; how its fields become ours stands in <see cref="Map"/>.</summary>
internal sealed class Pim([FromKeyedServices(Pim.Name)] RestConnector connector)
{
    public const string Name = "pim";
    private const string Fields = "Sku,Name,NameDe,Description,Brand,CategoryCode,ListPrice,SalePrice,Currency,Colour,Size,ImageUrl,Active,LaunchedOn,LastModified";

    /// <summary>Nodes that Pim takes in a filter are 60, a value of an <c>in</c> list being one.</summary>
    private const int IdsInOneFilter = 40;

    /// <param name="ids">Checked to be digits, so that they need no quoting.</param>
    public async Task<List<Product>> GetAsync(IReadOnlyCollection<string> ids, CancellationToken ct)
    {
        var answers = await Task.WhenAll(ids.Chunk(IdsInOneFilter).Select(chunk =>
        {
            var filter = $"Sku in ({string.Join(',', chunk.Select(id => $"'{id}'"))})";
            return connector.GetODataAsync<PimProduct>(
                $"/pim/odata/Products?$select={Fields}&$orderby=Sku&$filter={Uri.EscapeDataString(filter)}", chunk.Length, ct);
        }));
        return [.. answers.SelectMany(answer => answer).Select(Map)];
    }

    /// <summary>The newest articles that are on sale.</summary>
    public async Task<List<string>> SuggestAsync(int top, CancellationToken ct)
    {
        var filter = Uri.EscapeDataString("Active eq true and SalePrice ne null");
        var order = Uri.EscapeDataString("LaunchedOn desc,Sku");
        var products = await connector.GetODataAsync<PimProduct>(
            string.Create(CultureInfo.InvariantCulture, $"/pim/odata/Products?$select=Sku&$filter={filter}&$orderby={order}&$top={top}"), top, ct);
        var record = new SourceRecord(Name, "a product");
        return [.. products.Select(product => record.Required(product.Sku)).Take(top)];
    }

    /// <summary>Active articles, a page of them.</summary>
    /// <param name="text">Words that all are in name, brand or description; null for any.</param>
    /// <param name="after">The id and the day of launch of the last one before; null for the beginning.</param>
    public async Task<List<Listed>> ListAsync(string? categoryId, string? text, bool newestFirst, (string Id, DateOnly LaunchedOn)? after, int top, CancellationToken ct)
    {
        var filter = "Active eq true"
            + (categoryId is null ? "" : $" and CategoryCode eq '{categoryId}'")
            + (after is not { } last ? ""
                : newestFirst ? string.Create(CultureInfo.InvariantCulture, $" and (LaunchedOn lt {last.LaunchedOn:yyyy-MM-dd} or (LaunchedOn eq {last.LaunchedOn:yyyy-MM-dd} and Sku gt '{last.Id}'))")
                : $" and Sku gt '{last.Id}'");
        // Each word a phrase of its own: none of them is an operator, nor can end the phrase (see Words).
        var search = text is null ? "" : $"&$search={Uri.EscapeDataString(string.Join(" AND ", Words(text).Select(word => $"\"{word}\"")))}";
        var order = newestFirst ? "LaunchedOn desc,Sku" : "Sku";
        var found = await connector.GetODataAsync<PimProduct>(string.Create(
            CultureInfo.InvariantCulture, $"/pim/odata/Products?$select={Fields}&$filter={Uri.EscapeDataString(filter)}&$orderby={Uri.EscapeDataString(order)}&$top={top}{search}"), top, ct);
        return [.. found.Take(top).Select(source => new Listed(Map(source), new SourceRecord(Name, $"product {source.Sku}").Required(source.LaunchedOn)))];
    }

    /// <summary>Articles that changed after a moment, also those that are sold no more, oldest change first.</summary>
    public async Task<List<Product>> ChangedAsync(DateTimeOffset after, string afterId, int top, CancellationToken ct)
    {
        var at = after.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture);
        var filter = Uri.EscapeDataString($"LastModified gt {at} or (LastModified eq {at} and Sku gt '{afterId}')");
        var found = await connector.GetODataAsync<PimProduct>(string.Create(
            CultureInfo.InvariantCulture, $"/pim/odata/Products?$select={Fields}&$filter={filter}&$orderby={Uri.EscapeDataString("LastModified,Sku")}&$top={top}"), top, ct);
        return [.. found.Take(top).Select(Map)];
    }

    public async Task<List<Category>> CategoriesAsync(CancellationToken ct)
    {
        var found = await connector.GetODataAsync<PimCategory>("/pim/odata/Categories?$select=Code,Name,NameDe,Department,SortOrder&$orderby=SortOrder", 1000, ct);
        return [.. found.Select(source =>
        {
            var record = new SourceRecord(Name, $"category {source.Code}");
            return new Category(
                record.Required(source.Code), record.Required(source.Name), record.Required(source.Department), record.Required(source.SortOrder), Local(source.Name, source.NameDe));
        })];
    }

    /// <summary>The letters and digits of a search text, in words: what OData could read as something else is left out.</summary>
    public static IEnumerable<string> Words(string text) => new string([.. text.Select(sign => char.IsLetterOrDigit(sign) ? sign : ' ')])
        .Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.OrdinalIgnoreCase);

    /// <param name="LaunchedOn">What the list is ordered by.</param>
    internal sealed record Listed(Product Product, DateOnly LaunchedOn);

    private static Dictionary<string, string>? Local(string? name, string? german) =>
        german is null || german == name ? null : new(StringComparer.OrdinalIgnoreCase) { ["de"] = german };

    private static Product Map(PimProduct source)
    {
        var record = new SourceRecord(Name, $"product {source.Sku}");
        var currency = record.Required(source.Currency);
        var list = record.Money(record.Required(source.ListPrice), currency, "ListPrice");
        return new(
            record.Required(source.Sku),
            record.Required(source.Name),
            source.Description ?? "",
            record.Required(source.Brand),
            record.Required(source.CategoryCode),
            source.SalePrice is { } sale ? record.Money(sale, currency, "SalePrice") : list,
            source.SalePrice is null ? null : list,
            record.Required(source.Colour),
            source.Size,
            record.Required(source.ImageUrl),
            record.Required(source.Active),
            Local(source.Name, source.NameDe),
            source.LastModified?.ToUniversalTime());
    }

    private sealed record PimProduct(
        string? Sku, string? Name, string? Description, string? Brand, string? CategoryCode, decimal? ListPrice, decimal? SalePrice, string? Currency,
        string? Colour, string? Size, string? ImageUrl, bool? Active, string? NameDe, DateOnly? LaunchedOn, DateTimeOffset? LastModified);

    private sealed record PimCategory(string? Code, string? Name, string? NameDe, string? Department, int? SortOrder);
}
