using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What a sender says for one kind of network beside the content.</summary>
public sealed class OverrideTests(PushService service) : IClassFixture<PushService>
{
    private const string Blocks = """
        {
          "title": "Hello", "body": "There", "sound": "ding", "data": { "page": "/sale", "kind": "all" },
          "android": {
            "directBootOk": true, "data": { "kind": "android" }, "fcmOptions": { "analyticsLabel": "sale" },
            "notification": { "title": "Hello, robot", "channelId": "offers", "color": "#00ff7f", "vibrateTimings": ["0.1s", "0.25s"], "visibility": "PRIVATE",
              "lightSettings": { "color": { "red": 1, "green": 0, "blue": 0.5, "alpha": 1 }, "lightOnDuration": "1s", "lightOffDuration": "2s" } }
          },
          "apns": {
            "fcmOptions": { "image": "https://shop.example/a.png" },
            "payload": { "aps": { "alert": { "subtitle": "For you" }, "interruption-level": "time-sensitive", "relevance-score": 0.7, "thread-id": "sale", "mutable-content": 1,
              "sound": { "critical": 1, "name": "alarm.caf", "volume": 0.5 } }, "account": { "number": 7 } }
          },
          "webpush": { "notification": { "requireInteraction": true, "icon": "/icon.png", "vibrate": [200, 100] }, "data": { "kind": "web" }, "fcmOptions": { "link": "https://shop.example/sale" } }
        }
        """;

    [Fact]
    public async Task What_is_said_for_a_network_goes_to_it_and_to_no_other_and_what_is_ours_stays()
    {
        var app = await service.NewReadyAppAsync();
        var fcm = await service.DeviceAsync(app, "fcm");
        var apns = await service.DeviceAsync(app, "apns");
        var message = await service.SendAsync(new { app, audience = "all", collapseKey = "sale", ttlSeconds = 600, category = "offers", content = JsonNode.Parse(Blocks) });
        Assert.Equal(2, (await service.CompletedAsync(message))["accepted"]);

        var sent = service.Fcm.Journal.Single(pushed => pushed.Address == fcm.Address);
        Assert.Equal("ok", await NpmClients.RunAsync("fcm-types.mjs", Encoding.UTF8.GetString(sent.Body)));
        var toFcm = JsonDocument.Parse(sent.Body).RootElement.GetProperty("message");
        var android = toFcm.GetProperty("android");
        Assert.Equal(("Hello, robot", "offers", "ding"), (android.GetProperty("notification").Text("title"), android.GetProperty("notification").Text("channelId"), android.GetProperty("notification").Text("sound")));
        Assert.Equal(("android", "/sale", message.ToString()), (android.GetProperty("data").Text("kind"), android.GetProperty("data").Text("page"), android.GetProperty("data").Text("messageId")));
        Assert.StartsWith("59", android.Text("ttl"));
        Assert.Equal(android.Text("collapseKey"), android.GetProperty("notification").Text("tag"));
        Assert.Equal("Hello", toFcm.GetProperty("notification").Text("title"));
        Assert.Equal("time-sensitive", toFcm.GetProperty("apns").GetProperty("payload").GetProperty("aps").Text("interruption-level"));
        Assert.Equal(android.Text("collapseKey"), toFcm.GetProperty("apns").GetProperty("headers").Text("apns-collapse-id"));
        Assert.Equal("web", toFcm.GetProperty("webpush").GetProperty("data").Text("kind"));
        Assert.Equal(android.Text("collapseKey"), toFcm.GetProperty("webpush").GetProperty("headers").Text("Topic"));

        var toApns = JsonDocument.Parse(service.Apns.Journal.Single(pushed => pushed.Address == apns.Address).Body).RootElement;
        var aps = toApns.GetProperty("aps");
        Assert.Equal(("Hello", "For you"), (aps.GetProperty("alert").Text("title"), aps.GetProperty("alert").Text("subtitle")));
        Assert.Equal(("time-sensitive", "sale", 0.7, 1), (aps.Text("interruption-level"), aps.Text("thread-id"), aps.GetProperty("relevance-score").GetDouble(), aps.GetProperty("mutable-content").GetInt32()));
        Assert.Equal(("alarm.caf", 7, message), (aps.GetProperty("sound").Text("name"), toApns.GetProperty("account").GetProperty("number").GetInt32(), toApns.GetProperty("messageId").GetGuid()));
        Assert.Equal("all", toApns.Text("kind"));
    }

    [Fact]
    public async Task A_browser_has_what_was_said_for_it()
    {
        await using var browser = await NpmPushService.StartAsync();
        var app = await service.NewReadyAppAsync();
        using var vapid = await service.ClientOf("ada").GetAsync($"/push/apps/{app}/vapid");
        var (subscription, hash) = await browser.SubscribeAsync((await vapid.Content.ReadFromJsonAsync<JsonElement>()).Text("publicKey"));
        using var registered = await service.ClientOf("ada").PutAsJsonAsync($"/push/registrations/{Guid.NewGuid()}", new
        {
            appId = app,
            network = "webpush",
            address = subscription.Text("endpoint"),
            keys = subscription.GetProperty("keys"),
            platform = "web",
            appVersion = "1.0.0",
            locale = "en",
            timeZone = "UTC",
        });
        Assert.True(registered.IsSuccessStatusCode, await registered.Content.ReadAsStringAsync());

        var message = await service.SendAsync(new { app, audience = "all", content = JsonNode.Parse(Blocks) });

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        var got = JsonDocument.Parse(Assert.Single(await browser.MessagesAsync(hash))).RootElement;
        Assert.Equal((message, "Hello", "https://shop.example/sale"), (got.GetProperty("id").GetGuid(), got.Text("title"), got.Text("link")));
        Assert.True(got.GetProperty("notification").GetProperty("requireInteraction").GetBoolean());
        Assert.Equal(("web", "/sale"), (got.GetProperty("data").Text("kind"), got.GetProperty("data").Text("page")));
        Assert.False(got.TryGetProperty("android", out _));
    }

    [Theory]
    [InlineData("""{"android":{"ttl":"5s"}}""", "content.android.ttl")]
    [InlineData("""{"android":{"collapseKey":"mine"}}""", "content.android.collapseKey")]
    [InlineData("""{"android":{"priority":"HIGH"}}""", "content.android.priority")]
    [InlineData("""{"android":{"notification":{"tag":"mine"}}}""", "content.android.notification.tag")]
    [InlineData("""{"android":{"notification":{"color":"red"}}}""", "content.android.notification.color")]
    [InlineData("""{"android":{"notification":{"vibrateTimings":["soon"]}}}""", "content.android.notification.vibrateTimings")]
    [InlineData("""{"android":{"notification":{"lightSettings":{"color":{"red":2}}}}}""", "content.android.notification.lightSettings.color.red")]
    [InlineData("""{"android":{"data":{"messageId":"x"}}}""", "content.android.data.messageId")]
    [InlineData("""{"android":{"data":{"count":3}}}""", "content.android.data.count")]
    [InlineData("""{"android":[]}""", "content.android")]
    [InlineData("""{"apns":{"headers":{"apns-topic":"com.other"}}}""", "content.apns.headers")]
    [InlineData("""{"apns":{"payload":{"messageId":"x"}}}""", "content.apns.payload.messageId")]
    [InlineData("""{"apns":{"payload":{"aps":{"interruption-level":"loud"}}}}""", "content.apns.payload.aps.interruption-level")]
    [InlineData("""{"apns":{"payload":{"aps":{"relevance-score":1.5}}}}""", "content.apns.payload.aps.relevance-score")]
    [InlineData("""{"apns":{"payload":{"aps":{"content-available":1}}}}""", "content.apns.payload.aps.content-available")]
    [InlineData("""{"apns":{"payload":{"aps":{"alert":"Hi"}}}}""", "content.apns.payload.aps.alert")]
    [InlineData("""{"webpush":{"headers":{"TTL":"5"}}}""", "content.webpush.headers")]
    [InlineData("""{"webpush":{"notification":{"tag":"mine"}}}""", "content.webpush.notification.tag")]
    [InlineData("""{"webpush":{"fcmOptions":{"link":"http://shop.example"}}}""", "content.webpush.fcmOptions.link")]
    public async Task A_mistake_is_told_by_where_it_is_in_messages_and_templates(string block, string where)
    {
        var content = (JsonObject)JsonNode.Parse(block)!;
        content["title"] = "Hello";
        using var message = await service.Http.PostAsJsonAsync("/push/messages", new { app = "com.example.shop", audience = "all", content });
        Assert.Equal(where, Assert.Single((await message.ProblemAsync(400)).GetProperty("errors").EnumerateObject()).Name);
        using var template = await service.Http.PutAsJsonAsync("/push/apps/com.example.shop/templates/sale", content);
        Assert.Equal(where, Assert.Single((await template.ProblemAsync(400)).GetProperty("errors").EnumerateObject()).Name);
    }

    [Fact]
    public async Task What_is_too_large_with_it_is_refused_and_a_silent_message_shows_nothing()
    {
        var app = await service.NewReadyAppAsync();
        using var large = await service.Http.PostAsJsonAsync("/push/messages", new { app, audience = "all", content = new { title = "Hello", android = new { notification = new { ticker = new string('x', 4100) } } } });
        Assert.Contains("fcm takes 4096", (await large.ProblemAsync(400)).GetProperty("errors").GetProperty("content")[0].GetString(), StringComparison.Ordinal);
        using var apple = await service.Http.PostAsJsonAsync("/push/messages", new { app, audience = "all", content = new { title = "Hello", apns = new { payload = new { more = new string('x', 4100) } } } });
        Assert.Contains("4096", (await apple.ProblemAsync(400)).GetProperty("errors").GetProperty("content")[0].GetString(), StringComparison.Ordinal);
        using var loud = await service.Http.PostAsJsonAsync(
            "/push/messages", new { app, audience = "all", silent = true, content = new { android = new { notification = new { ticker = "x" } }, apns = new { payload = new { aps = new { badge = 1 } } } } });
        Assert.Equal(
            ["content.android.notification", "content.apns.payload.aps"], (await loud.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name).Order());
    }

    [Fact]
    public async Task A_template_keeps_it()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "apns");
        await service.PutAsync($"/push/apps/{app}/templates/sale", new { title = "Sale", apns = JsonNode.Parse("""{"payload":{"aps":{"thread-id":"sales"}}}""") });

        Assert.Equal(1, (await service.CompletedAsync(await service.SendAsync(new { app, audience = "all", template = "sale" })))["accepted"]);

        Assert.Equal("sales", JsonDocument.Parse(service.Apns.Journal.Single(pushed => pushed.Address == device.Address).Body).RootElement.GetProperty("aps").Text("thread-id"));
    }
}
