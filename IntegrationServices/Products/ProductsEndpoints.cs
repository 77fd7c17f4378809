using System.Globalization;
using IntegrationServices.Reads;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Products;

public static class ProductsEndpoints
{
    private const string Form = "an article number such as 100042";
    private const string WrongCursor = "Is not one of this list: use a cursor of the same query, or none.";
    private const string Day = "yyyy-MM-dd";
    private const int MostSuggestions = 50;
    private const int MostWords = 8;

    /// <summary>What was changed by a transaction that is slow to end appears later than its time: so much of the past is told again.</summary>
    private static readonly TimeSpan Overlap = TimeSpan.FromSeconds(30);

    public static void MapProducts(this IEndpointRouteBuilder app)
    {
        var products = app.MapGroup("/products").WithTags("Products");
        products.MapGet("/{id}", GetAsync).WithSummary("One product");
        products.MapGet("", ListAsync).WithSummary("Up to 100 products by id, ordered by id; unknown ones are left out");
        products.MapGet("/prices", PricesAsync).WithSummary("What up to 100 products cost, ordered by id; unknown ones are left out");
        products.MapGet("/suggestions", SuggestAsync).WithSummary("The ids of the newest products on sale, 1 to 50 of them");
        products.MapGet("/search", SearchAsync).WithSummary("Active products of a category, with a text in name, brand or description, by id or newest first");
        products.MapGet("/changes", ChangesAsync).WithSummary("Products that changed since a cursor, oldest change first, also those that are sold no more");
        app.MapGet("/categories", CategoriesAsync).WithTags("Products").WithSummary("All categories, in their order");
    }

    private static async Task<Results<Cached<Product>, ProblemHttpResult, ValidationProblem>> GetAsync(string id, ReadCache reads, Pim pim, CancellationToken ct)
    {
        if (!Ids.IsProduct(id))
        {
            return Invalid.Field("id", $"Must be {Form}.");
        }
        var read = await reads.GetAsync(ProductsSetup.Kind, id, Tags.Product(id), async token => (await pim.GetAsync([id], token)).FirstOrDefault(), ct);
        return read.Data is not null
            ? Cached.Ok(read.Select(product => product!))
            : TypedResults.Problem($"There is no product {id}.", statusCode: StatusCodes.Status404NotFound);
    }

    private static async Task<Results<Cached<List<Product>>, ValidationProblem>> ListAsync(string? ids, ReadCache reads, Pim pim, CancellationToken ct)
    {
        var wanted = Ids.Parse(ids, Ids.IsProduct, Form, out var error);
        return error is null ? Cached.Ok(await ManyAsync(wanted, reads, pim, ct)) : Invalid.Field("ids", error);
    }

    private static async Task<Results<Cached<List<Price>>, ValidationProblem>> PricesAsync(string? ids, ReadCache reads, Pim pim, CancellationToken ct)
    {
        var wanted = Ids.Parse(ids, Ids.IsProduct, Form, out var error);
        return error is null
            ? Cached.Ok((await ManyAsync(wanted, reads, pim, ct)).Select(list => list.ConvertAll(product => new Price(product.Id, product.Price, product.RegularPrice))))
            : Invalid.Field("ids", error);
    }

    private static Task<Read<List<Product>>> ManyAsync(IReadOnlyCollection<string> ids, ReadCache reads, Pim pim, CancellationToken ct) =>
        reads.GetManyAsync(ProductsSetup.Kind, [.. ids.Order(StringComparer.Ordinal)], product => product.Id, Tags.Product, pim.GetAsync, ct);

    private static async Task<Results<Cached<Suggestions>, ValidationProblem>> SuggestAsync(int? top, ReadCache reads, Pim pim, CancellationToken ct)
    {
        if (top is < 1 or > MostSuggestions)
        {
            return Invalid.Field("top", $"Must be from 1 to {MostSuggestions}.");
        }
        var read = await reads.GetAsync(
            ProductsSetup.Kind, string.Create(CultureInfo.InvariantCulture, $"suggestions:{top ?? 10}"), Tags.Catalogue,
            async token => new Suggestions(await pim.SuggestAsync(top ?? 10, token)), ct);
        return Cached.Ok(read.Select(suggestions => suggestions!));
    }

    private static async Task<Results<Cached<Page<Product>>, ValidationProblem>> SearchAsync(
        string? category, string? q, string? sort, int? limit, string? cursor, ReadCache reads, Pim pim, CancellationToken ct)
    {
        if (category is not null && !Ids.IsCategory(category))
        {
            return Invalid.Field("category", "Must be a category such as K07.");
        }
        if (q is not null && (!Text.IsSearch(q) || Pim.Words(q).Count() > MostWords))
        {
            return Invalid.Field("q", $"Must be 1 to {MostWords} words in 2 to 100 letters, digits, spaces and - . , ' & + / % @.");
        }
        if (sort is not (null or "id" or "newest"))
        {
            return Invalid.Field("sort", "Must be id or newest.");
        }
        if (limit is < 1 or > Ids.MostAtOnce)
        {
            return Invalid.Field("limit", $"Must be from 1 to {Ids.MostAtOnce}.");
        }
        var size = limit ?? 20;
        var newest = sort is "newest";
        var words = q is null ? null : string.Join(' ', Pim.Words(q)).ToLowerInvariant();
        var list = $"products?{category}&{words}&{newest}";
        (string, DateOnly)? after = null;
        if (cursor is not null)
        {
            if (!Cursor.TryRead(cursor, list, 2, out var position) || !Ids.IsProduct(position[0])
                || !DateOnly.TryParseExact(position[1], Day, CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
            {
                return Invalid.Field("cursor", WrongCursor);
            }
            after = (position[0], day);
        }
        var read = await reads.GetAsync(ProductsSetup.Kind, string.Create(CultureInfo.InvariantCulture, $"{list}&{size}&{after}"), Tags.Catalogue, async token =>
        {
            var found = await pim.ListAsync(category, words, newest, after, size, token);
            return new Page<Product>(
                found.ConvertAll(one => one.Product),
                found.Count == size ? Cursor.Write(list, found[^1].Product.Id, found[^1].LaunchedOn.ToString(Day, CultureInfo.InvariantCulture)) : null);
        }, ct);
        return Cached.Ok(read.Select(page => page!));
    }

    private static async Task<Results<Tagged<Delta<Product>>, ValidationProblem>> ChangesAsync(
        string? since, int? limit, Pim pim, TimeProvider time, CancellationToken ct)
    {
        const string List = "products/changes";
        if (limit is < 1 or > Ids.MostAtOnce)
        {
            return Invalid.Field("limit", $"Must be from 1 to {Ids.MostAtOnce}.");
        }
        if (!ChangeCursor.TryRead(since, List, out var at, out var id) || !(id.Length is 0 || Ids.IsProduct(id)))
        {
            return Invalid.Field("since", WrongCursor);
        }
        var size = limit ?? Ids.MostAtOnce;
        if (since is null)
        {
            // Who has nothing yet reads the list; from now on there are changes.
            return Tagged.Ok(new Delta<Product>([], ChangeCursor.Write(List, time.GetUtcNow() - Overlap, ""), More: false));
        }
        var changed = await pim.ChangedAsync(at, id, size, ct);
        var more = changed.Count == size;
        var last = changed.Count is 0 ? (At: at, Id: id) : (At: changed[^1].ChangedAt ?? at, changed[^1].Id);
        var safe = time.GetUtcNow() - Overlap;
        var next = more || last.At <= safe ? ChangeCursor.Write(List, last.At, last.Id) : ChangeCursor.Write(List, safe < at ? at : safe, "");
        return Tagged.Ok(new Delta<Product>(changed, next, more));
    }

    private static async Task<Cached<List<Category>>> CategoriesAsync(ReadCache reads, Pim pim, CancellationToken ct)
    {
        var read = await reads.GetAsync<List<Category>>(ProductsSetup.Kind, "categories", Tags.Catalogue, async token => await pim.CategoriesAsync(token), ct);
        return Cached.Ok(read.Select(list => list!));
    }
}
