using FrontendServices.Sections;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;

namespace FrontendServices.Home;

/// <summary>
/// Asks the four integration services at the same time. Which products are suggested is the same for everybody and kept for a while, so that
/// their data and their stock, both live, need not wait for one another.
/// </summary>
internal sealed class HomeComposer(
    CustomersClient customers, OrdersClient orders, ProductsClient products, InventoryClient inventory, HybridCache cache, IOptions<HomeOptions> options)
{
    public static readonly SectionSet Sections = new(
        ("profile", typeof(Profile)),
        ("orders", typeof(IReadOnlyList<OrderSummary>)),
        ("suggestions", typeof(IReadOnlyList<Product>)),
        ("stock", typeof(IReadOnlyList<NearbyStock>)));

    private readonly HomeOptions _options = options.Value;

    public Task<IResult> ComposeAsync(string customerId, Screen screen)
    {
        var subject = $"customer:{customerId}";
        var customer = screen.Share(token => customers.GetAsync(customerId, token));
        var chosen = screen.Share(SuggestedAsync);
        screen.Add("profile", subject, "home:profile", async _ => await customer.GetAsync() is { } record ? ToProfile(record) : null, $"There is no customer {customerId}.");
        screen.Add("orders", subject, "home:orders", async token => await orders.ListAsync(customerId, _options.Orders, token));
        // The same for everybody.
        screen.Add("suggestions", "suggestions", "home:suggestions", async token => await SuggestionsAsync(await chosen.GetAsync(), token));
        screen.Add<IReadOnlyList<NearbyStock>>("stock", subject, "home:stock", async token =>
        {
            var ids = await chosen.GetAsync();
            var stock = ids.Length is 0 ? new([], []) : await screen.JoinAsync(("stock", string.Join(',', ids)), () => inventory.GetStockAsync(ids, token));
            var place = await PlaceAsync(customer);
            return Near(ids, stock, place);
        });
        return screen.AnswerAsync();
    }

    private async Task<IReadOnlyList<Product>> SuggestionsAsync(string[] ids, CancellationToken ct)
    {
        var found = ids.Length is 0 ? [] : await products.GetAsync(ids, ct);
        return [.. found.OrderBy(product => Array.IndexOf(ids, product.Id))];
    }

    /// <summary>Others may wait for the same answer, so it is not given up with the one who asked first, in whose name and trace the question is.</summary>
    private Task<string[]> SuggestedAsync(CancellationToken ct) => cache.GetOrCreateAsync(
        $"home:suggestions:{_options.Suggestions}",
        async token => (await products.SuggestAsync(_options.Suggestions, token)).ProductIds.ToArray(),
        new() { Expiration = TimeSpan.FromSeconds(_options.SuggestionsSeconds) },
        cancellationToken: CancellationToken.None).AsTask().WaitAsync(ct);

    /// <summary>Where the customer lives; null when that is not known, or cannot be found out now, which its own section tells.</summary>
    private static async Task<Position?> PlaceAsync(SharedCall<Customer?> customer)
    {
        try
        {
            return (await customer.GetAsync().WaitAsync(Screen.Patience))?.Addresses[0].Position;
        }
        catch (Exception exception) when (exception is not ProblemException { Problem.Status: StatusCodes.Status401Unauthorized or StatusCodes.Status403Forbidden })
        {
            CallNote.Current!.IsPartial = true;
            return null;
        }
    }

    private static Profile ToProfile(Customer customer) => new(
        customer.Id, customer.Salutation, customer.GivenName, customer.FamilyName, customer.Language, customer.Loyalty, customer.FavouriteStoreId,
        customer.Addresses[0].City);

    /// <summary>The nearest stores that have some, for each product in turn.</summary>
    private List<NearbyStock> Near(string[] productIds, Stock stock, Position? customer)
    {
        var stores = stock.Stores.DistinctBy(store => store.Id).ToDictionary(store => store.Id, store => (Store: store, Distance: customer?.KilometresTo(store.Position)));
        var levels = stock.Levels.Where(level => level.Available > 0 && stores.ContainsKey(level.StoreId)).ToLookup(level => level.ProductId);
        return productIds.Select(id => new NearbyStock(id, [..
            from level in levels[id].OrderBy(level => stores[level.StoreId].Distance).ThenBy(level => level.StoreId).Take(_options.Stores)
            let near = stores[level.StoreId]
            select new StoreStock(near.Store.Id, near.Store.Name, near.Store.City, near.Distance is { } distance ? Math.Round(distance, 1) : null, level.Available)])).ToList();
    }
}
