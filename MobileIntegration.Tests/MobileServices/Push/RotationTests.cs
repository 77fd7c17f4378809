using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MobileServices.Push.Networks;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Addresses, users and credentials that change while messages wait or are under way.</summary>
public sealed class RotationTests(PushService service) : IClassFixture<PushService>
{
    private const string Denied = """{"error":{"code":403,"status":"PERMISSION_DENIED"}}""";

    [Fact]
    public async Task What_waits_goes_to_the_new_address_of_another_network_and_to_no_other()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "fcm");
        service.Fcm.Script(device.Address, FakeNetwork.Answer(503, null, ("Retry-After", "600")));
        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(message, device.Id)).Contains("waits"), PushService.Patience);
        var renewed = device with { Network = "apns", Address = PushService.ApnsToken() };

        await service.RegisterAsync(renewed);

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        Assert.Equal((1, 1), (service.Fcm.Count(device.Address), service.Apns.Count(renewed.Address)));
        Assert.Equal(0, service.Fcm.Count(renewed.Address));
        Assert.Equal("apns", await service.QueryAsync<string>("select network from push.registration where device_id = @device", ("device", device.Id)));
        Assert.Equal(["matched", "waits", "rotated", "accepted"], await service.DecisionsAsync(message, device.Id));
    }

    [Fact]
    public async Task What_was_put_back_for_a_network_that_the_device_has_left_goes_to_the_one_that_it_has()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "fcm");
        service.Fcm.Script(device.Address, FakeNetwork.Answer(503, null, ("Retry-After", "600")));
        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(message, device.Id)).Contains("waits"), PushService.Patience);
        var renewed = device with { Network = "apns", Address = PushService.ApnsToken() };

        // As when both were written at the same time, and neither saw the other.
        await service.QueryAsync<object>(
            """
            with moved as (update push.registration set network = 'apns', address = @address, address_hash = sha256(@address::bytea), host = '' where device_id = @device)
            update push.queue set due_at = now() where device_id = @device;
            select pg_notify('push_due', '');
            """, ("address", renewed.Address), ("device", device.Id));

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        Assert.Equal((1, 1, 0), (service.Fcm.Count(device.Address), service.Apns.Count(renewed.Address), service.Fcm.Count(renewed.Address)));
    }

    [Theory]
    [InlineData("user == ada", "dead")]
    [InlineData("offers && platform == android", "dead")]
    [InlineData("all", "accepted")]
    [InlineData("platform == android", "accepted")]
    public async Task What_waits_for_a_user_is_not_for_the_next_one_of_the_device(string audience, string expected)
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, user: "ada", tags: ["offers"]);
        service.Fcm.ScriptFirst(device.Address, 1, FakeNetwork.Answer(503, null, ("Retry-After", "2")));
        var message = await service.SendAsync(new { app, audience, content = new { title = "For Ada" } });
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(message, device.Id)).Contains("waits"), PushService.Patience);

        await service.RegisterAsync(device with { User = "eve" }, ["offers"]);

        Assert.Equal(1, (await service.CompletedAsync(message))[expected]);
        Assert.Equal(expected is "accepted" ? 2 : 1, service.Fcm.Count(device.Address));
        if (expected is "dead")
        {
            Assert.Contains("it was for a user who does not have the device any more", (await service.ExplainAsync(message, device.Id)).ToString(), StringComparison.Ordinal);
            // What is sent to her from now on is hers.
            Assert.Equal(1, (await service.CompletedAsync(await service.SendAsync(new { app, audience = "user == eve", content = new { title = "For Eve" } })))["accepted"]);
        }
    }

    [Fact]
    public async Task A_wake_up_of_the_next_user_is_not_lost_with_that_of_the_one_before()
    {
        var app = await service.NewReadyAppAsync();
        var (ada, eve) = ($"ada{Guid.NewGuid():N}", $"eve{Guid.NewGuid():N}");
        var device = await service.DeviceAsync(app, user: ada);
        service.Fcm.ScriptFirst(device.Address, 1, FakeNetwork.Answer(503, null, ("Retry-After", "2")));
        await WakeAsync(ada, "hers");
        await Eventually.TrueAsync(() => service.Fcm.Count(device.Address) is 1, PushService.Patience);
        await service.RegisterAsync(device with { User = eve });

        await WakeAsync(eve, "mine");

        await Eventually.TrueAsync(() => service.Fcm.Count(device.Address) is 2, PushService.Patience);
        var woken = JsonDocument.Parse(service.Fcm.Journal.Last(pushed => pushed.Address == device.Address).Body).RootElement.GetProperty("message");
        Assert.Equal("""["mine"]""", woken.GetProperty("data").Text("changed"));

        async Task WakeAsync(string user, string changed)
        {
            using var answer = await service.Http.PostAsJsonAsync("/push/wakeups", new { app, users = new[] { user }, changed = new[] { changed } });
            Assert.Equal(202, (int)answer.StatusCode);
        }
    }

    [Fact]
    public async Task What_the_network_says_of_the_credential_before_does_not_stop_the_new_one()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app);
        var release = new TaskCompletionSource();
        service.Fcm.ScriptFirst(device.Address, 1, async (http, number) =>
        {
            await release.Task;
            await Raw(403, Denied)(http, number);
        });
        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        await Eventually.TrueAsync(() => service.Fcm.Count(device.Address) is 1, PushService.Patience);

        await service.PutAsync($"/push/apps/{app}/networks/fcm", new { serviceAccount = PushService.ServiceAccount() });
        release.SetResult();

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        var networks = await service.Http.GetFromJsonAsync<JsonElement>($"/push/apps/{app}/networks");
        Assert.All(networks.EnumerateArray(), network => Assert.Empty(network.GetProperty("channels").EnumerateArray()));
    }

    [Fact]
    public async Task A_pause_of_the_credential_before_does_not_hold_the_new_one()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app);
        service.Fcm.Script(device.Address, FakeNetwork.Answer(503, null, ("Retry-After", "600")));
        var first = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(first, device.Id)).Contains("waits"), PushService.Patience);
        var other = await service.DeviceAsync(app);
        var held = await service.SendAsync(new { app, audience = $"device == {other.Id}", content = new { title = "Hello" } });
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(held, other.Id)).Contains("held"), PushService.Patience);

        await service.PutAsync($"/push/apps/{app}/networks/fcm", new { serviceAccount = PushService.ServiceAccount() });

        Assert.Equal(1, (await service.CompletedAsync(held))["accepted"]);
    }

    [Fact]
    public async Task Batches_from_before_and_after_a_save_send_with_the_same_credential()
    {
        var app = await service.NewReadyAppAsync();
        var credentials = service.One.Services.GetRequiredService<CredentialStore>();
        var before = (await credentials.GetAsync(app, "fcm", default))!.SavedAt;
        await service.PutAsync($"/push/apps/{app}/networks/fcm", new { serviceAccount = PushService.ServiceAccount() });
        var after = (await credentials.GetAsync(app, "fcm", default))!.SavedAt;

        var opened = await credentials.OpenAsync(app, "fcm", after);

        Assert.NotNull(opened);
        Assert.Same(opened, await credentials.OpenAsync(app, "fcm", before));
        Assert.Same(opened, await credentials.OpenAsync(app, "fcm", after));
    }

    private static Func<Microsoft.AspNetCore.Http.HttpContext, int, Task> Raw(int status, string body) => async (http, _) =>
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        await Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(http.Response, body);
    };
}
