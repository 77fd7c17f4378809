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
}

/// <summary>Orders, at http://orders. Members throw <see cref="ProblemException"/> for error answers.</summary>
public sealed class OrdersClient(HttpClient http)
{
    /// <summary>The customer's latest orders, newest first.</summary>
    /// <param name="top">1 to 100.</param>
    public Task<IReadOnlyList<OrderSummary>> ListAsync(string customerId, int top, CancellationToken ct) =>
        Answer.GetAsync<IReadOnlyList<OrderSummary>>(
            http, string.Create(CultureInfo.InvariantCulture, $"/orders?customer={Uri.EscapeDataString(customerId)}&top={top}"), ct);

    /// <returns>Null when there is no such order.</returns>
    public Task<Order?> GetAsync(string id, CancellationToken ct) =>
        Answer.GetOrNullAsync<Order>(http, $"/orders/{Uri.EscapeDataString(id)}", ct);
}

/// <summary>Products, at http://products. Members throw <see cref="ProblemException"/> for error answers.</summary>
public sealed class ProductsClient(HttpClient http)
{
    /// <param name="ids">1 to 100; unknown ones are left out of the answer.</param>
    public Task<IReadOnlyList<Product>> GetAsync(IEnumerable<string> ids, CancellationToken ct) =>
        Answer.GetAsync<IReadOnlyList<Product>>(http, $"/products?ids={Uri.EscapeDataString(string.Join(',', ids))}", ct);

    /// <summary>The articles to offer to somebody whose taste is not known.</summary>
    /// <param name="top">1 to 50.</param>
    public Task<Suggestions> SuggestAsync(int top, CancellationToken ct) =>
        Answer.GetAsync<Suggestions>(http, string.Create(CultureInfo.InvariantCulture, $"/products/suggestions?top={top}"), ct);
}

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

internal static class Answer
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
    };

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

    public static async Task<T> ReadAsync<T>(HttpResponseMessage response, CancellationToken ct) where T : class
    {
        if (response.IsSuccessStatusCode)
        {
            return await response.Content.ReadFromJsonAsync<T>(Json, ct)
                ?? throw new JsonException($"{response.RequestMessage?.RequestUri} answered null.");
        }
        var problem = response.Content.Headers.ContentType?.MediaType is "application/problem+json"
            ? await response.Content.ReadFromJsonAsync<Problem>(Json, ct)
            : null;
        throw new ProblemException(
            problem ?? new((int)response.StatusCode, response.ReasonPhrase, $"{response.RequestMessage?.RequestUri?.Host} answered {(int)response.StatusCode}."),
            response.Headers.RetryAfter?.Delta);
    }
}
