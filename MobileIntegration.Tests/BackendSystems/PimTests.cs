using System.Net;
using System.Text.Json;

namespace MobileIntegration.Tests.BackendSystems;

[Collection(BackOfficeTests.Name)]
public sealed class PimTests(BackOffice office)
{
    private const string Products = "/pim/odata/Products";

    [Fact]
    public async Task Following_next_links_reads_every_product_once()
    {
        var skus = new List<string>();
        var next = $"{Products}?$select=Sku&$count=true";
        while (next is not null)
        {
            var page = await office.GetAsync(next);
            Assert.Equal(2_000, page.GetProperty("@odata.count").GetInt32());
            Assert.True(page.GetProperty("value").GetArrayLength() <= 100);
            skus.AddRange(page.GetProperty("value").EnumerateArray().Select(product => product.GetProperty("Sku").GetString()!));
            next = page.TryGetProperty("@odata.nextLink", out var link) ? link.GetString() : null;
        }

        Assert.Equal(Enumerable.Range(100_001, 2_000).Select(sku => $"{sku}"), skus);
    }

    [Fact]
    public async Task Metadata_describes_both_sets()
    {
        var metadata = await office.Http.GetStringAsync("/pim/odata/$metadata");
        Assert.Contains("<EntitySet Name=\"Products\" EntityType=\"Pim.Product\"", metadata, StringComparison.Ordinal);
        Assert.Contains("<EntitySet Name=\"Categories\" EntityType=\"Pim.Category\"", metadata, StringComparison.Ordinal);
        Assert.Contains("Name=\"LaunchedOn\" Type=\"Edm.Date\"", metadata, StringComparison.Ordinal);
        Assert.DoesNotContain("Search", metadata, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Filter_order_top_and_skip_agree_with_sql()
    {
        var page = await office.GetAsync($"{Products}?$filter=CategoryCode eq 'K02' and ListPrice ge 50&$orderby=ListPrice desc,Sku&$skip=3&$top=4&$select=Sku");
        var expected = await BackOffice.ScalarAsync<string>(office.BackendDb, """
            select string_agg(sku, ',' order by list_price desc, sku) from (
                select sku, list_price from pim.products where category_code = 'K02' and list_price >= 50
                order by list_price desc, sku offset 3 limit 4) p
            """);
        Assert.Equal(expected, string.Join(',', page.GetProperty("value").EnumerateArray().Select(product => product.GetProperty("Sku").GetString())));
        Assert.Equal(["Sku"], page.GetProperty("value")[0].EnumerateObject().Select(member => member.Name));
    }

    [Fact]
    public async Task One_product_comes_with_its_category()
    {
        var product = await office.GetAsync($"{Products}('100042')?$expand=Category");
        Assert.Equal("100042", product.GetProperty("Sku").GetString());
        Assert.Equal(product.GetProperty("CategoryCode").GetString(), product.GetProperty("Category").GetProperty("Code").GetString());
        Assert.Equal(40, (await office.GetAsync("/pim/odata/Categories")).GetProperty("value").GetArrayLength());
    }

    [Fact]
    public async Task Search_takes_words_phrases_and_operators()
    {
        var words = await CountAsync("$search=navy AND dress");
        Assert.Equal(await BackOffice.ScalarAsync<long>(
            office.BackendDb, "select count(*) from pim.products where search like '%navy%' and search like '%dress%'"), words);
        Assert.True(words > 0);
        Assert.Equal(await CountAsync("$search=navy") - words, await CountAsync("$search=navy NOT dress"));
        Assert.Equal(
            await BackOffice.ScalarAsync<long>(office.BackendDb, "select count(*) from pim.products where search like '%dress in navy%'"),
            await CountAsync("$search=\"dress in navy\""));
        Assert.Equal(0, await CountAsync("$search=\"100% _\""));
        Assert.Equal(0, await CountAsync("$search=\"'; drop table pim.products; --\""));
    }

    [Theory]
    [InlineData("?$filter=Nope eq 1", 400, "Nope")]
    [InlineData("?$filter=Name eq 'x", 400, "unterminated")]
    [InlineData("?$top=5000", 400, "1000")]
    [InlineData("?$top=-1", 400, "-1")]
    [InlineData("?$skip=200000", 400, "100000")]
    [InlineData("?$filter=ListPrice div 0 gt 1", 400, "division by zero")]
    [InlineData("?$filter=ListPrice gt 99999999999999999999999999999999999999", 400, "smaller")]
    [InlineData("?$filter=ListPrice mul 1e300 gt 1", 400, "")]
    [InlineData("?$orderby=Category/Name", 400, "CategoryCode")]
    [InlineData("?$filter=matchesPattern(Name,'(a*)*b')", 400, "SQL")]
    [InlineData("?$expand=Category($expand=Products)", 400, "Products")]
    [InlineData("?$apply=aggregate($count as N)", 400, "not allowed")]
    [InlineData("?$search=a b c d e f g h i j k", 400, "10 words")]
    [InlineData("('nothing')", 404, "no such entity")]
    [InlineData("/Nope", 404, "no such entity")]
    public async Task A_query_that_cannot_be_answered_is_an_odata_error(string query, int status, string says)
    {
        using var response = await office.Http.GetAsync(Products + query);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(status == (int)response.StatusCode, body);
        var error = JsonSerializer.Deserialize<JsonElement>(body).GetProperty("error");
        Assert.NotEqual("", error.GetProperty("code").GetString());
        Assert.Contains(says, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_set_is_an_odata_error_too()
    {
        using var response = await office.Http.GetAsync("/pim/odata/Customers");
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Contains("Products and Categories", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_quote_in_a_value_is_only_a_quote()
    {
        var filter = Uri.EscapeDataString("Name eq 'x'' or ''1'' eq ''1'");
        Assert.Equal(0, await CountAsync($"$filter={filter}"));
        Assert.Equal(2_000, await BackOffice.ScalarAsync<long>(office.BackendDb, "select count(*) from pim.products"));
    }

    [Fact]
    public async Task Sixty_conditions_are_the_limit()
    {
        var filter = string.Join(" or ", Enumerable.Range(0, 40).Select(number => $"Sku eq '{number}'"));
        using var response = await office.Http.GetAsync($"{Products}?$filter={Uri.EscapeDataString(filter)}");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Changed_prices_are_seen_at_once()
    {
        var changed = await office.SimulateAsync("/pim/simulate/prices", 3, 11);
        Assert.Equal(3, changed.Length);
        var product = await office.GetAsync($"{Products}('{changed[0]}')");
        Assert.True(product.GetProperty("Revision").GetInt32() >= 2);
        Assert.Equal(
            await BackOffice.ScalarAsync<decimal>(office.BackendDb, $"select list_price from pim.products where sku = '{changed[0]}'"),
            product.GetProperty("ListPrice").GetDecimal());
    }

    private async Task<long> CountAsync(string query) =>
        (await office.GetAsync($"{Products}?{query}&$count=true&$top=0")).GetProperty("@odata.count").GetInt64();
}
