using System.Net.Http.Json;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Which of several messages with one collapse key is the last.</summary>
public sealed class CollapseTests(PushService service) : IClassFixture<PushService>
{
    [Fact]
    public async Task A_message_for_later_is_the_later_one_though_it_was_sent_first()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app);
        var later = await service.SendAsync(new { app, audience = "all", content = new { title = "Final score" }, collapseKey = "score", sendAt = DateTimeOffset.UtcNow.AddSeconds(3) });
        var now = await service.SendAsync(new { app, audience = "all", content = new { title = "Half-time" }, collapseKey = "score" });

        Assert.Equal(1, (await service.CompletedAsync(now))["accepted"]);
        Assert.Equal(1, (await service.CompletedAsync(later))["accepted"]);
        Assert.Equal(2, service.Fcm.Count(device.Address));
    }

    [Fact]
    public async Task One_that_nobody_gets_takes_no_other_ones_place()
    {
        var app = await service.NewReadyAppAsync();
        var user = $"mutes{Guid.NewGuid():N}";
        var device = await service.DeviceAsync(app, user: user);
        using var http = service.ClientOf(user);
        using (var answer = await http.PutAsJsonAsync("/push/preferences", new { mutedCategories = new[] { "marketing" } }))
        {
            Assert.True(answer.IsSuccessStatusCode);
        }
        service.Fcm.ScriptFirst(device.Address, 1, FakeNetwork.Answer(503, null, ("Retry-After", "3")));
        var first = await service.SendAsync(new { app, audience = "all", content = new { title = "1:0" }, collapseKey = "score" });
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(first, device.Id)).Contains("waits"), PushService.Patience);

        var muted = await service.SendAsync(new { app, audience = "all", content = new { title = "2:0" }, collapseKey = "score", category = "marketing" });

        Assert.Equal(1, (await service.CompletedAsync(muted))["muted"]);
        Assert.Equal(1, (await service.CompletedAsync(first))["accepted"]);
    }

    [Fact]
    public async Task One_that_waits_for_the_devices_clock_takes_its_place_when_that_time_has_come()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app);
        service.Fcm.ScriptFirst(device.Address, 1, FakeNetwork.Answer(503, null, ("Retry-After", "3")));
        var first = await service.SendAsync(new { app, audience = "all", content = new { title = "Today" }, collapseKey = "day" });
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(first, device.Id)).Contains("waits"), PushService.Patience);

        var local = await service.SendAsync(new { app, audience = "all", content = new { title = "Tomorrow" }, collapseKey = "day", sendAtLocal = DateTime.UtcNow.AddHours(8).ToString("s") });
        await Eventually.TrueAsync(async () => (await service.ExplainAsync(local, device.Id)).GetProperty("delivery").TryGetProperty("waitsFor", out var waits) && waits.GetString() is "local", PushService.Patience);

        Assert.Equal(1, (await service.CompletedAsync(first))["accepted"]);
    }
}
