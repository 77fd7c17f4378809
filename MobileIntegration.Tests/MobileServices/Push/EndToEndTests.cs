using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Devices of FCM and APNs with keys of their own: the networks hand on what they cannot read. What they cannot is in the matrix of all networks.</summary>
public sealed class EndToEndTests(PushService service) : IClassFixture<PushService>
{
    private const int Most = 2815;

    [Fact]
    public async Task Beside_what_is_encrypted_FCM_gets_what_it_gets_of_a_plain_message_and_nothing_of_its_content()
    {
        var app = await service.NewReadyAppAsync();
        var keys = DeviceKeys.New();
        var (closed, open) = (await service.DeviceAsync(app, "fcm", keys: keys), await service.DeviceAsync(app, "fcm"));
        var content = JsonNode.Parse("""
            {
              "title": "Hello", "badge": 1, "sound": "ding", "data": { "page": "/sale" },
              "android": { "notification": { "channelId": "offers" }, "data": { "kind": "android" } },
              "apns": { "payload": { "aps": { "thread-id": "sale" } } }, "webpush": { "notification": { "icon": "/icon.png" } }
            }
            """);
        var message = await service.SendAsync(new { app, audience = "all", collapseKey = "sale", urgency = "high", ttlSeconds = 0, content });
        Assert.Equal(2, (await service.CompletedAsync(message))["accepted"]);

        var sent = Single(service.Fcm, closed);
        Assert.Equal("ok", await NpmClients.RunAsync("fcm-types.mjs", Encoding.UTF8.GetString(sent.Body)));
        var (got, plain) = (Message(sent), Message(Single(service.Fcm, open)));
        Assert.Equal(["android", "apns", "data", "token", "webpush"], Names(got));
        Assert.Equal(["encrypted", "messageId"], Names(got.GetProperty("data")));
        Assert.Equal(message.ToString(), got.GetProperty("data").Text("messageId"));
        Assert.Equal(["collapseKey", "priority", "ttl"], Names(got.GetProperty("android")));
        Assert.Equal("HIGH", got.GetProperty("android").Text("priority"));
        foreach (var member in (string[])["collapseKey", "priority", "ttl"])
        {
            Assert.Equal(plain.GetProperty("android").Text(member), got.GetProperty("android").Text(member));
        }
        foreach (var network in (string[])["apns", "webpush"])
        {
            Assert.Equal(plain.GetProperty(network).GetProperty("headers").ToString(), got.GetProperty(network).GetProperty("headers").ToString());
        }
        Assert.Equal("""{"aps":{"alert":{"loc-key":"ENCRYPTED_MESSAGE"},"mutable-content":1}}""", got.GetProperty("apns").GetProperty("payload").ToString());
        Assert.Equal(["headers"], Names(got.GetProperty("webpush")));
        // What is said for one kind of network the app finds as it was said.
        var decrypted = await keys.DecryptAsync(DeviceKeys.Encrypted("fcm", sent));
        foreach (var network in (string[])["android", "apns", "webpush"])
        {
            Assert.True(JsonNode.DeepEquals(content![network], JsonNode.Parse(decrypted.GetProperty(network).ToString())), network);
        }
        Assert.Equal("""{"page":"/sale"}""", decrypted.GetProperty("data").ToString());
    }

    [Fact]
    public async Task Beside_what_is_encrypted_APNs_gets_an_alert_that_the_app_may_change_and_a_text_of_the_apps_for_it()
    {
        var app = await service.NewReadyAppAsync();
        var keys = DeviceKeys.New();
        var (closed, open) = (await service.DeviceAsync(app, "apns", keys: keys), await service.DeviceAsync(app, "apns"));
        var message = await service.SendAsync(new
        {
            app,
            audience = "all",
            collapseKey = "sale",
            urgency = "low",
            ttlSeconds = 0,
            content = JsonNode.Parse("""{ "title": "Hello", "badge": 1, "sound": "ding", "apns": { "payload": { "aps": { "thread-id": "sale" }, "account": 7 } }, "android": { "data": { "kind": "android" } } }"""),
        });
        Assert.Equal(2, (await service.CompletedAsync(message))["accepted"]);

        var (sent, plain) = (Single(service.Apns, closed), Single(service.Apns, open));
        var body = JsonDocument.Parse(sent.Body).RootElement;
        Assert.Equal(["aps", "encrypted", "messageId"], Names(body));
        Assert.Equal(message, body.GetProperty("messageId").GetGuid());
        Assert.Equal("""{"alert":{"loc-key":"ENCRYPTED_MESSAGE"},"mutable-content":1}""", body.GetProperty("aps").ToString());
        foreach (var header in (string[])["apns-topic", "apns-push-type", "apns-priority", "apns-expiration", "apns-collapse-id"])
        {
            Assert.Equal(plain.Headers[header], sent.Headers[header]);
        }
        var decrypted = await keys.DecryptAsync(DeviceKeys.Encrypted("apns", sent));
        Assert.Equal(("sale", 7), (decrypted.GetProperty("apns").GetProperty("payload").GetProperty("aps").Text("thread-id"), decrypted.GetProperty("apns").GetProperty("payload").GetProperty("account").GetInt32()));
        Assert.False(decrypted.TryGetProperty("android", out _));
    }

    [Theory]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task What_has_changed_a_wake_up_tells_the_device_alone(string network)
    {
        var app = await service.NewReadyAppAsync();
        var (user, keys) = ($"wake{Guid.NewGuid():N}", DeviceKeys.New());
        var device = await service.DeviceAsync(app, network, user, keys: keys);

        // As many ids as there may be, of the length of a UUID.
        string[] changed = [.. Enumerable.Range(0, 50).Select(number => $"secret-{Guid.NewGuid().ToString()[7..]}").Order(StringComparer.Ordinal)];
        using var answer = await service.Http.PostAsJsonAsync("/push/wakeups", new { app, users = new[] { user }, changed });
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        await Eventually.TrueAsync(() => Fake(network).Count(device.Address) is 1, PushService.Patience);

        var sent = Single(Fake(network), device);
        Assert.DoesNotContain("secret", Encoding.UTF8.GetString(sent.Body), StringComparison.Ordinal);
        var body = JsonDocument.Parse(sent.Body).RootElement;
        var aps = network is "fcm" ? body.GetProperty("message").GetProperty("apns").GetProperty("payload").GetProperty("aps") : body.GetProperty("aps");
        Assert.Equal("""{"content-available":1}""", aps.ToString());
        Assert.Equal("background", network is "fcm" ? Message(sent).GetProperty("apns").GetProperty("headers").Text("apns-push-type") : sent.Headers["apns-push-type"]);
        var decrypted = await keys.DecryptAsync(DeviceKeys.Encrypted(network, sent));
        Assert.True(decrypted.GetProperty("silent").GetBoolean());
        Assert.Equal(changed, decrypted.GetProperty("changed").EnumerateArray().Select(id => id.GetString()!).Order(StringComparer.Ordinal));

        // Longer ones do not all fit: all may have changed.
        using var more = await service.Http.PostAsJsonAsync("/push/wakeups", new { app, users = new[] { user }, changed = Enumerable.Range(0, 50).Select(number => $"{number}{new string('x', 90)}") });
        Assert.Equal(HttpStatusCode.Accepted, more.StatusCode);
        await Eventually.TrueAsync(() => Fake(network).Count(device.Address) is 2, PushService.Patience);
        Assert.Equal("""["*"]""", (await keys.DecryptAsync(DeviceKeys.Encrypted(network, Last(network, device)))).GetProperty("changed").ToString());
    }

    [Theory]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task Keys_that_come_change_and_go_hold_for_what_waits(string network)
    {
        var app = await service.NewReadyAppAsync();
        var (first, second) = (DeviceKeys.New(), DeviceKeys.New());
        var device = await service.DeviceAsync(app, network);

        var sent = await WhileOneWaitsAsync(first);
        Assert.Equal("Hello", (await first.DecryptAsync(DeviceKeys.Encrypted(network, sent))).Text("title"));

        sent = await WhileOneWaitsAsync(second);
        Assert.Equal("Hello", (await second.DecryptAsync(DeviceKeys.Encrypted(network, sent))).Text("title"));
        await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => first.DecryptAsync(DeviceKeys.Encrypted(network, sent)));

        sent = await WhileOneWaitsAsync(null);
        Assert.False(DeviceKeys.Content(network, sent).TryGetProperty("encrypted", out _));
        Assert.Contains("Hello", Encoding.UTF8.GetString(sent.Body), StringComparison.Ordinal);

        // They do not go along to another network.
        await service.RegisterAsync(device, keys: first);
        await service.RegisterAsync(device with { Network = network is "fcm" ? "apns" : "fcm", Address = network is "fcm" ? PushService.ApnsToken() : PushService.FcmToken() });
        Assert.True(await service.QueryAsync<bool>("select p256dh is null and auth is null from push.registration where device_id = @device", ("device", device.Id)));

        async Task<Pushed> WhileOneWaitsAsync(DeviceKeys? keys)
        {
            Fake(network).Script(device.Address, 503);
            var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
            await Eventually.TrueAsync(async () => (await service.DecisionsAsync(message, device.Id)).Contains("waits"), PushService.Patience);
            await service.RegisterAsync(device, keys: keys);
            // What was taken before that goes as it was, and fails.
            var (attempts, _) = await StandsAsync();
            await Eventually.TrueAsync(async () => await StandsAsync() is var (now, state) && now > attempts && state is "pending", PushService.Patience);
            Fake(network).Forget(device.Address);
            Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
            return Last(network, device);

            async Task<(int Attempts, string State)> StandsAsync()
            {
                var delivery = (await service.ExplainAsync(message, device.Id)).GetProperty("delivery");
                return (delivery.GetProperty("attempts").GetInt32(), delivery.Text("state"));
            }
        }
    }

    [Theory]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task What_is_too_large_when_it_is_encrypted_is_refused_if_the_app_has_a_device_with_keys_there(string network)
    {
        var app = await service.NewReadyAppAsync();
        var keys = DeviceKeys.New();
        var plain = await service.DeviceAsync(app, network);
        Assert.Null(await RefusalAsync(3000));

        var device = await service.DeviceAsync(app, network, keys: keys);
        var why = (await RefusalAsync(3000))!;
        Assert.Contains($"{network} takes {Most} at most, encrypted to devices with keys", why, StringComparison.Ordinal);
        // What is there beside the text, by what is said of its size.
        var around = int.Parse(System.Text.RegularExpressions.Regex.Match(why, "of ([0-9]+) bytes").Groups[1].Value) - 3000;
        Assert.NotNull(await RefusalAsync(Most - around + 1));
        Assert.Contains(" in de,", await RefusalAsync(10, new string('x', Most)), StringComparison.Ordinal);
        // Each app has its own devices.
        Assert.Null(await RefusalAsync(3000, of: await service.NewReadyAppAsync()));

        var message = await service.SendAsync(new { app, audience = "all", content = new { body = new string('x', Most - around) } });
        Assert.Equal(2, (await service.CompletedAsync(message))["accepted"]);
        var sent = Single(Fake(network), device);
        Assert.Equal(Most - around, (await keys.DecryptAsync(DeviceKeys.Encrypted(network, sent))).Text("text").Length);
        // What both count, with what FCM hands on to Apple's devices beside the data.
        Assert.InRange(network is "apns" ? sent.Body.Length : Message(sent).GetProperty("data").ToString().Length + Message(sent).GetProperty("apns").GetProperty("payload").ToString().Length, 3900, 4096);
        Assert.Equal(1, Fake(network).Count(plain.Address));

        await service.RegisterAsync(device);
        Assert.Null(await RefusalAsync(3000));

        async Task<string?> RefusalAsync(int characters, string? german = null, string? of = null)
        {
            var localized = german is null ? null : new { de = new { body = german } };
            using var answer = await service.Http.PostAsJsonAsync("/push/messages", new { app = of ?? app, audience = "all", content = new { body = new string('x', characters), localized }, dryRun = true });
            return answer.StatusCode is HttpStatusCode.OK ? null : (await answer.ProblemAsync(400)).GetProperty("errors").GetProperty("content")[0].GetString();
        }
    }

    [Theory]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task What_waits_for_a_device_that_came_by_keys_and_is_too_large_for_it_now_fails_with_its_size(string network)
    {
        var app = await service.NewReadyAppAsync();
        var (device, other) = (await service.DeviceAsync(app, network), await service.DeviceAsync(app, network));
        Fake(network).Script(device.Address, 503);
        var message = await service.SendAsync(new { app, audience = "all", content = new { body = new string('x', 3000) } });
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(message, device.Id)).Contains("waits"), PushService.Patience);

        await service.RegisterAsync(device, keys: DeviceKeys.New());

        var counts = await service.CompletedAsync(message);
        Assert.Equal((1, 1), (counts["failed"], counts["accepted"]));
        var last = (await service.ExplainAsync(message, device.Id)).GetProperty("decisions").EnumerateArray().Last();
        Assert.Equal("failed", last.Text("what"));
        Assert.Matches($"^{network} does not take it: the message has 30[0-9]{{2}} bytes, and {Most} at most go encrypted", last.Text("detail"));
        Assert.Equal(1, Fake(network).Count(other.Address));
        // It is still registered, and gets what is small enough.
        Fake(network).Forget(device.Address);
        Assert.Equal(2, (await service.CompletedAsync(await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } })))["accepted"]);
    }

    [Theory]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task Sizes_tell_little_of_what_is_encrypted(string network)
    {
        var app = await service.NewReadyAppAsync();
        var keys = DeviceKeys.New();
        var device = await service.DeviceAsync(app, network, keys: keys);
        foreach (var title in (string[])["a", new string('b', 100), new string('c', 300)])
        {
            Assert.Equal(1, (await service.CompletedAsync(await service.SendAsync(new { app, audience = "all", content = new { title } })))["accepted"]);
        }

        var sent = Fake(network).Journal.Where(pushed => pushed.Address == device.Address).Select(pushed => DeviceKeys.Encrypted(network, pushed)).ToList();
        // The header and the tag, and steps of 256 bytes.
        Assert.Equal([102 + 256, 102 + 256, 102 + 512], sent.Select(encrypted => encrypted.Length));
        Assert.Equal(["a", new string('b', 100), new string('c', 300)], await Task.WhenAll(sent.Select(async encrypted => (await keys.DecryptAsync(encrypted)).Text("title"))));
    }

    private FakeNetwork Fake(string network) => network is "fcm" ? service.Fcm : service.Apns;

    private Pushed Last(string network, TestDevice device) => Fake(network).Journal.Last(pushed => pushed.Address == device.Address);

    private static Pushed Single(FakeNetwork fake, TestDevice device) => Assert.Single(fake.Journal, pushed => pushed.Address == device.Address);

    private static JsonElement Message(Pushed pushed) => JsonDocument.Parse(pushed.Body).RootElement.GetProperty("message");

    private static IEnumerable<string> Names(JsonElement members) => members.EnumerateObject().Select(member => member.Name).Order(StringComparer.Ordinal);
}
