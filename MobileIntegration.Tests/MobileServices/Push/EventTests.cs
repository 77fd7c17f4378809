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

    private static async Task PublishAsync(string database, long version, OrderStatus status, OrderStatus previous)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await transaction.PublishAsync(
            [NewEvent.Of(OrderChanged.SubjectOf("4500001234"), version, DateTimeOffset.UtcNow, new OrderChanged("4500001234", "C-000123", status, previous))], CancellationToken.None);
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
