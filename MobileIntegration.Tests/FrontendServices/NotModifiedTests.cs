using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MobileIntegration.Tests.IntegrationServices;

namespace MobileIntegration.Tests.FrontendServices;

/// <summary>ETag and 304 on whatever is read, of the frontend services and of the integration services below them.</summary>
[Collection(nameof(BackOffice))]
public sealed class NotModifiedTests(BackOffice office)
{
    private const string Order = "4500000011";

    [Fact]
    public async Task Every_get_route_of_an_app_has_a_tag_and_tells_who_has_it_that_it_is_not_modified()
    {
        var http = office.Frontend.Http;
        var since = (await http.GetFromJsonAsync<JsonElement>("/api/catalog/changes")).GetProperty("since").GetString();
        await AllAreConditionalAsync(http, new(StringComparer.Ordinal)
        {
            ["/api/account"] = "/api/account?customer=C-000123",
            ["/api/account/commands/{id}"] = $"/api/account/commands/{await ChangedAddressAsync()}",
            ["/api/catalog/categories"] = "/api/catalog/categories",
            ["/api/catalog/changes"] = $"/api/catalog/changes?since={since}",
            ["/api/catalog/products"] = "/api/catalog/products?limit=3",
            ["/api/catalog/products/{id}"] = "/api/catalog/products/100001",
            ["/api/home"] = "/api/home?customer=C-000123",
            ["/api/orders"] = "/api/orders?customer=C-000123",
            ["/api/orders/changes"] = "/api/orders/changes?customer=C-000123",
            ["/api/orders/commands/{id}"] = $"/api/orders/commands/{await CancelledOrderAsync()}",
            ["/api/orders/history"] = "/api/orders/history?customer=C-000123",
            ["/api/orders/{id}"] = $"/api/orders/{Order}",
        });
    }

    [Fact]
    public async Task Every_get_route_of_an_integration_service_has_a_tag_and_tells_who_has_it_that_it_is_not_modified()
    {
        var http = office.Integration.Http;
        var since = (await http.GetFromJsonAsync<JsonElement>("/products/changes")).GetProperty("since").GetString();
        var command = await ChangedAddressAsync();
        await AllAreConditionalAsync(http, new(StringComparer.Ordinal)
        {
            ["/categories"] = "/categories",
            ["/changes"] = "/changes",
            ["/changes/dead-letters"] = "/changes/dead-letters",
            ["/changes/set-aside"] = "/changes/set-aside",
            ["/commands"] = "/commands?status=discarded",
            ["/commands/{id}"] = $"/commands/{command}",
            ["/customers"] = "/customers?ids=C-000123,C-000124",
            ["/customers/commands/{id}"] = $"/customers/commands/{command}",
            ["/customers/search"] = "/customers/search?q=mann",
            ["/customers/{id}"] = "/customers/C-000123",
            ["/orders"] = "/orders?customer=C-000123",
            ["/orders/changes"] = "/orders/changes?customer=C-000123",
            ["/orders/commands/{id}"] = $"/orders/commands/{await CancelledOrderAsync()}",
            ["/orders/history"] = "/orders/history?customer=C-000123",
            ["/orders/{id}"] = $"/orders/{Order}",
            ["/products"] = "/products?ids=100001,100002",
            ["/products/changes"] = $"/products/changes?since={since}",
            ["/products/prices"] = "/products/prices?ids=100001,100002",
            ["/products/search"] = "/products/search?category=K03",
            ["/products/suggestions"] = "/products/suggestions",
            ["/products/{id}"] = "/products/100001",
            ["/stock"] = "/stock?products=100001",
            ["/stores"] = "/stores",
        });
    }

    /// <param name="examples">A call of each route; one that is missing is a route that nobody has looked at.</param>
    private static async Task AllAreConditionalAsync(HttpClient http, Dictionary<string, string> examples)
    {
        var document = await http.GetFromJsonAsync<JsonElement>("/openapi/v1.json");
        var routes = document.GetProperty("paths").EnumerateObject().Where(path => path.Value.TryGetProperty("get", out _)).ToList();
        Assert.Equal(examples.Keys.Order(StringComparer.Ordinal), routes.Select(route => route.Name).Order(StringComparer.Ordinal));
        Assert.All(routes, route => Assert.True(route.Value.GetProperty("get").GetProperty("responses").TryGetProperty("304", out _), $"{route.Name} does not document a 304."));
        foreach (var path in examples.Values)
        {
            // What is shown may change between two calls.
            await Eventually.HoldsAsync(async () =>
            {
                using var first = await http.GetAsync(path);
                Assert.True(first.StatusCode is HttpStatusCode.OK, $"{path}: {first.StatusCode}");
                Assert.True(first.Headers.ETag is not null, $"{path} has no ETag.");
                using var request = new HttpRequestMessage(HttpMethod.Get, path);
                request.Headers.IfNoneMatch.Add(first.Headers.ETag);
                using var again = await http.SendAsync(request);
                Assert.True(again.StatusCode is HttpStatusCode.NotModified, $"{path}: {again.StatusCode}");
                Assert.Equal(first.Headers.ETag, again.Headers.ETag);
                Assert.Empty(await again.Content.ReadAsByteArrayAsync());
            }, TimeSpan.FromSeconds(30));
        }
    }

    private async Task<Guid> ChangedAddressAsync() => (await new Commands(office.Integration.Http).RunAsync(
        "/customers/C-000316/addresses/work", new { street = "Ring", houseNumber = "9", postcode = "10115", city = "Berlin", country = "DE" }, HttpMethod.Put)).Id;

    private async Task<Guid> CancelledOrderAsync() =>
        (await new Commands(office.Integration.Http).RunAsync($"/orders/{Order}/cancel", new { reason = "No more" })).Id;
}
