using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MobileServices.Push.Messages;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What senders may ask of a message, and that it is so.</summary>
public sealed class MessageTests(PushService service) : IClassFixture<PushService>
{
    [Fact]
    public async Task The_same_idempotency_key_sends_once_and_another_message_with_it_is_refused()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app);
        var key = Guid.NewGuid().ToString();

        using var first = await SendAsync("Hello");
        using var again = await SendAsync("Hello");
        using var other = await SendAsync("Another");

        var id = (await first.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
        Assert.Equal(HttpStatusCode.Accepted, again.StatusCode);
        Assert.Equal(id, (await again.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid());
        await other.ProblemAsync(422);
        Assert.Equal(1, (await service.CompletedAsync(id))["accepted"]);
        Assert.Equal(1, service.Fcm.Count(device.Address));

        async Task<HttpResponseMessage> SendAsync(string title)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/push/messages") { Content = JsonContent.Create(new { app, audience = "all", content = new { title } }) };
            request.Headers.Add("Idempotency-Key", key);
            return await service.Http.SendAsync(request);
        }
    }

    [Fact]
    public async Task A_dry_run_tells_whom_it_would_reach_and_sends_nothing()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, tags: ["news"]);
        await service.DeviceAsync(app, "apns");

        using var answer = await service.Http.PostAsJsonAsync("/push/messages", new { app, audience = "news", content = new { title = "Hello" }, dryRun = true });

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var devices = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("devices");
        Assert.Equal(1, devices.GetProperty("devices").GetInt64());
        Assert.Equal(1, devices.GetProperty("byNetwork").GetProperty("fcm").GetInt64());
        Assert.Equal(0L, await service.QueryAsync<long>("select count(*) from push.message where app_id = @app", ("app", app)));
        Assert.Equal(0, service.Fcm.Count(device.Address));
    }

    [Fact]
    public async Task Bad_messages_are_refused_with_every_reason()
    {
        var app = await service.NewReadyAppAsync();
        using var all = await service.Http.PostAsJsonAsync("/push/messages", new
        {
            app = "no app",
            audience = "a &&",
            urgency = "now",
            ttlSeconds = -1,
            category = "a b",
            sendAt = "2026-01-01T00:00:00Z",
            sendAtLocal = DateTime.UtcNow.ToString("s"),
            frequencyCap = new { count = 0, hours = 1 },
            content = new { image = "http://shop.example/a.png" },
        });
        Assert.Equal(
            ["app", "audience", "category", "content.image", "frequencyCap", "sendAt", "ttlSeconds", "urgency"],
            (await all.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name).Except(["content"]).Order());
        using var nothing = await service.Http.PostAsJsonAsync("/push/messages", new { app, audience = "all" });
        await nothing.ProblemAsync(400);
        using var template = await service.Http.PostAsJsonAsync("/push/messages", new { app, audience = "all", template = "none" });
        await template.ProblemAsync(400);
        await (await service.Http.GetAsync($"/push/messages/{Guid.NewGuid()}")).ProblemAsync(404);
        await (await service.Http.GetAsync($"/push/messages/{Guid.NewGuid()}/deliveries")).ProblemAsync(404);
        await (await service.Http.GetAsync("/push/deliveries/nonsense/explanation")).ProblemAsync(404);
    }

    [Theory]
    [InlineData("webpush", 3993)]
    [InlineData("fcm", 4096)]
    [InlineData("apns", 4096)]
    public async Task What_a_network_does_not_carry_is_refused_when_it_is_sent_with_the_networks_limit(string network, int limit)
    {
        var app = service.NewApp();
        await service.PutAsync($"/push/apps/{app}/networks/{network}", network switch
        {
            "webpush" => new { subject = "mailto:a@example.com" },
            "fcm" => new { serviceAccount = PushService.ServiceAccount() },
            _ => PushService.ApnsCredential(),
        });
        using var large = await service.Http.PostAsJsonAsync("/push/messages", new { app, audience = "all", content = new { title = "Hello", localized = new { de = new { body = new string('x', 4090) } } } });

        var why = (await large.ProblemAsync(400)).GetProperty("errors").GetProperty("content")[0].GetString()!;
        Assert.Contains($"{network} takes {limit} at most", why, StringComparison.Ordinal);
        Assert.Contains(" in de", why, StringComparison.Ordinal);
        using var fits = await service.Http.PostAsJsonAsync("/push/messages", new { app, audience = "all", content = new { body = new string('x', 3000) } });
        Assert.Equal(HttpStatusCode.Accepted, fits.StatusCode);
    }

    [Fact]
    public async Task Time_to_live_is_a_deadline_also_while_a_message_waits_here()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "webpush");
        var late = await service.DeviceAsync(app, "webpush");
        service.Web.ScriptFirst(device.Address, 1, FakeNetwork.Answer(503, null, ("Retry-After", "2")));
        service.Web.Script(late.Address, 503);

        var message = await service.SendAsync(new { app, audience = $"device == {device.Id}", content = new { title = "Hello" }, ttlSeconds = 60 });
        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        var ttls = service.Web.Journal.Where(pushed => pushed.Address == device.Address).Select(pushed => int.Parse(pushed.Headers["TTL"])).ToList();
        Assert.Equal(2, ttls.Count);
        Assert.InRange(ttls[1], 1, ttls[0] - 1);

        var over = await service.SendAsync(new { app, audience = $"device == {late.Id}", content = new { title = "Hello" }, ttlSeconds = 1 });
        Assert.Equal(1, (await service.CompletedAsync(over))["expired"]);
        Assert.Equal("expired", (await service.DecisionsAsync(over, late.Id))[^1]);
    }

    [Fact]
    public async Task The_last_of_several_with_one_collapse_key_is_what_a_device_gets()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "apns");
        service.Apns.Script(device.Address, 503);
        var messages = new List<Guid>();
        for (var score = 1; score <= 5; score++)
        {
            messages.Add(await service.SendAsync(new { app, audience = "all", content = new { title = $"{score}:0" }, collapseKey = "score" }));
        }
        var apart = await service.SendAsync(new { app, audience = "all", content = new { title = "Other" }, collapseKey = "weather" });
        await service.ExplainAsync(apart, device.Id);
        foreach (var message in messages)
        {
            await service.ExplainAsync(message, device.Id);
        }
        var before = service.Apns.Count(device.Address);
        service.Apns.Forget(device.Address);

        foreach (var message in messages)
        {
            await service.CompletedAsync(message);
        }
        Assert.Equal(1, (await service.CompletedAsync(apart))["accepted"]);
        Assert.Equal("accepted", await service.DeliveryStateAsync(messages[^1], device.Id));
        foreach (var earlier in messages[..^1])
        {
            Assert.Equal("collapsed", await service.DeliveryStateAsync(earlier, device.Id));
        }
        Assert.True(before > 0);
        Assert.Equal(2, service.Apns.Journal.Where(pushed => pushed.Address == device.Address).Select(pushed => pushed.Headers["apns-collapse-id"]).Distinct().Count());
    }

    [Fact]
    public void A_hundred_thousand_collapse_keys_have_as_many_ids_that_fit_everywhere()
    {
        var random = new Random(7);
        var ids = Enumerable.Range(0, 100_000).Select(number => CollapseId.Of("com.example.shop", $"{number}-{random.Next()}")).ToHashSet();

        Assert.Equal(100_000, ids.Count);
        Assert.All(ids.Take(1000), id => Assert.Matches("^[A-Za-z0-9_-]{32}$", id));
        Assert.NotEqual(CollapseId.Of("com.example.a", "k"), CollapseId.Of("com.example.b", "k"));
    }

    [Fact]
    public async Task A_recalled_message_does_not_go_on_and_the_counts_add_up()
    {
        var app = await service.NewReadyAppAsync();
        var sent = await service.DeviceAsync(app, "apns");
        var waiting = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => service.DeviceAsync(app, "fcm")));
        foreach (var device in waiting)
        {
            service.Fcm.Script(device.Address, 503);
        }
        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Wrong price" } });
        await Eventually.TrueAsync(async () => PushService.Counts(await service.StateAsync(message)).GetValueOrDefault("accepted") is 1, PushService.Patience);

        using var answer = await service.Http.PostAsync($"/push/messages/{message}/recall", null);
        Assert.Equal("recalled", (await answer.Content.ReadFromJsonAsync<JsonElement>()).Text("state"));
        using var again = await service.Http.PostAsync($"/push/messages/{message}/recall", null);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);

        await Eventually.TrueAsync(async () => PushService.Counts(await service.StateAsync(message)) is var counts && !counts.ContainsKey("pending") && !counts.ContainsKey("sending"), PushService.Patience);
        var state = await service.StateAsync(message);
        Assert.Equal((1L, 5L), (PushService.Counts(state)["accepted"], PushService.Counts(state)["recalled"]));
        Assert.Equal(6, state.GetProperty("devices").GetInt64());
        Assert.Equal(1, service.Apns.Count(sent.Address));
        foreach (var device in waiting)
        {
            service.Fcm.Forget(device.Address);
        }

        var later = await service.SendAsync(new { app, audience = "all", content = new { title = "Later" }, sendAt = DateTimeOffset.UtcNow.AddHours(1) });
        using var early = await service.Http.PostAsync($"/push/messages/{later}/recall", null);
        Assert.Equal(HttpStatusCode.OK, early.StatusCode);
        Assert.Equal(0, (await service.StateAsync(later)).GetProperty("devices").GetInt64());
    }

    [Fact]
    public async Task A_schedule_is_kept_absolute_and_by_each_devices_clock()
    {
        var app = await service.NewReadyAppAsync();
        var east = await service.DeviceAsync(app, "fcm", zone: "Pacific/Kiritimati");
        var west = await service.DeviceAsync(app, "fcm", zone: "Pacific/Pago_Pago");
        // It is that time in the east already, and will not be for a day in the west.
        var local = DateTime.UtcNow.AddHours(14).AddMinutes(-1).ToString("yyyy-MM-dd'T'HH:mm:ss");

        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Good morning" }, sendAtLocal = local });
        var due = await service.SendAsync(new { app, audience = $"device == {east.Id}", content = new { title = "Soon" }, sendAt = DateTimeOffset.UtcNow.AddSeconds(2) });

        await Eventually.TrueAsync(async () => PushService.Counts(await service.StateAsync(message)).GetValueOrDefault("accepted") is 1, PushService.Patience);
        await Eventually.TrueAsync(async () => (await service.ExplainAsync(message, west.Id)).GetProperty("delivery").TryGetProperty("waitsFor", out var waits) && waits.GetString() is "local", PushService.Patience);
        Assert.Equal("accepted", await service.DeliveryStateAsync(message, east.Id));
        var until = (await service.ExplainAsync(message, west.Id)).GetProperty("delivery").GetProperty("dueAt").GetDateTimeOffset();
        Assert.InRange(until, DateTimeOffset.UtcNow.AddHours(23), DateTimeOffset.UtcNow.AddHours(26));
        Assert.Equal(1, (await service.CompletedAsync(due))["accepted"]);

        // The device moves: what it waits for is over at once.
        await service.RegisterAsync(west, zone: "Pacific/Kiritimati");
        Assert.Equal(2, (await service.CompletedAsync(message))["accepted"]);
    }

    [Fact]
    public async Task Quiet_hours_hold_and_release_and_urgent_passes()
    {
        var app = await service.NewReadyAppAsync();
        var user = $"quiet{Guid.NewGuid():N}";
        var device = await service.DeviceAsync(app, "fcm", user);
        using var http = service.ClientOf(user);
        var now = DateTime.UtcNow;
        await PutPreferencesAsync(new { quietHours = new { from = Clock(now.AddHours(-1)), until = Clock(now.AddHours(2)) } });

        var held = await service.SendAsync(new { app, audience = "all", content = new { title = "Sale" } });
        var urgent = await service.SendAsync(new { app, audience = "all", content = new { title = "Alarm" }, urgency = "high" });
        var silent = await service.SendAsync(new { app, audience = "all", silent = true });
        var passing = await service.SendAsync(new { app, audience = "all", content = new { title = "Only now" }, ttlSeconds = 1 });

        Assert.Equal(1, (await service.CompletedAsync(urgent))["accepted"]);
        Assert.Equal(1, (await service.CompletedAsync(silent))["accepted"]);
        Assert.Equal(1, (await service.CompletedAsync(passing))["expired"]);
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(held, device.Id)).Contains("held"), PushService.Patience);
        Assert.Equal("quiet", (await service.ExplainAsync(held, device.Id)).GetProperty("delivery").Text("waitsFor"));

        // In another zone it is day: the same message goes at once.
        await PutPreferencesAsync(new { quietHours = new { from = Clock(now.AddHours(-1)), until = Clock(now.AddHours(2)), timeZone = "Etc/GMT-8" } });
        Assert.Equal(1, (await service.CompletedAsync(held))["accepted"]);
        Assert.Equal(["matched", "held", "accepted"], await service.DecisionsAsync(held, device.Id));
        Assert.Equal("Etc/GMT-8", (await http.GetFromJsonAsync<JsonElement>("/push/preferences")).GetProperty("quietHours").Text("timeZone"));

        async Task PutPreferencesAsync(object preferences)
        {
            using var answer = await http.PutAsJsonAsync("/push/preferences", preferences);
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        }

        static string Clock(DateTime time) => time.ToString("HH:mm:ss");
    }

    [Fact]
    public async Task Muted_categories_do_not_come_and_caps_count()
    {
        var app = await service.NewReadyAppAsync();
        var user = $"muted{Guid.NewGuid():N}";
        var device = await service.DeviceAsync(app, "fcm", user);
        using var http = service.ClientOf(user);
        using (var answer = await http.PutAsJsonAsync("/push/preferences", new { mutedCategories = new[] { "marketing" } }))
        {
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        }

        var muted = await service.SendAsync(new { app, audience = "all", content = new { title = "Sale" }, category = "marketing" });
        Assert.Equal(1, (await service.CompletedAsync(muted))["muted"]);

        var capped = await Task.WhenAll(Enumerable.Range(0, 12).Select(number => service.SendAsync(new
        {
            app,
            audience = "all",
            content = new { title = $"{number}" },
            category = "news",
            frequencyCap = new { count = 3, hours = 24 },
        })));
        var counts = await Task.WhenAll(capped.Select(service.CompletedAsync));
        Assert.Equal(3, counts.Sum(count => count.GetValueOrDefault("accepted")));
        Assert.Equal(9, counts.Sum(count => count.GetValueOrDefault("capped")));
        Assert.Equal(3, service.Fcm.Count(device.Address));
    }

    [Fact]
    public async Task Receipts_of_the_app_stand_in_the_ledger_and_nobody_gives_them_for_another()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, user: "ada");
        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        await service.CompletedAsync(message);
        using var ada = service.ClientOf("ada");
        using var eve = service.ClientOf("eve");

        foreach (var (http, state) in new[] { (eve, "opened"), (ada, "delivered"), (ada, "delivered"), (ada, "opened"), (ada, "delivered") })
        {
            using var answer = await http.PostAsJsonAsync($"/push/registrations/{device.Id}/receipts", new { messages = new[] { new { id = message, state } } });
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        }

        Assert.Equal(["matched", "accepted", "delivered", "opened"], await service.DecisionsAsync(message, device.Id));
        var counts = await service.StateAsync(message);
        Assert.Equal((1, 1), (counts.GetProperty("delivered").GetInt32(), counts.GetProperty("opened").GetInt32()));
    }

    [Fact]
    public async Task Deliveries_are_told_in_pages_and_by_state()
    {
        var app = await service.NewReadyAppAsync();
        var devices = await Task.WhenAll(Enumerable.Range(0, 7).Select(_ => service.DeviceAsync(app)));
        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        await service.CompletedAsync(message);

        var found = new List<Guid>();
        string? next = null;
        var pages = 0;
        do
        {
            var page = await service.Http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}/deliveries?limit=3&state=accepted{(next is null ? "" : $"&after={next}")}");
            found.AddRange(page.GetProperty("deliveries").EnumerateArray().Select(delivery => delivery.GetProperty("deviceId").GetGuid()));
            next = page.GetProperty("next").GetString();
            pages++;
        }
        while (next is not null);

        Assert.Equal(3, pages);
        Assert.Equal(devices.Select(device => device.Id).Order(), found.Order());
        Assert.Empty((await service.Http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}/deliveries?state=dead")).GetProperty("deliveries").EnumerateArray());
        await (await service.Http.GetAsync($"/push/messages/{message}/deliveries?limit=0")).ProblemAsync(400);
    }

    [Fact]
    public async Task Templates_are_filled_in_the_language_of_each_device()
    {
        var app = await service.NewReadyAppAsync();
        var english = await service.DeviceAsync(app, "apns", locale: "en-GB");
        var german = await service.DeviceAsync(app, "apns", locale: "de-AT");
        await service.PutAsync($"/push/apps/{app}/templates/welcome", new { title = "Welcome {{name}}", localized = new { de = new { title = "Willkommen {{ name }}, {{unknown}}" } } });

        var message = await service.SendAsync(new { app, audience = "all", template = "welcome", parameters = new { name = "{{name}}" } });

        Assert.Equal(2, (await service.CompletedAsync(message))["accepted"]);
        Assert.Equal("Welcome {{name}}", Title(english));
        Assert.Equal("Willkommen {{name}}, {{unknown}}", Title(german));

        string? Title(TestDevice device) => JsonDocument.Parse(service.Apns.Journal.Single(pushed => pushed.Address == device.Address).Body)
            .RootElement.GetProperty("aps").GetProperty("alert").GetProperty("title").GetString();
    }

    [Theory]
    [InlineData("push", "POST", "/push/messages")]
    [InlineData("push", "PUT", "/push/apps/com.example.a/networks/webpush")]
    [InlineData("push", "POST", "/push/wakeups")]
    [InlineData("push", "GET", "/push/deliveries/a/explanation")]
    [InlineData("push.send", "PUT", "/push/registrations/3f2504e0-4f89-41d3-9a0c-0305e82c3301")]
    [InlineData("home", "POST", "/push/own/subscriptions")]
    public async Task Apps_do_not_send_and_senders_do_not_register(string scope, string method, string path)
    {
        using var http = new HttpClient { BaseAddress = service.One.Address };
        http.Authorize(TestAuthority.Shared.Token(scope));
        using var request = new HttpRequestMessage(new(method), path) { Content = method is "GET" ? null : JsonContent.Create(new { }) };

        await (await http.SendAsync(request)).ProblemAsync(403);
    }
}
