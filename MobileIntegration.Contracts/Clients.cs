using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace MobileIntegration.Contracts;

/// <summary>Customers, at http://customers. Members throw <see cref="ProblemException"/> for error answers.</summary>
public sealed class CustomersClient(HttpClient http)
{
    /// <returns>Null when there is no such customer.</returns>
    public Task<Customer?> GetAsync(string id, CancellationToken ct) =>
        Answer.GetOrNullAsync<Customer>(http, $"/customers/{Uri.EscapeDataString(id)}", ct);

    /// <param name="type">home, work or delivery, as the caller wrote it.</param>
    /// <param name="key">The Idempotency-Key: the same one with every retry.</param>
    public Task<CommandStatus> ChangeAddressAsync(string id, string type, NewAddress address, string? key, CancellationToken ct) => Answer.SendAsync<NewAddress, CommandStatus>(
        http, HttpMethod.Put, $"/customers/{Uri.EscapeDataString(id)}/addresses/{Uri.EscapeDataString(type)}", address, key, ct);

    /// <summary>What became of a changed address.</summary>
    /// <returns>Null when there is no such command.</returns>
    public Task<CommandStatus?> GetCommandAsync(Guid id, CancellationToken ct) => Answer.GetOrNullAsync<CommandStatus>(http, $"/customers/commands/{id}", ct);
}

/// <summary>Orders, at http://orders. Members throw <see cref="ProblemException"/> for error answers.</summary>
public sealed class OrdersClient(HttpClient http)
{
    /// <summary>The customer's latest orders, newest first.</summary>
    /// <param name="top">1 to 100.</param>
    public Task<IReadOnlyList<OrderSummary>> ListAsync(string customerId, int top, CancellationToken ct) =>
        Answer.GetAsync<IReadOnlyList<OrderSummary>>(
            http, string.Create(CultureInfo.InvariantCulture, $"/orders?customer={Uri.EscapeDataString(customerId)}&top={top}"), ct);

    /// <summary>A customer's orders in pages, newest first.</summary>
    /// <param name="limit">1 to 100, as the caller wrote it; null for 20.</param>
    /// <param name="cursor">A Next of the same list; null for the beginning.</param>
    public Task<Page<OrderSummary>> GetHistoryAsync(string customerId, string? limit, string? cursor, CancellationToken ct) =>
        Answer.GetAsync<Page<OrderSummary>>(http, Answer.Query("/orders/history", ("customer", customerId), ("limit", limit), ("cursor", cursor)), ct);

    /// <param name="since">A Since of the same list; null for all.</param>
    public Task<Delta<OrderSummary>> GetChangesAsync(string customerId, string? since, CancellationToken ct) =>
        Answer.GetAsync<Delta<OrderSummary>>(http, Answer.Query("/orders/changes", ("customer", customerId), ("since", since)), ct);

    /// <returns>Null when there is no such order.</returns>
    public Task<Order?> GetAsync(string id, CancellationToken ct) =>
        Answer.GetOrNullAsync<Order>(http, $"/orders/{Uri.EscapeDataString(id)}", ct);

    /// <param name="key">The Idempotency-Key: the same one with every retry.</param>
    public Task<CommandStatus> PlaceAsync(NewOrder order, string? key, CancellationToken ct) => Answer.PostAsync<NewOrder, CommandStatus>(http, "/orders", order, key, ct);

    /// <param name="key">The Idempotency-Key: the same one with every retry.</param>
    public Task<CommandStatus> CancelAsync(string id, OrderCancellation cancellation, string? key, CancellationToken ct) =>
        Answer.PostAsync<OrderCancellation, CommandStatus>(http, $"/orders/{Uri.EscapeDataString(id)}/cancel", cancellation, key, ct);

    /// <summary>What became of an order that was placed or cancelled.</summary>
    /// <returns>Null when there is no such command.</returns>
    public Task<CommandStatus?> GetCommandAsync(Guid id, CancellationToken ct) =>
        Answer.GetOrNullAsync<CommandStatus>(http, $"/orders/commands/{id}", ct);
}

/// <summary>Products, at http://products. Members throw <see cref="ProblemException"/> for error answers.</summary>
public sealed class ProductsClient(HttpClient http)
{
    /// <param name="ids">1 to 100; unknown ones are left out of the answer.</param>
    public Task<IReadOnlyList<Product>> GetAsync(IEnumerable<string> ids, CancellationToken ct) =>
        Answer.GetAsync<IReadOnlyList<Product>>(http, $"/products?ids={Uri.EscapeDataString(string.Join(',', ids))}", ct);

    /// <returns>Null when there is no such product.</returns>
    public Task<Product?> FindAsync(string id, CancellationToken ct) => Answer.GetOrNullAsync<Product>(http, $"/products/{Uri.EscapeDataString(id)}", ct);

    /// <summary>A page of the products that are sold.</summary>
    public Task<Page<Product>> SearchAsync(ProductSearch search, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(search);
        return Answer.GetAsync<Page<Product>>(http, Answer.Query(
            "/products/search", ("category", search.CategoryId), ("q", search.Text), ("sort", search.Sort), ("limit", search.Limit), ("cursor", search.Cursor)), ct);
    }

    /// <param name="since">A Since of an earlier answer; null for a cursor to begin with.</param>
    /// <param name="limit">1 to 100, as the caller wrote it; null for 100.</param>
    public Task<Delta<Product>> GetChangesAsync(string? since, string? limit, CancellationToken ct) =>
        Answer.GetAsync<Delta<Product>>(http, Answer.Query("/products/changes", ("since", since), ("limit", limit)), ct);

    /// <summary>All, in their order.</summary>
    public Task<IReadOnlyList<Category>> GetCategoriesAsync(CancellationToken ct) => Answer.GetAsync<IReadOnlyList<Category>>(http, "/categories", ct);

    /// <summary>The articles to offer to somebody whose taste is not known.</summary>
    /// <param name="top">1 to 50.</param>
    public Task<Suggestions> SuggestAsync(int top, CancellationToken ct) =>
        Answer.GetAsync<Suggestions>(http, string.Create(CultureInfo.InvariantCulture, $"/products/suggestions?top={top}"), ct);
}

/// <summary>Which products; as a caller wrote it, for the service to check.</summary>
/// <param name="CategoryId">Null for all.</param>
/// <param name="Text">Words that all are in name, brand or description; null for any.</param>
/// <param name="Sort"><c>id</c> or <c>newest</c>; null for id.</param>
/// <param name="Limit">1 to 100; null for 20.</param>
/// <param name="Cursor">A Next of the same search; null for the beginning.</param>
public sealed record ProductSearch(string? CategoryId, string? Text, string? Sort, string? Limit, string? Cursor);

/// <summary>Inventory, at http://inventory. Members throw <see cref="ProblemException"/> for error answers.</summary>
public sealed class InventoryClient(HttpClient http)
{
    /// <param name="productIds">1 to 100.</param>
    public Task<Stock> GetStockAsync(IEnumerable<string> productIds, CancellationToken ct) =>
        Answer.GetAsync<Stock>(http, $"/stock?products={Uri.EscapeDataString(string.Join(',', productIds))}", ct);
}

/// <summary>Devices, at http://devices. Members throw <see cref="ProblemException"/> for error answers.</summary>
public sealed class DevicesClient(HttpClient http)
{
    /// <param name="known">The version that the caller has.</param>
    /// <returns>Null when that is the newest.</returns>
    public async Task<AppRuleSet?> GetRulesAsync(long? known, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(AppRuleSet.Path, UriKind.Relative));
        if (known is { } version)
        {
            request.Headers.IfNoneMatch.Add(new(string.Create(CultureInfo.InvariantCulture, $"\"{version}\"")));
        }
        using var response = await http.SendAsync(request, ct);
        return response.StatusCode is HttpStatusCode.NotModified ? null : await Answer.ReadAsync<AppRuleSet>(response, ct);
    }
}

/// <summary>The identity service, at its own address inside the system. Members throw <see cref="ProblemException"/> for error answers.</summary>
public sealed class IdentityClient(HttpClient http)
{
    /// <param name="after">The cursor of the last answer; null for all.</param>
    public Task<Revocations> GetRevocationsAsync(string? after, CancellationToken ct) =>
        Answer.GetAsync<Revocations>(http, after is null ? Revocations.Path : $"{Revocations.Path}?after={Uri.EscapeDataString(after)}", ct);
}

internal static class Answer
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
    };

    /// <summary>A path with the parameters that have a value.</summary>
    public static string Query(string path, params ReadOnlySpan<(string Name, string? Value)> parameters)
    {
        var separator = '?';
        foreach (var (name, value) in parameters)
        {
            if (value is not null)
            {
                path += $"{separator}{name}={Uri.EscapeDataString(value)}";
                separator = '&';
            }
        }
        return path;
    }

    public static async Task<T> GetAsync<T>(HttpClient http, string uri, CancellationToken ct) where T : class
    {
        using var response = await http.GetAsync(new Uri(uri, UriKind.Relative), ct);
        return await ReadAsync<T>(response, ct);
    }

    public static async Task<T?> GetOrNullAsync<T>(HttpClient http, string uri, CancellationToken ct) where T : class
    {
        using var response = await http.GetAsync(new Uri(uri, UriKind.Relative), ct);
        return response.StatusCode is HttpStatusCode.NotFound ? null : await ReadAsync<T>(response, ct);
    }

    public static Task<TAnswer> PostAsync<TBody, TAnswer>(HttpClient http, string uri, TBody body, string? key, CancellationToken ct) where TAnswer : class =>
        SendAsync<TBody, TAnswer>(http, HttpMethod.Post, uri, body, key, ct);

    public static async Task<TAnswer> SendAsync<TBody, TAnswer>(HttpClient http, HttpMethod method, string uri, TBody body, string? key, CancellationToken ct) where TAnswer : class
    {
        using var request = new HttpRequestMessage(method, new Uri(uri, UriKind.Relative)) { Content = JsonContent.Create(body, options: Json) };
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        }
        using var response = await http.SendAsync(request, ct);
        return await ReadAsync<TAnswer>(response, ct);
    }

    public static async Task<T> ReadAsync<T>(HttpResponseMessage response, CancellationToken ct) where T : class
    {
        if (response.IsSuccessStatusCode)
        {
            // It is here as a whole, so it need not be read as a stream, in parts that are gone on with.
            var read = response.Content.Headers.ContentType is { CharSet: null or "utf-8" }
                ? JsonSerializer.Deserialize<T>(await response.Content.ReadAsByteArrayAsync(ct), Json)
                : await response.Content.ReadFromJsonAsync<T>(Json, ct);
            return read ?? throw new JsonException($"{response.RequestMessage?.RequestUri} answered null.");
        }
        var problem = response.Content.Headers.ContentType?.MediaType is "application/problem+json"
            ? await response.Content.ReadFromJsonAsync<Problem>(Json, ct)
            : null;
        throw new ProblemException(
            problem ?? new((int)response.StatusCode, response.ReasonPhrase, $"{response.RequestMessage?.RequestUri?.Host} answered {(int)response.StatusCode}."),
            response.Headers.RetryAfter?.Delta);
    }
}
