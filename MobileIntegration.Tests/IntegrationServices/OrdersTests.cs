using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.IntegrationServices;

[Collection(nameof(BackOffice))]
public sealed class OrdersTests(BackOffice office)
{
    private readonly HttpClient _http = office.Integration.Http;

    [Fact]
    public async Task Orders_come_newest_first_and_no_more_than_asked_for()
    {
        var client = new OrdersClient(_http);
        var all = await client.ListAsync("C-000123", 100, default);
        Assert.True(all.Count > 1, "The seed gives every customer about four orders.");
        Assert.Equal(all.OrderByDescending(order => order.PlacedAt).Select(order => order.Id), all.Select(order => order.Id));
        Assert.All(all, order => Assert.Equal("C-000123", order.CustomerId));

        Assert.Equal([all[0]], await client.ListAsync("C-000123", 1, default));
    }

    [Fact]
    public async Task An_order_has_lines_that_add_up_to_its_total()
    {
        var client = new OrdersClient(_http);
        var summary = (await client.ListAsync("C-000123", 1, default))[0];

        var order = (await client.GetAsync(summary.Id, default))!;

        Assert.Equal(summary.Total, order.Total);
        Assert.Equal(summary.Status, order.Status);
        Assert.Equal(summary.PlacedAt, order.PlacedAt);
        Assert.Equal(summary.LineCount, order.Lines.Count);
        Assert.Equal("EUR", order.Total.Currency);
        Assert.Equal(order.Total.MinorUnits, order.Lines.Sum(line => line.Total.MinorUnits));
        Assert.All(order.Lines, line => Assert.Equal(line.Total.MinorUnits, line.UnitPrice.MinorUnits * line.Quantity));
    }

    [Fact]
    public async Task An_unknown_order_is_a_404() => await (await _http.GetAsync("/orders/4599999999")).ProblemAsync(404);

    [Fact]
    public async Task Orders_of_an_unknown_customer_are_none_or_a_404()
    {
        var response = await _http.GetAsync("/orders?customer=C-009999");
        Assert.True(response.IsSuccessStatusCode ? await response.Content.ReadAsStringAsync() is "[]" : (int)response.StatusCode is 404, $"{response.StatusCode}");
    }

    [Theory]
    [InlineData("/orders", "customer")]
    [InlineData("/orders?customer=123", "customer")]
    [InlineData("/orders?customer=C-000001&top=0", "top")]
    [InlineData("/orders?customer=C-000001&top=101", "top")]
    [InlineData("/orders/1", "id")]
    [InlineData("/orders/45000%3C0001", "id")]
    public async Task A_malformed_parameter_is_named(string path, string field)
    {
        var problem = await (await _http.GetAsync(path)).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _));
    }

    [Fact]
    public async Task A_number_that_is_none_is_a_400() => await (await _http.GetAsync("/orders?customer=C-000001&top=many")).ProblemAsync(400);
}
