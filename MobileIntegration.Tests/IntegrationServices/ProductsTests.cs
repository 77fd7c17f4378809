using System.Net.Http.Json;
using System.Text.Json;
using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.IntegrationServices;

[Collection(nameof(BackOffice))]
public sealed class ProductsTests(BackOffice office)
{
    private readonly HttpClient _http = office.Integration.Http;

    [Fact]
    public async Task A_hundred_products_are_what_the_pim_holds()
    {
        var ids = Enumerable.Range(100001, 100).Select(number => $"{number}").ToList();

        var products = await new ProductsClient(_http).GetAsync(ids, default);

        Assert.Equal(ids, products.Select(product => product.Id));
        foreach (var product in products.Where((_, at) => at % 10 is 0))
        {
            var pim = await office.Backends.Http.GetFromJsonAsync<JsonElement>($"/pim/odata/Products('{product.Id}')");
            var list = (long)(pim.GetProperty("ListPrice").GetDecimal() * 100);
            var sale = pim.GetProperty("SalePrice") is { ValueKind: JsonValueKind.Number } price ? (long)(price.GetDecimal() * 100) : (long?)null;
            Assert.Equal(pim.GetProperty("Name").GetString(), product.Name);
            Assert.Equal(new Money("EUR", sale ?? list), product.Price);
            Assert.Equal(sale is null ? null : new Money("EUR", list), product.RegularPrice);
            Assert.Equal(pim.GetProperty("CategoryCode").GetString(), product.CategoryId);
            Assert.Equal(pim.GetProperty("ImageUrl").GetString(), product.ImageUrl);
            Assert.Equal(pim.GetProperty("Active").GetBoolean(), product.Active);
        }
    }

    [Fact]
    public async Task Unknown_products_are_left_out_of_a_batch_and_a_404_alone()
    {
        Assert.Equal(["100001"], (await new ProductsClient(_http).GetAsync(["999999", "100001"], default)).Select(product => product.Id));
        await (await _http.GetAsync("/products/999999")).ProblemAsync(404);
    }

    [Fact]
    public async Task Suggestions_are_on_sale_newest_first()
    {
        var client = new ProductsClient(_http);
        var ids = (await client.SuggestAsync(50, default)).ProductIds;
        Assert.Equal(50, ids.Distinct().Count());

        var products = await client.GetAsync(ids, default);
        Assert.All(products, product => Assert.NotNull(product.RegularPrice));
        Assert.All(products, product => Assert.True(product.Active));
        Assert.Equal(ids.Take(3), (await client.SuggestAsync(3, default)).ProductIds);
    }

    [Theory]
    [InlineData("/products", "ids")]
    [InlineData("/products?ids=1000001", "ids")]
    [InlineData("/products?ids=10000'", "ids")]
    [InlineData("/products/1", "id")]
    [InlineData("/products/suggestions?top=0", "top")]
    [InlineData("/products/suggestions?top=51", "top")]
    public async Task A_malformed_parameter_is_named(string path, string field)
    {
        var problem = await (await _http.GetAsync(path)).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _));
    }
}
