using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices.Home;

/// <summary>
/// Asks the four integration services at the same time. Which products are suggested is the same for everybody and kept for a while, so that
/// their data and their stock, both live, need not wait for one another.
/// </summary>
internal sealed class HomeComposer(
    CustomersClient customers,
    OrdersClient orders,
    ProductsClient products,
    InventoryClient inventory,
    HybridCache cache,
    IOptions<HomeOptions> options,
    ILogger<HomeComposer> logger)
{
    private readonly HomeOptions _options = options.Value;

    /// <returns>Null when there is no such customer.</returns>
    public async Task<HomePage?> ComposeAsync(string customerId, CancellationToken ct)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        deadline.CancelAfter(TimeSpan.FromSeconds(_options.TimeoutSeconds));

        Task<Section<T>> Ask<T>(string system, Func<CancellationToken, Task<T>> call) where T : class => AskAsync(system, call, deadline.Token, ct);

        var asCustomer = Ask("customers", async token => new Found<Customer>(await customers.GetAsync(customerId, token)));
        var asOrders = Ask("orders", token => orders.ListAsync(customerId, _options.Orders, token));
        var chosen = Ask("products", SuggestedAsync);
        var asProducts = IfChosen<IReadOnlyList<Product>>([], ids => Ask("products", token => products.GetAsync(ids, token)));
        var asStock = IfChosen(new Stock([], []), ids => Ask("inventory", token => inventory.GetStockAsync(ids, token)));

        var found = await asCustomer;
        if (found.Data is { Record: null })
        {
            await deadline.CancelAsync();
            await Task.WhenAll(asOrders, asProducts, asStock);
            return null;
        }
        var customer = found.Data?.Record;
        await Task.WhenAll(asOrders, asProducts, asStock);
        var ids = (await chosen).Data ?? [];
        return new(
            found.Select(data => ToProfile(data.Record!)),
            await asOrders,
            (await asProducts).Select<IReadOnlyList<Product>>(list => [.. list.OrderBy(product => Array.IndexOf(ids, product.Id))]),
            (await asStock).Select<IReadOnlyList<NearbyStock>>(stock => [.. ids.Select(id => Near(id, stock, customer?.Addresses[0].Position))]));

        async Task<Section<T>> IfChosen<T>(T none, Func<string[], Task<Section<T>>> ask) where T : class => await chosen switch
        {
            { Data: [] } => Section<T>.Fresh(none),
            { Data: { } ids } => await ask(ids),
            var failed => Section<T>.Failed(failed.Problem!),
        };
    }

    /// <summary>Others may wait for the same answer, so it is not given up with the one who asked first, in whose name and trace the question is.</summary>
    private Task<string[]> SuggestedAsync(CancellationToken ct) => cache.GetOrCreateAsync(
        $"home:suggestions:{_options.Suggestions}",
        async token => (await products.SuggestAsync(_options.Suggestions, token)).ProductIds.ToArray(),
        new() { Expiration = TimeSpan.FromSeconds(_options.SuggestionsSeconds) },
        cancellationToken: CancellationToken.None).AsTask().WaitAsync(ct);

    private async Task<Section<T>> AskAsync<T>(string system, Func<CancellationToken, Task<T>> call, CancellationToken deadline, CancellationToken ct)
        where T : class
    {
        try
        {
            return Section<T>.Fresh(await call(deadline));
        }
        catch (ProblemException exception)
        {
            return Fail(exception.Problem, exception);
        }
        catch (Exception exception) when (deadline.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            return Fail(ToProblem(CallFailure.TooLate), exception);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested && CallFailure.From(exception) is not null)
        {
            return Fail(ToProblem(CallFailure.From(exception)!.Value), exception);
        }

        Problem ToProblem(CallFailure failure) =>
            new(failure.Status, ReasonPhrases.GetReasonPhrase(failure.Status), $"{system} {failure.Reason}. Try again later.");

        Section<T> Fail(Problem problem, Exception exception)
        {
            logger.LogWarning(exception, "The home page goes without {System}: {Problem}", system, problem.Detail);
            return Section<T>.Failed(problem);
        }
    }

    private static Profile ToProfile(Customer customer) => new(
        customer.Id, customer.Salutation, customer.GivenName, customer.FamilyName, customer.Language, customer.Loyalty, customer.FavouriteStoreId,
        customer.Addresses[0].City);

    private NearbyStock Near(string productId, Stock stock, Position? customer)
    {
        var stores =
            from level in stock.Levels
            where level.ProductId == productId && level.Available > 0
            join store in stock.Stores on level.StoreId equals store.Id
            let distance = customer?.KilometresTo(store.Position)
            orderby distance, store.Id
            select new StoreStock(store.Id, store.Name, store.City, distance is null ? null : Math.Round(distance.Value, 1), level.Available);
        return new(productId, [.. stores.Take(_options.Stores)]);
    }

    private sealed record Found<T>(T? Record) where T : class;
}
