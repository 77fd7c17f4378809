using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MobileIntegration.Contracts;
using MobileIntegration.Tests.IntegrationServices;

namespace MobileIntegration.Tests.FrontendServices;

/// <summary>The orders of an app's user, through both layers down to the Erp.</summary>
[Collection(nameof(BackOffice))]
public sealed class OrdersTests(BackOffice office)
{
    private readonly HttpClient _http = office.Frontend.Http;

    [Fact]
    public async Task An_app_places_an_order_for_its_user_sees_it_and_cancels_it()
    {
        using var app = App("C-000301");
        var basket = await BasketAsync();
        var key = Guid.NewGuid().ToString();

        var response = await new Commands(app).SendAsync("/api/orders", basket, key);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.StartsWith("/api/orders/commands/", response.Headers.Location!.ToString(), StringComparison.Ordinal);
        Assert.Equal(response.Headers.Location, (await new Commands(app).SendAsync("/api/orders", basket, key)).Headers.Location);
        var placed = await new Commands(app).EndedAsync(response.Headers.Location);
        Assert.Equal((CommandStatusCode.Done, "C-000301"), (placed.Status, placed.CustomerId));

        var list = await app.GetFromJsonAsync<JsonElement>("/api/orders?top=1");
        Assert.Equal(placed.OrderId, list[0].GetProperty("id").GetString());
        var cancelled = await new Commands(app).RunAsync($"/api/orders/{placed.OrderId}/cancel", new { reason = "No more" });
        Assert.Equal(CommandStatusCode.Done, cancelled.Status);
        var detail = await app.GetFromJsonAsync<JsonElement>($"/api/orders/{placed.OrderId}");
        Assert.Equal("cancelled", detail.GetProperty("status").GetString());
        Assert.Equal("Cancelled", detail.GetProperty("tracking").GetProperty("text").GetString());
        Assert.Equal([true, true], detail.GetProperty("tracking").GetProperty("steps").EnumerateArray().Select(step => step.GetProperty("isReached").GetBoolean()));

        var again = await new Commands(app).RunAsync($"/api/orders/{placed.OrderId}/reorder", new { });
        Assert.Equal(CommandStatusCode.Done, again.Status);
        Assert.NotEqual(placed.OrderId, again.OrderId);
        var history = await app.GetFromJsonAsync<JsonElement>("/api/orders/history?limit=1");
        Assert.Equal(again.OrderId, history.GetProperty("items")[0].GetProperty("id").GetString());
        var next = await app.GetFromJsonAsync<JsonElement>($"/api/orders/history?limit=1&cursor={history.GetProperty("next").GetString()}");
        Assert.Equal(placed.OrderId, next.GetProperty("items")[0].GetProperty("id").GetString());
        var changes = await app.GetFromJsonAsync<JsonElement>("/api/orders/changes");
        Assert.Equal(again.OrderId, changes.GetProperty("changed").EnumerateArray().Last().GetProperty("id").GetString());

        using var other = App("C-000302");
        await (await other.GetAsync(response.Headers.Location)).ProblemAsync(404);
        await (await other.GetAsync($"/api/orders/{placed.OrderId}")).ProblemAsync(404);
        await (await new Commands(other).SendAsync($"/api/orders/{placed.OrderId}/cancel", new { })).ProblemAsync(404);
        Assert.DoesNotContain(
            (await other.GetFromJsonAsync<JsonElement>("/api/orders")).EnumerateArray(), order => order.GetProperty("id").GetString() == placed.OrderId);
    }

    [Fact]
    public async Task What_the_service_behind_refuses_is_handed_on_as_it_is()
    {
        using var app = App("C-000303");
        var basket = await BasketAsync();
        var key = Guid.NewGuid().ToString();
        Assert.Contains("Idempotency-Key", (await (await app.PostAsJsonAsync("/api/orders", basket)).ProblemAsync(400)).GetProperty("detail").GetString(), StringComparison.Ordinal);
        var wrong = await (await new Commands(app).SendAsync("/api/orders", basket with { storeId = "X" })).ProblemAsync(400);
        Assert.True(wrong.GetProperty("errors").TryGetProperty("storeId", out _));
        await new Commands(app).SendAsync("/api/orders", basket, key);
        await (await new Commands(app).SendAsync("/api/orders", basket with { storeId = "W99" }, key)).ProblemAsync(422);
        await (await new Commands(app).SendAsync("/api/orders", basket with { customerId = "C-000304" })).ProblemAsync(403);
        await office.WithFaultAsync("erp", new { errorRate = 1, errorStatus = 503 }, async () =>
        {
            var refused = await app.GetAsync("/api/orders");
            Assert.Equal("erp", (await refused.ProblemAsync(503)).GetProperty("system").GetString());
            Assert.NotNull(refused.Headers.RetryAfter);
        });
    }

    [Fact]
    public async Task Orders_need_a_scope_of_their_own()
    {
        await (await _http.GetAsync("/api/orders", null)).ProblemAsync(401);
        await (await _http.GetAsync("/api/orders", TestAuthority.Shared.CustomerToken("C-000301", "home"))).ProblemAsync(403);
        await (await _http.GetAsync("/api/orders?customer=C-000302", TestAuthority.Shared.CustomerToken("C-000301", "orders"))).ProblemAsync(403);
    }

    private HttpClient App(string customer)
    {
        var http = new HttpClient { BaseAddress = _http.BaseAddress };
        http.Authorize(TestAuthority.Shared.CustomerToken(customer, "orders"));
        return http;
    }

    private async Task<Basket> BasketAsync()
    {
        var suggestions = await new ProductsClient(office.Integration.Http).SuggestAsync(50, default);
        var stock = await new InventoryClient(office.Integration.Http).GetStockAsync(suggestions.ProductIds, default);
        var level = stock.Levels.First(level => level.Available > 3);
        return new(level.StoreId, new("Ada Müller", "Ring 1", "10115", "Berlin", "DE"), [new(level.ProductId, 1)]);
    }

#pragma warning disable IDE1006 // as an app writes it
    private sealed record Basket(string storeId, Recipient shipTo, IReadOnlyList<NewOrderLine> lines, string? customerId = null);
#pragma warning restore IDE1006
}
