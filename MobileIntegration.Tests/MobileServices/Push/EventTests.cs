using System.Net.Http.Json;
using System.Text.Json;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What is told without anybody sending a message.</summary>
public sealed class EventTests(PushService service) : IClassFixture<PushService>
{
    [Fact]
    public async Task An_order_that_ships_is_told_to_its_customer_once_by_the_apps_template_or_ours()
    {
        var told = new PushService { More = [("ConnectionStrings:integrationdb", await TestPostgres.CreateDatabaseAsync())] };
        await told.InitializeAsync();
        try
        {
            var integration = told.More[0].Value;
            var app = await told.NewReadyAppAsync();
            var other = await told.NewReadyAppAsync();
            var english = await told.DeviceAsync(app, "apns", customer: "C-000123");
            var german = await told.DeviceAsync(other, "apns", customer: "C-000123", locale: "de-AT");
            var stranger = await told.DeviceAsync(app, "apns", user: "eve", customer: "C-000999");
            await told.PutAsync($"/push/apps/{app}/templates/order.shipped", new { title = "{{orderId}} is coming" });
            await Eventually.TrueAsync(async () => await CountAsync(integration, "select count(*) from events.subscription where name = 'push'") is 1, PushService.Patience);

            await PublishAsync(integration, 1, OrderStatus.Picked, OrderStatus.Open);
            await PublishAsync(integration, 2, OrderStatus.Shipped, OrderStatus.Picked);

            await Eventually.TrueAsync(() => told.Apns.Count(english.Address) > 0 && told.Apns.Count(german.Address) > 0, PushService.Patience);
            await PublishAsync(integration, 3, OrderStatus.Delivered, OrderStatus.Shipped);
            await Eventually.TrueAsync(() => told.Apns.Count(english.Address) is 2 && told.Apns.Count(german.Address) is 2, PushService.Patience);
            Assert.Equal(["4500001234 is coming", "Your order has arrived"], Titles(english));
            Assert.Equal(["Ihre Bestellung wurde versandt", "Ihre Bestellung ist angekommen"], Titles(german));
            Assert.Equal(0, told.Apns.Count(stranger.Address));

            string[] Titles(TestDevice device) =>
            [
                .. told.Apns.Journal.Where(pushed => pushed.Address == device.Address).Select(pushed =>
                    JsonDocument.Parse(pushed.Body).RootElement.GetProperty("aps").GetProperty("alert").Text("title")),
            ];
        }
        finally
        {
            await told.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_new_price_is_told_to_who_follows_the_product_and_a_changed_customer_wakes_his_devices()
    {
        var told = new PushService { More = [("ConnectionStrings:integrationdb", await TestPostgres.CreateDatabaseAsync())] };
        await told.InitializeAsync();
        try
        {
            var integration = told.More[0].Value;
            var app = await told.NewReadyAppAsync();
            var follower = await told.DeviceAsync(app, customer: "C-000123", tags: ["price:P-0001"]);
            var customer = await told.DeviceAsync(app, "apns", customer: "C-000456", tags: ["price:P-0002"]);
            await told.PutAsync($"/push/apps/{app}/templates/price.changed", new { title = "{{productId}} is now {{price}} {{currency}}" });
            await Eventually.TrueAsync(async () => await CountAsync(integration, "select count(*) from events.subscription where name = 'push'") is 1, PushService.Patience);

            await PublishAsync(integration, NewEvent.Of(PriceChanged.SubjectOf("P-0001"), 1, DateTimeOffset.UtcNow, new PriceChanged("P-0001", new("EUR", 1999), null)));
            await PublishAsync(integration, NewEvent.Of(CustomerChanged.SubjectOf("C-000456"), 1, DateTimeOffset.UtcNow, new CustomerChanged("C-000456", ["addresses", "name"])));

            await Eventually.TrueAsync(() => told.Fcm.Count(follower.Address) is 1 && told.Apns.Count(customer.Address) is 1, PushService.Patience);
            var price = JsonDocument.Parse(Assert.Single(told.Fcm.Journal, pushed => pushed.Address == follower.Address).Body).RootElement.GetProperty("message");
            Assert.Equal("P-0001 is now 19.99 EUR", price.GetProperty("notification").Text("title"));
            Assert.Equal(("price.changed", "P-0001"), (price.GetProperty("data").Text("event"), price.GetProperty("data").Text("productId")));
            var silent = Assert.Single(told.Apns.Journal, pushed => pushed.Address == customer.Address);
            Assert.Equal("background", silent.Headers["apns-push-type"]);
            Assert.Equal("addresses,name", JsonDocument.Parse(silent.Body).RootElement.Text("changed"));
        }
        finally
        {
            await told.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_change_wakes_the_users_other_devices_up_once_for_all_changes_of_a_moment()
    {
        var app = await service.NewReadyAppAsync();
        var user = $"sync{Guid.NewGuid():N}";
        var cause = await service.DeviceAsync(app, "fcm", user);
        var phone = await service.DeviceAsync(app, "fcm", user);
        var tablet = await service.DeviceAsync(app, "apns", user);
        var stranger = await service.DeviceAsync(app, "fcm", "eve");

        await Task.WhenAll(WakeAsync("orders"), WakeAsync("basket", "orders"), WakeAsync("profile"));
        await Eventually.TrueAsync(() => service.Fcm.Count(phone.Address) > 0 && service.Apns.Count(tablet.Address) > 0, PushService.Patience);
        await Eventually.TrueAsync(async () => await PendingAsync() is 0, PushService.Patience);

        var woken = Assert.Single(service.Fcm.Journal, pushed => pushed.Address == phone.Address);
        var message = JsonDocument.Parse(woken.Body).RootElement.GetProperty("message");
        Assert.False(message.TryGetProperty("notification", out _));
        Assert.Equal("""["basket","orders","profile"]""", message.GetProperty("data").Text("changed"));
        var silent = Assert.Single(service.Apns.Journal, pushed => pushed.Address == tablet.Address);
        Assert.Equal(("background", "5"), (silent.Headers["apns-push-type"], silent.Headers["apns-priority"]));
        Assert.Equal((0, 0), (service.Fcm.Count(cause.Address), service.Fcm.Count(stranger.Address)));

        await WakeAsync("orders");
        await Eventually.TrueAsync(() => service.Fcm.Count(phone.Address) is 2, PushService.Patience);

        using var wrong = await service.Http.PostAsJsonAsync("/push/wakeups", new { app, users = Array.Empty<string>(), changed = new[] { "all data" } });
        Assert.Equal(["changed", "users"], (await wrong.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name).Order());

        async Task WakeAsync(params string[] changed)
        {
            using var answer = await service.Http.PostAsJsonAsync("/push/wakeups", new { app, users = new[] { user }, exceptDevice = cause.Id, changed });
            Assert.Equal(202, (int)answer.StatusCode);
            Assert.Equal(2, (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("devices").GetInt32());
        }

        Task<long> PendingAsync() => service.QueryAsync<long>(
            "select count(*) from push.delivery d join push.message m on m.id = d.message_id where m.app_id = @app and d.state in ('pending', 'sending')", ("app", app));
    }

    [Fact]
    public async Task A_device_that_is_removed_or_blocked_gets_nothing_any_more_and_what_waited_for_it_says_why()
    {
        var both = new PushService { More = [("Run", "push,devices")] };
        await both.InitializeAsync();
        try
        {
            var app = await both.NewReadyAppAsync();
            var (lost, removed, kept) = (await both.DeviceAsync(app), await both.DeviceAsync(app), await both.DeviceAsync(app));
            foreach (var device in new[] { lost, removed, kept })
            {
                using var put = await both.Http.PutAsJsonAsync($"/devices/{device.Id}", new
                {
                    appId = app,
                    appVersion = "1.0.0",
                    platform = "android",
                    osVersion = "16",
                    model = "Pixel 9",
                    locale = "en",
                    timeZone = "UTC",
                    pushAddresses = Array.Empty<object>(),
                });
                Assert.Equal(201, (int)put.StatusCode);
            }
            await Eventually.TrueAsync(async () => await CountAsync(both.Database, "select count(*) from events.subscription where name = 'push-devices'") is 1, PushService.Patience);
            var held = await both.SendAsync(new { app, audience = "all", content = new { title = "Later" }, sendAtLocal = DateTime.UtcNow.AddHours(2).ToString("s") });
            await Eventually.TrueAsync(async () => PushService.Counts(await both.StateAsync(held)).GetValueOrDefault("pending") is 3, PushService.Patience);

            using (var answer = await both.Http.PutAsJsonAsync($"/devices/admin/devices/{lost.Id}/block", new { reason = "lost" }))
            {
                Assert.Equal(204, (int)answer.StatusCode);
            }
            using (var answer = await both.Http.DeleteAsync($"/devices/{removed.Id}"))
            {
                Assert.Equal(204, (int)answer.StatusCode);
            }

            await Eventually.TrueAsync(async () => PushService.Counts(await both.StateAsync(held)).GetValueOrDefault("dead") is 2, PushService.Patience);
            Assert.Equal(1, PushService.Counts(await both.StateAsync(held))["pending"]);
            foreach (var (device, why) in new[] { (lost, "the device was blocked: lost"), (removed, "the device was removed") })
            {
                var told = Assert.Single((await both.ExplainAsync(held, device.Id)).GetProperty("decisions").EnumerateArray(), decision => decision.Text("what") is "removed");
                Assert.Equal(why, told.Text("detail"));
            }
            Assert.Equal(new Dictionary<string, long> { ["accepted"] = 1 }, Some(await both.CompletedAsync(await both.SendAsync(new { app, audience = "all", content = new { title = "Now" } }))));

            // It comes back as any other.
            await both.RegisterAsync(removed);
            Assert.Equal(new Dictionary<string, long> { ["accepted"] = 2 }, Some(await both.CompletedAsync(await both.SendAsync(new { app, audience = "all", content = new { title = "Again" } }))));
            Assert.Equal((0, 1, 2), (both.Fcm.Count(lost.Address), both.Fcm.Count(removed.Address), both.Fcm.Count(kept.Address)));
        }
        finally
        {
            await both.DisposeAsync();
        }

        static Dictionary<string, long> Some(Dictionary<string, long> counts) => counts.Where(count => count.Value > 0).ToDictionary();
    }

    [Fact]
    public async Task What_became_of_a_message_is_told_to_the_journey_of_its_customer()
    {
        var both = new PushService { More = [("Run", "push,analytics"), ("Analytics:SmallestGroup", "1")] };
        await both.InitializeAsync();
        try
        {
            var app = await both.NewReadyAppAsync();
            var phone = await both.DeviceAsync(app, user: "ada", customer: "C-000123");
            var tablet = await both.DeviceAsync(app, "apns", user: "ada", customer: "C-000123");
            var other = await both.DeviceAsync(app, user: "bob");
            await Eventually.TrueAsync(async () => await CountAsync(both.Database, "select count(*) from events.subscription where name = 'analytics'") is 1, PushService.Patience);

            var message = await both.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
            await both.CompletedAsync(message);
            using (var wake = await both.Http.PostAsJsonAsync("/push/wakeups", new { app, users = new[] { "ada" }, changed = new[] { "orders" } }))
            {
                Assert.Equal(202, (int)wake.StatusCode);
            }
            await Eventually.TrueAsync(() => both.Fcm.Count(phone.Address) is 2, PushService.Patience);
            await ReceiptAsync(phone, "delivered");
            await ReceiptAsync(phone, "opened");
            await ReceiptAsync(tablet, "opened");
            await ReceiptAsync(tablet, "opened");

            await Eventually.TrueAsync(async () => await JourneyAsync() is [2, 1, 1, 0, 0], PushService.Patience);
            await Eventually.TrueAsync(async () => await CountAsync(both.Database, "select count(*) from events.delivery where status = 'due'") is 0, PushService.Patience);
            Assert.Equal(
                ["bob 1", "C-000123 1", "C-000123 1", "C-000123 2", "C-000123 2", "C-000123 3", "C-000123 3"],
                await both.QueryAsync<string[]>("select array_agg(user_id || ' ' || step order by user_id <> 'bob', step) from analytics.outcome"));
            Assert.Equal(1, both.Fcm.Count(other.Address));

            async Task ReceiptAsync(TestDevice device, string state)
            {
                using var http = both.ClientOf(device.User, device.Customer);
                using var answer = await http.PostAsJsonAsync($"/push/registrations/{device.Id}/receipts", new { messages = new[] { new { id = message, state } } });
                Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
            }
            async Task<List<long>> JourneyAsync() =>
                [.. (await both.Http.GetFromJsonAsync<JsonElement>("/analytics/journey?withinHours=24")).GetProperty("items").EnumerateArray().Select(step => step.GetProperty("people").GetInt64())];
        }
        finally
        {
            await both.DisposeAsync();
        }
    }

    private static Task PublishAsync(string database, long version, OrderStatus status, OrderStatus previous) => PublishAsync(
        database, NewEvent.Of(OrderChanged.SubjectOf("4500001234"), version, DateTimeOffset.UtcNow, new OrderChanged("4500001234", "C-000123", status, previous)));

    private static async Task PublishAsync(string database, NewEvent told)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await transaction.PublishAsync([told], CancellationToken.None);
        await transaction.CommitAsync();
    }

    private static async Task<long> CountAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
