using System.Text.Json.Nodes;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileServices.Sync;
using static MobileIntegration.Tests.MobileServices.Sync.BoundService;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>A database that shows a customer's orders: what the Erp says comes into it, and what phones write goes to the Erp.</summary>
public sealed class BoundTests(BoundService service) : IClassFixture<BoundService>
{
    private const string Changes = "select count(*) from sync.bound_change c join sync.bound b on b.db_id = c.db_id where b.customer_id = @customer";

    [Fact]
    public async Task The_orders_of_the_customer_are_there_once_the_database_is_opened_and_those_of_nobody_else()
    {
        const string Customer = "C-000042";
        var orders = new OrdersClient(service.Office.Integration.Http);
        var known = await orders.GetHistoryAsync(Customer, "100", null, default);
        Assert.NotEmpty(known.Items);
        using var phone = service.PhoneOf(Customer);

        await phone.GetAsync("orders");

        await Eventually.HoldsAsync(async () => Assert.Equal(known.Items.Count, (int)(await phone.GetAsync("orders"))["doc_count"]!), Patience);
        foreach (var summary in known.Items)
        {
            var order = (await orders.GetAsync(summary.Id, default))!;
            var document = await phone.GetAsync($"orders/order:{summary.Id}");
            Assert.Equal((order.Id, order.CustomerId, order.Status.ToString().ToLowerInvariant()), ((string?)document["id"], (string?)document["customerId"], (string?)document["status"]));
            Assert.Equal(order.Lines.Select(line => (line.ProductId, line.Total.MinorUnits)), document["lines"]!.AsArray().Select(line => ((string)line!["productId"]!, (long)line["total"]!["minorUnits"]!)));
            Assert.Equal(order.Revision, (int)document["revision"]!);
        }
        Assert.Equal(0, await service.CountAsync(Changes, new { customer = Customer }));
    }

    [Fact]
    public async Task Only_a_token_that_may_see_the_orders_opens_it_and_nobody_deletes_it()
    {
        var customer = service.NewCustomer();
        using var none = service.PhoneOf(customer, scope: Scopes.Sync);
        Assert.Contains("'orders'", (string)(await none.GetAsync("orders", 403))["reason"]!, StringComparison.Ordinal);
        using var nobody = new SyncClient(new(service.One.Address, "/sync/"), Token(null));
        Assert.Contains("customer", (string)(await nobody.PutAsync("orders/a", "{}", 403))["reason"]!, StringComparison.Ordinal);
        using var phone = service.PhoneOf(customer);
        await phone.PutAsync("orders", null, 412);
        await phone.DeleteAsync("orders", 403);
        // The same user's account is linked to another customer.
        using var linked = new SyncClient(new(service.Other.Address, "/sync/"), TestAuthority.Shared.Token($"{Scopes.Sync} {Scopes.Orders}", token =>
            (token.Claims["sub"], token.Claims["client_id"], token.Claims["customer"]) = ($"user of {customer}", "app", service.NewCustomer())));
        Assert.Contains("another customer", (string)(await linked.GetAsync("orders/_all_docs", 403))["reason"]!, StringComparison.Ordinal);
        // Any other database is as it was.
        await none.PutAsync("notes");
        await none.DeleteAsync("notes");
    }

    [Fact]
    public async Task A_new_document_is_placed_once_and_becomes_the_Erps_order_in_every_app_of_the_customer()
    {
        var customer = service.NewCustomer();
        var before = await service.ErpOrdersAsync(customer);
        using var phone = service.PhoneOf(customer);
        using var tablet = service.PhoneOf(customer, "other-app", address: service.Other.Address);
        await tablet.GetAsync("orders");
        var draft = await service.DraftAsync();

        await phone.PutAsync("orders/my-order", draft.ToJsonString());

        var placed = await UntilAsync(phone, "my-order", order => (string?)order["status"] == "open");
        Assert.Equal((string?)draft["lines"]![0]!["productId"], (string?)placed["lines"]![0]!["productId"]);
        Assert.Equal(2, placed["_revisions"]!["ids"]!.AsArray().Count);
        await UntilAsync(tablet, $"order:{placed["id"]}", order => (string?)order["status"] == "open");
        await Eventually.TrueAsync(async () => await service.CountAsync("select count(*) from sync.bound_read r join sync.bound b on b.db_id = r.db_id where r.order_id <> '' and b.customer_id = @customer", new { customer }) is 0, Patience);
        Assert.Equal(before + 1, await service.ErpOrdersAsync(customer));
        var there = (await phone.GetAsync("orders/_all_docs?include_docs=true"))["rows"]!.AsArray();
        Assert.Single(there, row => (string?)row!["doc"]!["id"] == (string?)placed["id"]);
    }

    [Fact]
    public async Task A_cancellation_goes_to_the_Erp_and_comes_back_and_what_the_Erp_wrote_is_not_sent_to_it_again()
    {
        var customer = service.NewCustomer();
        using var phone = service.PhoneOf(customer);
        var placed = (await service.PlacedAsync(phone, "mine")).AsObject();
        placed["cancelled"] = true;
        placed["cancelReason"] = "changed my mind";

        await phone.PutAsync("orders/mine", placed.ToJsonString());

        var cancelled = await UntilAsync(phone, "mine", order => (string?)order["status"] == "cancelled" && order["cancelled"] is null);
        Assert.Equal("changed my mind", (string?)cancelled["cancelReason"]);
        Assert.Equal(2, await service.CountAsync(Changes, new { customer }));
        // A phone has it all, and sends it back.
        var all = new JsonObject { ["new_edits"] = false, ["docs"] = new JsonArray((await phone.GetAsync("orders/mine?revs=true")).DeepClone()) };
        await phone.PostAsync("orders/_bulk_docs", all.ToJsonString(), 201);
        Assert.Equal((string?)cancelled["_rev"], (string?)(await phone.GetAsync("orders/mine"))["_rev"]);
        Assert.Equal(2, await service.CountAsync(Changes, new { customer }));
    }

    [Fact]
    public async Task Events_that_come_twice_or_late_neither_double_nor_reverse_anything()
    {
        var customer = service.NewCustomer();
        using var phone = service.PhoneOf(customer);
        var placed = await service.PlacedAsync(phone, "mine");
        var id = (string)placed["id"]!;
        var picked = await service.ChangeInErpAsync(id, "PICKED");
        var shipped = await service.ChangeInErpAsync(id, "SHIPPED");

        await service.TellAsync(id, customer, shipped, OrderStatus.Shipped);
        var now = await UntilAsync(phone, "mine", order => (string?)order["status"] == "shipped");
        await using (var connection = new Npgsql.NpgsqlConnection(service.Database))
        {
            // As if the earlier ones came now: the outbox itself tells no version twice.
            await Dapper.SqlMapper.ExecuteAsync(connection, "insert into sync.bound_read (db_id, order_id, wanted) select db_id, @id, @picked from sync.bound where customer_id = @customer on conflict do nothing", new { id, picked, customer });
        }
        await Eventually.TrueAsync(async () => await service.CountAsync("select count(*) from sync.bound_read where order_id = @id", new { id }) is 0, Patience);

        Assert.Equal((string?)now["_rev"], (string?)(await phone.GetAsync("orders/mine"))["_rev"]);
        Assert.Equal(shipped, (int)now["revision"]!);
    }

    [Fact]
    public async Task An_event_for_a_customer_without_a_database_holds_nobody_up()
    {
        var (customer, other) = (service.NewCustomer(), service.NewCustomer());
        using var phone = service.PhoneOf(other);
        var placed = await service.PlacedAsync(phone, "mine");
        await service.TellAsync("4500999999", customer, 1, OrderStatus.Open);
        var id = (string)placed["id"]!;
        await service.TellAsync(id, other, await service.ChangeInErpAsync(id, "PICKED"), OrderStatus.Picked);

        await UntilAsync(phone, "mine", order => (string?)order["status"] == "picked");

        Assert.Equal(0, await service.CountAsync("select count(*) from sync.bound_read where order_id = '4500999999'", new { }));
    }

    public static TheoryData<string, string, string> Wrong => new()
    {
        { "a", """{"status":7,"lines":"no"}""", "invalid-order" },
        { "b", """{}""", "invalid-order" },
        { "c", """{"storeId":"W05","shipTo":null,"lines":[],"x\u0000":"\ud800"}""", "invalid-order" },
        { "d", """{"storeId":"W99","shipTo":{"name":"A","street":"B","postcode":"1","city":"C","country":"DE"},"lines":[{"productId":"100001","quantity":0}]}""", "invalid-order" },
        { "e", """{"customerId":"C-000001","storeId":"W05","shipTo":{"name":"A","street":"B","postcode":"1","city":"C","country":"DE"},"lines":[{"productId":"100001","quantity":1}]}""", "another-customer" },
        { "order:4500000001", """{"cancelled":true}""", "unknown-order" },
        { "order:mine", """{"storeId":"W05"}""", "unknown-order" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task What_is_no_order_of_the_customer_is_refused_in_the_document_itself_and_holds_nothing_up(string id, string body, string code)
    {
        var customer = service.NewCustomer();
        using var phone = service.PhoneOf(customer);
        var rev = (string)(await phone.PutAsync($"orders/{Uri.EscapeDataString(id)}", body))["rev"]!;
        await phone.PutAsync("orders/good", (await service.DraftAsync()).ToJsonString());

        var refused = await UntilAsync(phone, id, order => order["problem"] is not null);

        Assert.Equal(("refused", code, rev), ((string?)refused["status"], (string?)refused["problem"]!["code"], (string?)refused["problem"]!["rev"]));
        Assert.NotEmpty((string)refused["problem"]!["detail"]!);
        await UntilAsync(phone, "good", order => (string?)order["status"] == "open");
        await using var integration = new Npgsql.NpgsqlConnection(service.Office.IntegrationDatabase);
        Assert.Equal(1, await Dapper.SqlMapper.ExecuteScalarAsync<long>(integration, "select count(*) from commands.command where body ->> 'customerId' = @customer", new { customer }));
    }

    [Fact]
    public async Task An_order_that_integration_refuses_is_mended_by_the_phone_and_placed()
    {
        var customer = service.NewCustomer();
        using var phone = service.PhoneOf(customer);
        var draft = await service.DraftAsync(quantity: 9999);
        await phone.PutAsync("orders/mine", draft.ToJsonString());
        var refused = (await UntilAsync(phone, "mine", order => (string?)order["status"] == "refused")).AsObject();
        Assert.Equal("out-of-stock", (string?)refused["problem"]!["code"]);

        draft["lines"]![0]!["quantity"] = 1;
        draft["_rev"] = (string?)refused["_rev"];
        await phone.PutAsync("orders/mine", draft.ToJsonString());

        var placed = await UntilAsync(phone, "mine", order => (string?)order["status"] == "open");
        Assert.Null(placed["problem"]);
    }

    [Fact]
    public async Task A_changed_field_of_the_Erp_is_taken_back_with_a_reason_and_so_is_a_deletion()
    {
        var customer = service.NewCustomer();
        using var phone = service.PhoneOf(customer);
        var placed = (await service.PlacedAsync(phone, "mine")).AsObject();
        var total = (long)placed["total"]!["minorUnits"]!;
        placed["total"]!["minorUnits"] = 1;
        placed["note"] = "cheap";
        await phone.PutAsync("orders/mine", placed.ToJsonString());

        var refused = await UntilAsync(phone, "mine", order => order["problem"] is not null);
        Assert.Equal(("read-only", total, "open"), ((string?)refused["problem"]!["code"], (long)refused["total"]!["minorUnits"]!, (string?)refused["status"]));
        Assert.Contains("note, total", (string?)refused["problem"]!["detail"], StringComparison.Ordinal);

        // The phone takes note.
        refused.AsObject().Remove("problem");
        await phone.PutAsync("orders/mine", refused.ToJsonString());
        await Eventually.TrueAsync(async () => await service.CountAsync($"{Changes} and c.state = 'done'", new { customer }) is 2, Patience);
        var before = (await phone.GetAsync("orders/mine"))["_rev"];
        Assert.Null((await phone.GetAsync("orders/mine"))["problem"]);
        await phone.DeleteAsync($"orders/mine?rev={before}");
        var back = await UntilAsync(phone, "mine", order => (string?)order["status"] == "open");
        Assert.Equal(total, (long)back["total"]!["minorUnits"]!);
    }

    [Fact]
    public async Task Two_phones_that_cancel_and_edit_at_once_end_with_one_order_and_both_have_their_answer()
    {
        var customer = service.NewCustomer();
        using var phone = service.PhoneOf(customer);
        using var tablet = service.PhoneOf(customer, address: service.Other.Address);
        var placed = await service.PlacedAsync(phone, "mine");

        await Task.WhenAll(
            PushAsync(phone, "aa", order => order["cancelled"] = true),
            PushAsync(tablet, "ff", order => order["storeId"] = "W01"),
            PushAsync(phone, "bb", order => order["status"] = "cancelled"));

        var ended = await UntilAsync(phone, "mine", order => (string?)order["status"] == "cancelled" && order["problem"] is not null && order["_conflicts"] is null);
        Assert.Equal("read-only", (string?)ended["problem"]!["code"]);
        Assert.Equal("W05", (string?)ended["storeId"]);
        await Eventually.TrueAsync(async () => await service.CountAsync($"{Changes} and c.state in ('waiting', 'sent')", new { customer }) is 0, Patience);
        Assert.Equal(1, await service.CountAsync($"{Changes} and c.state = 'refused'", new { customer }));

        Task PushAsync(SyncClient client, string hash, Action<JsonObject> change)
        {
            var order = placed.DeepClone().AsObject();
            change(order);
            var start = (int)order["_revisions"]!["start"]!;
            var ids = order["_revisions"]!["ids"]!.AsArray();
            ids.Insert(0, hash);
            order["_revisions"]!["start"] = start + 1;
            order["_rev"] = $"{start + 1}-{hash}";
            return client.PostAsync("orders/_bulk_docs", new JsonObject { ["new_edits"] = false, ["docs"] = new JsonArray(order) }.ToJsonString(), 201);
        }
    }

    [Fact]
    public async Task While_the_Erp_is_away_changes_wait_and_are_done_once_when_it_is_back()
    {
        var customer = service.NewCustomer();
        var before = await service.ErpOrdersAsync(customer);
        using var phone = service.PhoneOf(customer);
        await phone.GetAsync("orders");
        await service.Office.WithFaultAsync("erp", new { outage = true }, async () =>
        {
            await phone.PutAsync("orders/mine", (await service.DraftAsync()).ToJsonString());
            await Eventually.TrueAsync(async () => await service.CountAsync($"{Changes} and c.state = 'sent'", new { customer }) is 1, Patience);
            Assert.Null((await phone.GetAsync("orders/mine"))["status"]);
        });

        await UntilAsync(phone, "mine", order => (string?)order["status"] == "open");

        Assert.Equal(before + 1, await service.ErpOrdersAsync(customer));
    }

    [Fact]
    public async Task While_integration_is_away_operators_see_why_and_everything_is_done_when_it_is_back()
    {
        var database = await TestPostgres.CreateDatabaseAsync();
        var port = TestServices.FreePort();
        await using var alone = new TestService<SyncOptions>(Settings(database, service.Office.IntegrationDatabase, new($"http://127.0.0.1:{port}")));
        var customer = service.NewCustomer();
        using var phone = service.PhoneOf(customer, address: alone.Address);
        await phone.PutAsync("orders/mine", (await service.DraftAsync()).ToJsonString());
        using var operators = new SyncClient(new(alone.Address, "/sync/"), TestAuthority.AllScopes);

        await Eventually.HoldsAsync(async () =>
        {
            var failing = await operators.GetAsync("_bound");
            var change = Assert.Single(failing["changes"]!.AsArray())!;
            Assert.Equal(("mine", customer, "waiting", "orders"), ((string?)change["document"], (string?)change["customer"], (string?)change["state"], (string?)change["database"]));
            Assert.Contains($"127.0.0.1:{port}", (string?)change["reason"], StringComparison.Ordinal);
            Assert.NotEmpty((string)Assert.Single(failing["reads"]!.AsArray())!["reason"]!);
        }, Patience);
        using (var refused = await phone.Http.GetAsync("_bound"))
        {
            Assert.Equal(403, (int)refused.StatusCode);
        }

        await using var integration = new TestService<global::IntegrationServices.Customers.Crm>(
            port, ("Run", "orders"), ("ConnectionStrings:wmsdb", service.Office.WmsDatabase), ("ConnectionStrings:integrationdb", service.Office.IntegrationDatabase),
            TestServices.At("erp", service.Office.Backends.Address), TestServices.At("pim", service.Office.Backends.Address));
        await UntilAsync(phone, "mine", order => (string?)order["status"] == "open");
        await Eventually.HoldsAsync(async () => Assert.Empty((await operators.GetAsync("_bound"))["changes"]!.AsArray()), Patience);
        // The Erp's order may be shown before the command's answer is here.
        await Eventually.HoldsAsync(async () => Assert.Equal("done", (string?)Assert.Single((await operators.GetAsync("_bound?state=done"))["changes"]!.AsArray())!["state"]), Patience);
        await operators.PostAsync("_bound/987654321/replay", "", 404);
    }

    [Fact]
    public async Task An_operator_has_a_refused_change_sent_again()
    {
        var customer = service.NewCustomer();
        using var phone = service.PhoneOf(customer);
        var draft = await service.DraftAsync();
        var sku = (string)draft["lines"]![0]!["productId"]!;
        await using var pim = new Npgsql.NpgsqlConnection(service.Office.BackendDatabase);
        await Dapper.SqlMapper.ExecuteAsync(pim, "update pim.products set active = false where sku = @sku", new { sku });
        await phone.PutAsync("orders/mine", draft.ToJsonString());
        var refused = await UntilAsync(phone, "mine", order => (string?)order["status"] == "refused");
        Assert.Equal("not-for-sale", (string?)refused["problem"]!["code"]);
        await Dapper.SqlMapper.ExecuteAsync(pim, "update pim.products set active = true where sku = @sku", new { sku });
        using var operators = new SyncClient(new(service.One.Address, "/sync/"), TestAuthority.AllScopes);
        var listed = (await operators.GetAsync("_bound?state=refused&limit=100"))["changes"]!.AsArray();
        var id = (long)Assert.Single(listed, change => (string?)change!["customer"] == customer)!["id"]!;

        await operators.PostAsync($"_bound/{id}/replay", "");

        await UntilAsync(phone, "mine", order => (string?)order["status"] == "open");
        await Eventually.HoldsAsync(async () => await operators.PostAsync($"_bound/{id}/replay", "", 409), Patience);
    }
}
