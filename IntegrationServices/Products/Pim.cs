using System.Globalization;
using IntegrationServices.Connectors;
using MobileIntegration.Contracts;

namespace IntegrationServices.Products;

/// <summary>The product system, OData v4; how its fields become ours stands in <see cref="Map"/>.</summary>
internal sealed class Pim([FromKeyedServices(Pim.Name)] RestConnector connector)
{
    public const string Name = "pim";
    private const string Fields = "Sku,Name,Description,Brand,CategoryCode,ListPrice,SalePrice,Currency,Colour,Size,ImageUrl,Active";

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
            record.Required(source.Active));
    }

    private sealed record PimProduct(
        string? Sku, string? Name, string? Description, string? Brand, string? CategoryCode, decimal? ListPrice, decimal? SalePrice, string? Currency,
        string? Colour, string? Size, string? ImageUrl, bool? Active);
}
