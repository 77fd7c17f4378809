using FrontendServices.Sections;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices.Catalog;

public static class CatalogEndpoints
{
    private const int Recommended = 8;

    private sealed record ProductScreen(Section<ProductDetail> Product, Section<IReadOnlyList<StoreLevel>> Stock, Section<IReadOnlyList<ProductCard>> Recommendations);

    private static readonly SectionSet Sections = new(
        ("product", typeof(ProductDetail)), ("stock", typeof(IReadOnlyList<StoreLevel>)), ("recommendations", typeof(IReadOnlyList<ProductCard>)));

    public static void MapCatalog(this IEndpointRouteBuilder app)
    {
        var catalog = app.MapGroup("/api/catalog").WithTags("Catalog");
        catalog.MapGet("/categories", CategoriesAsync).WithSummary("All categories, in their order");
        catalog.MapGet("/products", ListAsync).WithSummary("Products of a category, or found by words; 1 to 100 a page, newest first or by id");
        catalog.MapGet("/products/{id}", GetAsync).WithSummary("One product with its stock by store now, and others like it").DescribeScreen<ProductScreen>();
        catalog.MapGet("/changes", ChangesAsync).WithSummary("Products that changed since a cursor, and the ids of those that are sold no more");
    }

    private static async Task<Tagged<List<CategoryItem>>> CategoriesAsync(HttpContext http, ProductsClient products, CancellationToken ct)
    {
        var language = Language.Of(http);
        var found = await products.GetCategoriesAsync(ct);
        return Tagged.Ok(found.Select(category => new CategoryItem(category.Id, language.Name(category.Name, category.LocalNames), category.Department)).ToList());
    }

    private static async Task<Tagged<Page<ProductCard>>> ListAsync(
        string? category, string? q, string? sort, string? limit, string? cursor, HttpContext http, ProductsClient products, CancellationToken ct)
    {
        var language = Language.Of(http);
        var page = await products.SearchAsync(new(category, q, sort ?? "newest", limit, cursor), ct);
        return Tagged.Ok(new Page<ProductCard>([.. page.Items.Select(product => ProductCard.Of(product, language))], page.Next));
    }

    private static async Task<IResult> GetAsync(string id, HttpContext http, Screens screens, ProductsClient products, InventoryClient inventory)
    {
        if (id is not { Length: 6 } || id.AsSpan().ContainsAnyExceptInRange('0', '9'))
        {
            return Invalid.Field("id", "Must be an article number such as 100042.");
        }
        if (!screens.TryBegin(http, Sections, out var screen, out var refusal))
        {
            return refusal;
        }
        using (screen)
        {
            var language = Language.Of(http);
            var subject = $"product:{id}";
            var product = screen.Share(token => products.FindAsync(id, token));
            screen.Add("product", subject, $"catalog:{language.Tag}", async _ => await product.GetAsync() is { } found ? ProductDetail.Of(found, language) : null, $"There is no product {id}.");
            screen.Add("stock", subject, "stock", async token => Levels(await inventory.GetStockAsync([id], token)));
            screen.Add("recommendations", subject, $"like:{language.Tag}", async token =>
            {
                // Without the product it is not known what is like it; its own section says why it is not there.
                var category = (await product.GetAsync())?.CategoryId;
                var page = category is null ? new([], null) : await products.SearchAsync(new(category, null, "newest", $"{Recommended + 1}", null), token);
                IReadOnlyList<ProductCard> cards = [.. page.Items.Where(other => other.Id != id).Take(Recommended).Select(other => ProductCard.Of(other, language))];
                return cards;
            });
            return await screen.AnswerAsync();
        }
    }

    private static async Task<Tagged<CatalogChanges>> ChangesAsync(string? since, string? limit, HttpContext http, ProductsClient products, CancellationToken ct)
    {
        var language = Language.Of(http);
        var delta = await products.GetChangesAsync(since, limit, ct);
        return Tagged.Ok(new CatalogChanges(
            [.. delta.Changed.Where(product => product.Active).Select(product => ProductCard.Of(product, language))],
            [.. delta.Changed.Where(product => !product.Active).Select(product => product.Id)], delta.Since, delta.More));
    }

    private static IReadOnlyList<StoreLevel> Levels(Stock stock)
    {
        var available = stock.Levels.ToDictionary(level => level.StoreId, level => level.Available, StringComparer.Ordinal);
        return [.. stock.Stores.Select(store => new StoreLevel(store.Id, store.Name, store.City, store.Postcode, store.Position, available.GetValueOrDefault(store.Id)))];
    }
}
