using System.Text.Json.Nodes;
using Dapper;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using MobileServices.Sync;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>The back office, the integration services, and two replicas of sync whose databases <c>orders</c> are bound to them.</summary>
public sealed class BoundService : IAsyncLifetime
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private int _customers = 2000;

    internal BackOffice Office { get; } = new();

    internal string Database { get; private set; } = "";

    internal TestService<SyncOptions> One { get; private set; } = null!;

    internal TestService<SyncOptions> Other { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        await Office.InitializeAsync();
        Database = await TestPostgres.CreateDatabaseAsync();
        One = new(Settings(Database, Office.IntegrationDatabase, Office.Integration.Address));
        Other = new(Settings(Database, Office.IntegrationDatabase, Office.Integration.Address));
        await using var integration = new NpgsqlConnection(Office.IntegrationDatabase);
        await Eventually.TrueAsync(async () => await integration.ExecuteScalarAsync<long>("select count(*) from events.subscription where name = 'sync'") is 1, Patience);
    }

    public async Task DisposeAsync()
    {
        await One.DisposeAsync();
        await Other.DisposeAsync();
        await Office.DisposeAsync();
    }

    internal static (string Key, string Value)[] Settings(string database, string integration, Uri orders) =>
    [
        ("Run", "sync"), ("ConnectionStrings:mobiledb", database), ("ConnectionStrings:integrationdb", integration), ("Sync:Bound:orders:Source", "orders"),
        ("Sync:Integration:TokenAddress", $"{TestAuthority.Shared.Address}/token"), ("Sync:Integration:ClientId", "service"), ("Sync:Integration:ClientSecret", TestAuthority.Secret),
        ("Sync:Integration:LeaseSeconds", "2"), ("Sync:Integration:LongestRetrySeconds", "1"), ("Events:LongestRetrySeconds", "1"), TestServices.At("orders", orders),
    ];

    /// <summary>One that no other test uses.</summary>
    internal string NewCustomer() => $"C-{Interlocked.Increment(ref _customers):000000}";

    /// <summary>A phone of a customer.</summary>
    internal SyncClient PhoneOf(string customer, string client = "app", string scope = $"{Scopes.Sync} {Scopes.Orders}", Uri? address = null) =>
        new(new Uri(address ?? One.Address, "/sync/"), Token(customer, client, scope));

    internal static string Token(string? customer, string client = "app", string scope = $"{Scopes.Sync} {Scopes.Orders}") => TestAuthority.Shared.Token(scope, token =>
    {
        token.Claims["sub"] = $"user of {customer}";
        token.Claims["client_id"] = client;
        if (customer is not null)
        {
            token.Claims["customer"] = customer;
        }
    });

    /// <summary>What an app writes to have an article ordered that is for sale and there.</summary>
    internal async Task<JsonObject> DraftAsync(int quantity = 1)
    {
        await using var pim = new NpgsqlConnection(Office.BackendDatabase);
        var active = (await pim.QueryAsync<string>("select sku from pim.products where active order by random() limit 200")).ToArray();
        await using var wms = new NpgsqlConnection(Office.WmsDatabase + ";Pooling=false");
        var article = await wms.QueryFirstAsync<string>(
            "select art_no from wms.art_bal_t where whs_cd = 'W05' and art_no = any(@active) and st_cd = 'A' and qty_oh - qty_rsv > 2", new { active });
        return new()
        {
            ["storeId"] = "W05",
            ["shipTo"] = new JsonObject { ["name"] = "Ada Müller", ["street"] = "Ring 1", ["postcode"] = "10115", ["city"] = "Berlin", ["country"] = "DE" },
            ["lines"] = new JsonArray(new JsonObject { ["productId"] = article, ["quantity"] = quantity }),
        };
    }

    /// <summary>Waits until a document is as it should be.</summary>
    internal static async Task<JsonNode> UntilAsync(SyncClient phone, string id, Func<JsonNode, bool> condition)
    {
        JsonNode? last = null;
        try
        {
            await Eventually.TrueAsync(async () =>
            {
                using var response = await phone.Http.GetAsync($"orders/{Uri.EscapeDataString(id)}?conflicts=true&revs=true");
                last = JsonNode.Parse(await response.Content.ReadAsStringAsync());
                return response.IsSuccessStatusCode && condition(last!);
            }, Patience);
        }
        catch (Xunit.Sdk.XunitException exception)
        {
            Assert.Fail($"{exception.Message} The document {id} is {last}.");
        }
        return last!;
    }

    /// <summary>A new order of the customer, by a phone; returns its document as the Erp has it.</summary>
    internal async Task<JsonNode> PlacedAsync(SyncClient phone, string id)
    {
        await phone.PutAsync($"orders/{id}", (await DraftAsync()).ToJsonString());
        return await UntilAsync(phone, id, order => (string?)order["status"] == "open");
    }

    /// <summary>Something happens to an order in the Erp itself, at its counter.</summary>
    internal async Task<int> ChangeInErpAsync(string orderId, string status)
    {
        await using var erp = new NpgsqlConnection(Office.BackendDatabase);
        return await erp.ExecuteScalarAsync<int>(
            "update erp.orders set status = @status, revision = revision + 1, changed_at = now() where order_no = @number returning revision", new { status, number = long.Parse(orderId, null) });
    }

    internal async Task TellAsync(string orderId, string customer, long version, OrderStatus status)
    {
        await using var connection = new NpgsqlConnection(Office.IntegrationDatabase);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await transaction.PublishAsync([NewEvent.Of(OrderChanged.SubjectOf(orderId), version, DateTimeOffset.UtcNow, new OrderChanged(orderId, customer, status))], default);
        await transaction.CommitAsync();
    }

    internal async Task<long> ErpOrdersAsync(string customer)
    {
        await using var erp = new NpgsqlConnection(Office.BackendDatabase);
        return await erp.ExecuteScalarAsync<long>("select count(*) from erp.orders where customer_no = @number", new { number = int.Parse(customer.AsSpan(2), null) });
    }

    internal async Task<long> CountAsync(string sql, object parameters)
    {
        await using var connection = new NpgsqlConnection(Database);
        return await connection.ExecuteScalarAsync<long>(sql, parameters);
    }
}
