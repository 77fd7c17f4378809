using System.Net.Http.Json;
using System.Text.Json;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What waits, for how long, and what does not keep others waiting.</summary>
public sealed class PatienceTests(PushService service) : IClassFixture<PushService>
{
    [Fact]
    public async Task Over_its_quota_FCM_is_left_alone_for_a_minute_when_it_does_not_say_how_long()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app);
        service.Fcm.Script(device.Address, FakeNetwork.Answer(429, new { error = new { code = 429, status = "RESOURCE_EXHAUSTED" } }));
        var before = DateTimeOffset.UtcNow;

        var message = await SendAsync(app);
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(message, device.Id)).Contains("waits"), PushService.Patience);

        var due = (await service.ExplainAsync(message, device.Id)).GetProperty("delivery").GetProperty("dueAt").GetDateTimeOffset();
        Assert.InRange(due - before, TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(180));
        Assert.Equal(1, await RegisteredAsync(app));
    }

    [Fact]
    public async Task A_network_that_is_slower_than_it_may_be_has_perhaps_got_it_and_gets_it_once()
    {
        var hasty = new PushService { More = [("Push:TimeoutSeconds", "1")] };
        await hasty.InitializeAsync();
        try
        {
            var app = await hasty.NewReadyAppAsync();
            var device = await hasty.DeviceAsync(app, "apns");
            hasty.Apns.Delay = TimeSpan.FromSeconds(3);

            var message = await hasty.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });

            Assert.Equal(1, (await hasty.CompletedAsync(message))["unknown"]);
            Assert.Equal(1, hasty.Apns.Count(device.Address));
            Assert.Contains("no answer in 1 s", (await hasty.ExplainAsync(message, device.Id)).ToString(), StringComparison.Ordinal);
            Assert.Equal(1, await hasty.QueryAsync<long>("select count(*) from push.registration where app_id = @app", ("app", app)));
        }
        finally
        {
            await hasty.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("webpush")]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task A_connection_that_breaks_leaves_the_registration(string network)
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, network);
        var fake = network switch { "webpush" => service.Web, "fcm" => service.Fcm, _ => service.Apns };
        fake.Script(device.Address, (http, _) =>
        {
            http.Abort();
            return Task.CompletedTask;
        });

        var message = await SendAsync(app);

        Assert.Equal(1, (await service.CompletedAsync(message))["unknown"]);
        Assert.Equal((1L, 1), (await RegisteredAsync(app), fake.Count(device.Address)));
    }

    [Fact]
    public async Task A_message_whose_audience_cannot_be_read_ends_with_its_reason_and_others_go_on()
    {
        var app = await service.NewReadyAppAsync();
        await service.DeviceAsync(app);
        var broken = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" }, sendAt = DateTimeOffset.UtcNow.AddHours(1) });
        await service.QueryAsync<object>("update push.message set audience = 'news &&', send_at = now() - interval '1 hour' where id = @id returning id", ("id", broken));

        Assert.Equal(1, (await service.CompletedAsync(await SendAsync(app)))["accepted"]);

        Assert.Empty(await service.CompletedAsync(broken));
        Assert.StartsWith("Its audience could not be found: ", (await service.StateAsync(broken)).Text("problem"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_whose_audience_takes_too_long_keeps_nobody_waiting_and_is_not_given_up()
    {
        var app = await service.NewReadyAppAsync();
        await service.DeviceAsync(app);
        var slow = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" }, sendAt = DateTimeOffset.UtcNow.AddHours(1) });
        // As PostgreSQL says it of a statement that it was told to end.
        await service.QueryAsync<object>(
            $"""
            create function push.too_long() returns trigger language plpgsql as $$ begin raise exception 'canceling statement due to user request' using errcode = '57014'; end $$;
            create trigger too_long before insert on push.ledger for each row when (new.message_id = '{slow}') execute function push.too_long();
            update push.message set send_at = now() - interval '1 hour' where id = @id returning id
            """, ("id", slow));

        Assert.Equal(1, (await service.CompletedAsync(await SendAsync(app)))["accepted"]);

        var state = await service.StateAsync(slow);
        Assert.Equal("resolving", state.Text("state"));
    }

    [Fact]
    public async Task Changes_that_do_not_fit_into_a_message_are_told_as_all()
    {
        var app = await service.NewReadyAppAsync();
        var (one, two) = ($"one{Guid.NewGuid():N}", $"two{Guid.NewGuid():N}");
        var many = await service.DeviceAsync(app, "fcm", one);
        var merged = await service.DeviceAsync(app, "apns", two);

        await WakeAsync(one, 0, 50);
        await WakeAsync(two, 0, 20);
        await WakeAsync(two, 20, 20);

        await Eventually.TrueAsync(() => service.Fcm.Count(many.Address) is 1 && service.Apns.Count(merged.Address) is 1, PushService.Patience);
        var first = JsonDocument.Parse(Assert.Single(service.Fcm.Journal, pushed => pushed.Address == many.Address).Body).RootElement;
        Assert.Equal("""["*"]""", first.GetProperty("message").GetProperty("data").Text("changed"));
        var second = JsonDocument.Parse(Assert.Single(service.Apns.Journal, pushed => pushed.Address == merged.Address).Body).RootElement;
        Assert.Equal("*", Assert.Single(second.GetProperty("changed").EnumerateArray()).GetString());

        async Task WakeAsync(string user, int from, int count)
        {
            var changed = Enumerable.Range(from, count).Select(number => $"{number:D100}");
            using var answer = await service.Http.PostAsJsonAsync("/push/wakeups", new { app, users = new[] { user }, changed });
            Assert.Equal(202, (int)answer.StatusCode);
        }
    }

    private Task<Guid> SendAsync(string app) => service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });

    private Task<long> RegisteredAsync(string app) => service.QueryAsync<long>("select count(*) from push.registration where app_id = @app", ("app", app));
}
