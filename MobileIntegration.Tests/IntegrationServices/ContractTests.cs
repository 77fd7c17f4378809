using System.Net.Http.Json;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>Records that changed behind the contract's back.</summary>
[Collection(nameof(BackOffice))]
public sealed class ContractTests(BackOffice office)
{
    [Fact]
    public async Task A_customer_without_a_required_field_is_a_502_that_names_system_record_and_field()
    {
        await using var database = new NpgsqlConnection(office.BackendDatabase);
        await database.ExecuteAsync("update crm.customers set fields = fields - 'email' where customer_no = 4711");

        var problem = await (await office.Integration.Http.GetAsync("/customers/C-004711")).ProblemAsync(502);

        Assert.StartsWith("crm answered customer C-004711 whose email is missing.", problem.GetProperty("detail").GetString(), StringComparison.OrdinalIgnoreCase);
        Assert.Equal("crm", problem.GetProperty("system").GetString());
    }

    [Fact]
    public async Task A_field_that_nobody_knows_is_ignored()
    {
        await using var database = new NpgsqlConnection(office.BackendDatabase);
        await database.ExecuteAsync("""update crm.customers set fields = fields || '{"shoeSize": 44}' where customer_no = 4712""");
        (await office.Integration.Http.GetAsync("/customers/C-004712")).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task A_status_that_the_model_does_not_have_is_a_502()
    {
        await using var database = new NpgsqlConnection(office.BackendDatabase);
        await database.ExecuteAsync("alter table erp.orders drop constraint orders_status_check; update erp.orders set status = 'LOST' where order_no = 4500000007");
        var problem = await (await office.Integration.Http.GetAsync("/orders/4500000007")).ProblemAsync(502);
        Assert.StartsWith("erp answered order 4500000007 whose Status is 'LOST'.", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_openapi_document_lists_every_route()
    {
        var document = await office.Integration.Http.GetFromJsonAsync<System.Text.Json.JsonElement>("/openapi/v1.json");
        Assert.Equal(
            [
                "/categories", "/changes", "/changes/dead-letters", "/changes/dead-letters/{subscription}/{id}/discard", "/changes/dead-letters/{subscription}/{id}/replay",
                "/changes/set-aside", "/changes/set-aside/{id}/discard", "/changes/set-aside/{id}/replay", "/changes/subscriptions/{name}",
                "/commands", "/commands/{id}", "/commands/{id}/discard", "/commands/{id}/replay", "/customers", "/customers/commands/{id}", "/customers/search", "/customers/{id}",
                "/customers/{id}/addresses/{type}",
                "/orders", "/orders/changes", "/orders/commands/{id}", "/orders/history", "/orders/{id}", "/orders/{id}/cancel",
                "/products", "/products/changes", "/products/prices", "/products/search", "/products/suggestions", "/products/{id}", "/stock", "/stores",
            ],
            document.GetProperty("paths").EnumerateObject().Select(path => path.Name).Order(StringComparer.Ordinal));
        Assert.All(
            document.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject()),
            operation => Assert.NotEqual("", operation.Value.GetProperty("summary").GetString()));
    }
}
