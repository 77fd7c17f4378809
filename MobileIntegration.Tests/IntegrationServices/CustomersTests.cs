using System.Net.Http.Json;
using System.Text.Json;
using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.IntegrationServices;

[Collection(nameof(BackOffice))]
public sealed class CustomersTests(BackOffice office)
{
    private readonly HttpClient _http = office.Integration.Http;

    [Fact]
    public async Task A_customer_is_what_the_crm_holds()
    {
        var crm = await office.Backends.Http.GetFromJsonAsync<JsonElement>("/crm/v1/customers/C-000123");

        var customer = await new CustomersClient(_http).GetAsync("C-000123", default);

        var primary = crm.GetProperty("addresses").EnumerateArray().Single(address => address.GetProperty("primary").GetBoolean());
        Assert.Equal("C-000123", customer!.Id);
        Assert.Equal(crm.GetProperty("name").GetProperty("given").GetString(), customer.GivenName);
        Assert.Equal(crm.GetProperty("name").GetProperty("family").GetString(), customer.FamilyName);
        Assert.Equal(crm.GetProperty("email").GetString(), customer.Email);
        Assert.Equal(crm.GetProperty("phone").GetString(), customer.Phone);
        Assert.Equal(crm.GetProperty("language").GetString(), customer.Language);
        Assert.Equal(crm.GetProperty("loyalty").GetProperty("tier").GetString(), customer.Loyalty.Tier.ToString().ToUpperInvariant());
        Assert.Equal(crm.GetProperty("loyalty").GetProperty("points").GetInt32(), customer.Loyalty.Points);
        Assert.Equal(crm.GetProperty("preferences").GetProperty("favouriteStore").GetString(), customer.FavouriteStoreId);
        Assert.Equal(crm.GetProperty("addresses").GetArrayLength(), customer.Addresses.Count);
        Assert.Equal($"{primary.GetProperty("street").GetString()} {primary.GetProperty("houseNumber").GetString()}", customer.Addresses[0].Street);
        Assert.Equal(primary.GetProperty("city").GetString(), customer.Addresses[0].City);
        Assert.Equal(primary.GetProperty("latitude").GetDouble(), customer.Addresses[0].Position!.Latitude);
    }

    [Fact]
    public async Task A_batch_leaves_out_who_is_unknown()
    {
        var customers = await _http.GetFromJsonAsync<JsonElement>("/customers?ids=C-000002,C-009999,C-000001,C-000001");
        Assert.Equal(["C-000001", "C-000002"], customers.EnumerateArray().Select(customer => customer.GetProperty("id").GetString()));
    }

    [Fact]
    public async Task An_unknown_customer_is_a_404() => await (await _http.GetAsync("/customers/C-009999")).ProblemAsync(404);

    [Theory]
    [InlineData("/customers/123", "id")]
    [InlineData("/customers/C-00012x", "id")]
    [InlineData("/customers/C-000001'--", "id")]
    [InlineData("/customers", "ids")]
    [InlineData("/customers?ids=", "ids")]
    [InlineData("/customers?ids=C-000001,%3Cscript%3E", "ids")]
    public async Task A_malformed_id_is_named(string path, string field)
    {
        var problem = await (await _http.GetAsync(path)).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _));
    }

    [Fact]
    public async Task More_than_a_hundred_ids_are_refused()
    {
        var ids = string.Join(',', Enumerable.Range(1, 101).Select(number => $"C-{number:000000}"));
        var problem = await (await _http.GetAsync($"/customers?ids={ids}")).ProblemAsync(400);
        Assert.Contains("101", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }
}
