using System.Net.Http.Json;
using MobileServices.Push.Networks;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>The classes of failure, and that each has its own consequence and no other.</summary>
public sealed class FailureTests(PushService service) : IClassFixture<PushService>
{
    /// <summary>What the networks' documents say of their answers.</summary>
    [Theory]
    [InlineData("webpush", 201, "", "Accepted")]
    [InlineData("webpush", 202, "", "Accepted")]
    [InlineData("webpush", 404, "", "Dead")]
    [InlineData("webpush", 410, "", "Dead")]
    [InlineData("webpush", 400, "", "Refused")]
    [InlineData("webpush", 413, "", "Refused")]
    [InlineData("webpush", 301, "", "Refused")]
    [InlineData("webpush", 401, "", "Misconfigured")]
    [InlineData("webpush", 403, "", "Misconfigured")]
    [InlineData("webpush", 429, "", "Transient")]
    [InlineData("webpush", 503, "", "Transient")]
    [InlineData("fcm", 200, "", "Accepted")]
    [InlineData("fcm", 404, "UNREGISTERED", "Dead")]
    [InlineData("fcm", 400, "INVALID_TOKEN", "Dead")]
    [InlineData("fcm", 400, "INVALID_ARGUMENT", "Refused")]
    [InlineData("fcm", 404, "NOT_FOUND", "Misconfigured")]
    [InlineData("fcm", 403, "SENDER_ID_MISMATCH", "Mismatched")]
    [InlineData("fcm", 401, "THIRD_PARTY_AUTH_ERROR", "Mismatched")]
    [InlineData("fcm", 401, "UNAUTHENTICATED", "Misconfigured")]
    [InlineData("fcm", 403, "PERMISSION_DENIED", "Misconfigured")]
    [InlineData("fcm", 429, "QUOTA_EXCEEDED", "Transient")]
    [InlineData("fcm", 503, "UNAVAILABLE", "Transient")]
    [InlineData("fcm", 500, "INTERNAL", "Transient")]
    [InlineData("apns", 200, "", "Accepted")]
    [InlineData("apns", 410, "Unregistered", "Dead")]
    [InlineData("apns", 410, "ExpiredToken", "Dead")]
    [InlineData("apns", 400, "BadDeviceToken", "Dead")]
    [InlineData("apns", 400, "DeviceTokenNotForTopic", "Mismatched")]
    [InlineData("apns", 400, "BadTopic", "Misconfigured")]
    [InlineData("apns", 403, "InvalidProviderToken", "Misconfigured")]
    [InlineData("apns", 403, "ExpiredProviderToken", "Misconfigured")]
    [InlineData("apns", 400, "PayloadEmpty", "Refused")]
    [InlineData("apns", 413, "PayloadTooLarge", "Refused")]
    [InlineData("apns", 429, "TooManyRequests", "Transient")]
    [InlineData("apns", 500, "InternalServerError", "Transient")]
    [InlineData("apns", 503, "Shutdown", "Transient")]
    public void Every_answer_has_its_class(string network, int status, string reason, string expected) =>
        Assert.Equal(expected, FailureTable.Classify(network, status, reason).ToString());

    [Theory]
    [InlineData("webpush", 410, null)]
    [InlineData("fcm", 404, """{"error":{"code":404,"status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}""")]
    [InlineData("fcm", 400, """{"error":{"code":400,"message":"The registration token is not a valid FCM registration token","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"INVALID_ARGUMENT"}]}}""")]
    [InlineData("apns", 410, """{"reason":"Unregistered","timestamp":4102444800000}""")]
    [InlineData("apns", 400, """{"reason":"BadDeviceToken"}""")]
    public async Task A_dead_address_is_removed_and_told(string network, int status, string? body)
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, network);
        Fake(network).Script(device.Address, Raw(status, body));

        var message = await SendAsync(app);

        Assert.Equal(1, (await service.CompletedAsync(message))["dead"]);
        Assert.Equal(0, await RegisteredAsync(app));
        Assert.Equal(1, Fake(network).Count(device.Address));
    }

    [Theory]
    [InlineData("webpush", 413, null)]
    [InlineData("fcm", 400, """{"error":{"code":400,"message":"Invalid value at 'message.android.ttl'","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"message.android.ttl"}]}]}}""")]
    [InlineData("fcm", 403, """{"error":{"code":403,"status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"SENDER_ID_MISMATCH"}]}}""")]
    [InlineData("apns", 400, """{"reason":"DeviceTokenNotForTopic"}""")]
    public async Task What_is_wrong_with_one_message_or_address_ends_one_delivery_and_removes_nothing(string network, int status, string? body)
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, network);
        var other = await service.DeviceAsync(app, network);
        Fake(network).Script(device.Address, Raw(status, body));

        var message = await SendAsync(app);

        var counts = await service.CompletedAsync(message);
        Assert.Equal((1L, 1L), (counts["failed"], counts["accepted"]));
        Assert.Equal(2, await RegisteredAsync(app));
        Assert.Equal((1, 1), (Fake(network).Count(device.Address), Fake(network).Count(other.Address)));
    }

    [Theory]
    [InlineData("webpush", 403, null)]
    [InlineData("fcm", 403, """{"error":{"code":403,"status":"PERMISSION_DENIED"}}""")]
    [InlineData("apns", 403, """{"reason":"InvalidProviderToken"}""")]
    public async Task A_credential_that_is_not_taken_stops_its_network_alone_until_it_is_saved_anew(string network, int status, string? body)
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, network);
        var other = await service.DeviceAsync(app, network is "fcm" ? "apns" : "fcm");
        Fake(network).Script(device.Address, Raw(status, body));

        var first = await SendAsync(app);
        await Eventually.TrueAsync(async () => (await service.ExplainAsync(first, device.Id)).GetProperty("delivery").Text("waitsFor") is "channel", PushService.Patience);
        var second = await SendAsync(app);
        await Eventually.TrueAsync(async () => PushService.Counts(await service.StateAsync(second)).GetValueOrDefault("accepted") is 1, PushService.Patience);
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(second, device.Id)).Contains("held"), PushService.Patience);

        // Nothing more was tried, nothing is removed, and the administrator is told.
        Assert.Equal(1, Fake(network).Count(device.Address));
        Assert.Equal(2, await RegisteredAsync(app));
        var networks = await service.Http.GetFromJsonAsync<System.Text.Json.JsonElement>($"/push/apps/{app}/networks");
        var channel = Assert.Single(networks.EnumerateArray().Single(one => one.Text("network") == network).GetProperty("channels").EnumerateArray());
        Assert.Contains("403", channel.Text("reason"), StringComparison.Ordinal);
        Assert.Equal(2, Fake(other.Network).Count(other.Address));

        Fake(network).Forget(device.Address);
        await service.PutAsync($"/push/apps/{app}/networks/{network}", network switch
        {
            "webpush" => new { subject = "mailto:new@example.com" },
            "fcm" => new { serviceAccount = PushService.ServiceAccount() },
            _ => PushService.ApnsCredential(),
        });
        Assert.Equal(2, (await service.CompletedAsync(first))["accepted"]);
        Assert.Equal(2, (await service.CompletedAsync(second))["accepted"]);
    }

    [Theory]
    [InlineData("webpush")]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task What_goes_by_is_tried_again_until_it_is_taken(string network)
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, network);
        Fake(network).ScriptFirst(device.Address, 3, FakeNetwork.Answer(503));

        var message = await SendAsync(app);

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        Assert.Equal(4, Fake(network).Count(device.Address));
        Assert.Equal(["matched", "waits", "waits", "waits", "accepted"], await service.DecisionsAsync(message, device.Id));
        Assert.Equal(1, await RegisteredAsync(app));
    }

    [Fact]
    public async Task Retry_After_holds_the_credential_and_nobody_else()
    {
        var app = await service.NewReadyAppAsync();
        var other = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "apns");
        service.Apns.ScriptFirst(device.Address, 1, FakeNetwork.Answer(429, new { reason = "TooManyRequests" }, ("Retry-After", "3")));

        var first = await SendAsync(app);
        await Eventually.TrueAsync(async () => (await service.DecisionsAsync(first, device.Id)).Contains("waits"), PushService.Patience);
        var late = await service.DeviceAsync(app, "apns");
        var second = await service.SendAsync(new { app, audience = $"device == {late.Id}", content = new { title = "Hello" } });
        var free = await service.DeviceAsync(other, "apns");
        await service.CompletedAsync(await SendAsync(other));
        await service.CompletedAsync(first);
        await service.CompletedAsync(second);

        var requests = service.Apns.Journal.Where(pushed => pushed.Address == device.Address || pushed.Address == late.Address).OrderBy(pushed => pushed.At).ToList();
        Assert.Equal(3, requests.Count);
        Assert.All(requests.Skip(1), request => Assert.True(TimeProvider.System.GetElapsedTime(requests[0].At, request.At) >= TimeSpan.FromSeconds(2.9), "It was asked before its time."));
        Assert.True(service.Apns.Journal.Single(pushed => pushed.Address == free.Address).At < requests[1].At);
    }

    [Fact]
    public async Task An_answer_that_never_comes_is_unknown_and_not_sent_again_unless_a_collapse_key_makes_that_harmless()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "apns");
        service.Apns.ScriptFirst(device.Address, 1, Reset);

        var lost = await SendAsync(app);
        Assert.Equal(1, (await service.CompletedAsync(lost))["unknown"]);
        Assert.Equal(1, service.Apns.Count(device.Address));

        var other = await service.DeviceAsync(app, "apns");
        service.Apns.ScriptFirst(other.Address, 1, Reset);
        var harmless = await service.SendAsync(new { app, audience = $"device == {other.Id}", content = new { title = "Score" }, collapseKey = "score" });
        Assert.Equal(1, (await service.CompletedAsync(harmless))["accepted"]);
        var sent = service.Apns.Journal.Where(pushed => pushed.Address == other.Address).ToList();
        Assert.Equal(2, sent.Count);
        Assert.Single(sent.Select(pushed => pushed.Headers["apns-collapse-id"]).Distinct());
        Assert.Single(sent.Select(pushed => pushed.Headers["apns-id"]).Distinct());

        static Task Reset(Microsoft.AspNetCore.Http.HttpContext http, int number)
        {
            http.Abort();
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_network_that_cannot_be_reached_has_got_nothing_and_is_tried_again()
    {
        var app = await service.NewReadyAppAsync();
        using var http = service.ClientOf("ada");
        var port = TestServices.FreePort();
        using var answer = await http.PutAsJsonAsync($"/push/registrations/{Guid.NewGuid()}", new
        {
            appId = app,
            network = "webpush",
            address = $"http://127.0.0.1:{port}/push/nobody",
            keys = PushService.Keys(),
            platform = "web",
            appVersion = "1.0.0",
            locale = "en",
            timeZone = "UTC",
        });
        Assert.True(answer.IsSuccessStatusCode);

        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" }, ttlSeconds = 2 });

        Assert.Equal(1, (await service.CompletedAsync(message))["expired"]);
        Assert.Equal(1, await RegisteredAsync(app));
    }

    [Fact]
    public async Task A_registration_that_is_newer_than_the_networks_word_stays()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "apns");
        service.Apns.ScriptFirst(device.Address, 1, FakeNetwork.Answer(410, new { reason = "Unregistered", timestamp = DateTimeOffset.UtcNow.AddMinutes(-5).ToUnixTimeMilliseconds() }));

        var message = await SendAsync(app);

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        Assert.Equal(1, await RegisteredAsync(app));
    }

    [Fact]
    public async Task A_rotated_token_gets_the_message_once()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "fcm");
        var renewed = device with { Network = "apns", Address = PushService.ApnsToken() };
        // The device takes a new address, of another network even, while the old one is being told off.
        service.Fcm.Script(device.Address, async (http, number) =>
        {
            if (number is 1)
            {
                await service.RegisterAsync(renewed);
            }
            await Raw(404, """{"error":{"code":404,"status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}""")(http, number);
        });

        var message = await SendAsync(app);

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        Assert.Equal((1, 1), (service.Fcm.Count(device.Address), service.Apns.Count(renewed.Address)));
        Assert.Equal(1, await RegisteredAsync(app));
    }

    [Fact]
    public async Task What_waits_goes_to_the_new_address()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "fcm");
        service.Fcm.Script(device.Address, 503);
        var message = await SendAsync(app);
        await Eventually.TrueAsync(() => service.Fcm.Count(device.Address) > 0, PushService.Patience);
        var renewed = device with { Address = PushService.FcmToken() };

        await service.RegisterAsync(renewed);

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        Assert.Equal(1, service.Fcm.Count(renewed.Address));
    }

    [Fact]
    public async Task Attempts_are_bounded()
    {
        var patient = new PushService { More = [("Push:MostAttempts", "3")] };
        await patient.InitializeAsync();
        try
        {
            var app = await patient.NewReadyAppAsync();
            var device = await patient.DeviceAsync(app, "fcm");
            patient.Fcm.Script(device.Address, 500);

            var message = await patient.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });

            Assert.Equal(1, (await patient.CompletedAsync(message))["failed"]);
            Assert.Equal(3, patient.Fcm.Count(device.Address));
        }
        finally
        {
            await patient.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_network_that_fails_again_and_again_is_left_alone_for_a_while()
    {
        var careful = new PushService { More = [("Push:BreakAfter", "3"), ("Push:FirstRetrySeconds", "2")] };
        await careful.InitializeAsync();
        try
        {
            var app = await careful.NewReadyAppAsync();
            await careful.DeviceAsync(app, "apns");
            await careful.DeviceAsync(app, "apns");
            await careful.DeviceAsync(app, "apns");
            careful.Apns.Otherwise = FakeNetwork.Answer(503);
            var failing = await careful.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
            await Eventually.TrueAsync(() => careful.QueryAsync<bool>("select exists (select from push.channel where app_id = @app and paused_until is not null)", ("app", app)), PushService.Patience);

            var late = await careful.DeviceAsync(app, "apns");
            var message = await careful.SendAsync(new { app, audience = $"device == {late.Id}", content = new { title = "Hello" } });
            careful.Apns.Otherwise = null;

            Assert.Equal(1, (await careful.CompletedAsync(message))["accepted"]);
            Assert.Contains("held", await careful.DecisionsAsync(message, late.Id));
            Assert.Equal(3, (await careful.CompletedAsync(failing))["accepted"]);
        }
        finally
        {
            await careful.DisposeAsync();
        }
    }

    private Task<Guid> SendAsync(string app) => service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });

    private FakeNetwork Fake(string network) => network switch { "webpush" => service.Web, "fcm" => service.Fcm, _ => service.Apns };

    private Task<long> RegisteredAsync(string app) => service.QueryAsync<long>("select count(*) from push.registration where app_id = @app", ("app", app));

    private static Func<Microsoft.AspNetCore.Http.HttpContext, int, Task> Raw(int status, string? body) => async (http, _) =>
    {
        http.Response.StatusCode = status;
        if (body is not null)
        {
            http.Response.ContentType = "application/json";
            await Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(http.Response, body);
        }
    };
}
