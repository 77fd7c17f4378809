using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What the backend of an app is told, at a receiver of its own.</summary>
public sealed class WebhookTests : IAsyncLifetime
{
    private readonly PushService _service = new() { More = [("Push:WebhookMostAttempts", "3"), ("Keys:Secret", "only-for-tests-0123456789-0123456789")] };
    private FakeNetwork _receiver = null!;

    public async Task InitializeAsync()
    {
        await _service.InitializeAsync();
        _receiver = await FakeNetwork.WebPushAsync();
    }

    public async Task DisposeAsync()
    {
        await _service.DisposeAsync();
        await _receiver.DisposeAsync();
    }

    [Fact]
    public async Task A_dead_address_is_told_signed_as_the_receivers_library_wants_it()
    {
        var app = await _service.NewReadyAppAsync();
        var secret = await SaveAsync(app, "push.address.dead");
        var device = await _service.DeviceAsync(app, "apns", user: "grace");
        _service.Apns.Script(device.Address, 410, new { reason = "Unregistered", timestamp = DateTimeOffset.UtcNow.AddMinutes(1).ToUnixTimeMilliseconds() });

        var message = await SendAsync(app);
        Assert.Equal(1, (await _service.CompletedAsync(message))["dead"]);

        var told = await ToldAsync(app);
        var body = Json(told);
        Assert.Equal("push.address.dead", body.Text("type"));
        Assert.Equal((device.Id.ToString(), "grace", "apns"), (body.GetProperty("data").Text("deviceId"), body.GetProperty("data").Text("userId"), body.GetProperty("data").Text("network")));
        Assert.Equal("410 Unregistered", body.GetProperty("data").Text("reason"));
        Assert.DoesNotContain(device.Address, Encoding.UTF8.GetString(told.Body), StringComparison.Ordinal);
        Assert.Equal("push.address.dead", await VerifyAsync(told, secret!));
        Assert.StartsWith("refused: ", await VerifyAsync(told with { Body = [.. told.Body, (byte)' '] }, secret!));
        Assert.DoesNotContain("traceparent", told.Headers.Keys, StringComparer.OrdinalIgnoreCase);
        // What lies in the database does not sign.
        Assert.False(await _service.QueryAsync<bool>("select position('whsec_'::bytea in secret) > 0 from push.webhook where app_id = @app", ("app", app)));
    }

    [Fact]
    public async Task A_finished_message_is_told_once_with_counts_that_add_up_and_results_only_to_who_asks()
    {
        var app = await _service.NewReadyAppAsync();
        await SaveAsync(app, "push.message.finished", "push.deliveries");
        var devices = await Task.WhenAll(Enumerable.Range(0, 7).Select(_ => _service.DeviceAsync(app)));
        _service.Fcm.Script(devices[0].Address, 400);
        _service.Fcm.ScriptFirst(devices[1].Address, 1, FakeNetwork.Answer(503));
        var plain = await _service.NewReadyAppAsync();
        await SaveAsync(plain, "push.message.finished");
        await _service.DeviceAsync(plain);

        var message = await SendAsync(app);
        var other = await SendAsync(plain);
        var nobody = await _service.SendAsync(new { app, audience = "tag == nobody", content = new { title = "Hello" } });

        await Eventually.TrueAsync(() => _receiver.Count(app) is 3 && _receiver.Count(plain) is 1, PushService.Patience);
        var told = _receiver.Journal.Where(pushed => pushed.Address == app).Select(Json).ToList();
        var finished = told.Single(one => one.Text("type") is "push.message.finished" && one.GetProperty("data").GetProperty("messageId").GetGuid() == message).GetProperty("data");
        Assert.Equal("completed", finished.Text("state"));
        Assert.Equal((6, 1, 7), (finished.GetProperty("counts").GetProperty("accepted").GetInt32(), finished.GetProperty("counts").GetProperty("failed").GetInt32(), finished.GetProperty("devices").GetInt32()));
        var results = told.Single(one => one.Text("type") is "push.deliveries").GetProperty("data");
        Assert.Equal(message, results.GetProperty("messageId").GetGuid());
        Assert.Equal(
            devices.Select(device => (device.Id, device == devices[0] ? "failed" : "accepted")).OrderBy(pair => pair.Id.ToString()),
            results.GetProperty("deliveries").EnumerateArray().Select(one => (one.GetProperty("deviceId").GetGuid(), one.Text("state"))).OrderBy(pair => pair.Item1.ToString()));
        Assert.Contains(told, one => one.GetProperty("data").GetProperty("messageId").GetGuid() == nobody && one.GetProperty("data").GetProperty("devices").GetInt32() is 0);
        Assert.Equal(other, Json(_receiver.Journal.Single(pushed => pushed.Address == plain)).GetProperty("data").GetProperty("messageId").GetGuid());
        Assert.Equal(4, await _service.QueryAsync<long>("select count(*) from push.webhook_event where state = 'delivered'"));
    }

    [Fact]
    public async Task A_message_is_told_when_the_last_device_has_come_to_its_end_and_no_sooner()
    {
        var app = await _service.NewReadyAppAsync();
        await SaveAsync(app, "push.message.finished");
        var device = await _service.DeviceAsync(app);
        await _service.DeviceAsync(app);
        var release = new TaskCompletionSource();
        _service.Fcm.Script(device.Address, async (http, _) =>
        {
            await release.Task;
            await _service.Fcm.SucceedAsync(http);
        });
        var slow = await SendAsync(app);
        await Eventually.TrueAsync(() => _service.Fcm.Count(device.Address) is 1, PushService.Patience);
        // A later one overtakes it.
        var quick = await _service.SendAsync(new { app, audience = $"device != {device.Id}", content = new { title = "Hello" } });
        Assert.Equal(quick, Json(await ToldAsync(app)).GetProperty("data").GetProperty("messageId").GetGuid());
        Assert.Equal(0, await _service.QueryAsync<long>("select count(*) from push.webhook_event where data ->> 'messageId' = @id", ("id", slow.ToString())));

        release.SetResult();

        await Eventually.TrueAsync(() => _receiver.Count(app) is 2, PushService.Patience);
        Assert.Equal(slow, Json(_receiver.Journal.Last(pushed => pushed.Address == app)).GetProperty("data").GetProperty("messageId").GetGuid());
    }

    [Fact]
    public async Task While_a_secret_is_changed_both_sign_and_each_is_shown_once()
    {
        var app = await _service.NewReadyAppAsync();
        var first = await SaveAsync(app, "push.message.finished");
        Assert.StartsWith("whsec_", first);
        Assert.Null(await SaveAsync(app, "push.message.finished"));
        Assert.DoesNotContain("whsec_", await _service.Http.GetStringAsync($"/push/apps/{app}/webhook"), StringComparison.Ordinal);
        using var rotated = await _service.Http.PutAsJsonAsync($"/push/apps/{app}/webhook", new { url = Url(app), events = new[] { "push.message.finished" }, rotateSecret = true });
        var second = (await rotated.Content.ReadFromJsonAsync<JsonElement>()).Text("secret");
        Assert.NotEqual(first, second);

        await SendAsync(app);
        var told = await ToldAsync(app);
        Assert.Equal(2, told.Headers["webhook-signature"].Split(' ').Length);
        Assert.Equal("push.message.finished", await VerifyAsync(told, first!));
        Assert.Equal("push.message.finished", await VerifyAsync(told, second));

        using var own = await _service.Http.PutAsJsonAsync(
            $"/push/apps/{app}/webhook", new { url = Url(app), events = new[] { "push.message.finished" }, secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", oldSecretHours = 0 });
        Assert.Equal(HttpStatusCode.OK, own.StatusCode);
        await SendAsync(app);
        await Eventually.TrueAsync(() => _receiver.Count(app) is 2, PushService.Patience);
        told = _receiver.Journal.Last(pushed => pushed.Address == app);
        Assert.Equal("push.message.finished", await VerifyAsync(told, "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="));
        Assert.StartsWith("refused: ", await VerifyAsync(told, second));
    }

    [Fact]
    public async Task What_fails_is_sent_again_with_the_same_id_and_body_and_given_up_with_its_reason_until_it_is_replayed()
    {
        var app = await _service.NewReadyAppAsync();
        await SaveAsync(app, "push.message.finished");
        _receiver.Script(app, 500);
        await SendAsync(app);

        JsonElement failed = default;
        await Eventually.TrueAsync(async () => (failed = await EventsAsync(app, "failed")).GetArrayLength() is 1, PushService.Patience);
        Assert.Equal("it answered 500; given up after 3 attempts", failed[0].Text("problem"));
        var attempts = _receiver.Journal.Where(pushed => pushed.Address == app).ToList();
        Assert.Equal(3, attempts.Count);
        Assert.Equal(failed[0].Text("id"), Assert.Single(attempts.Select(pushed => pushed.Headers["webhook-id"]).Distinct()));
        Assert.Single(attempts.Select(pushed => Encoding.UTF8.GetString(pushed.Body)).Distinct());

        _receiver.Forget(app);
        using var replayed = await _service.Http.PostAsync($"/push/apps/{app}/webhook/events/{failed[0].Text("id")}/replay", null);
        Assert.Equal(HttpStatusCode.Accepted, replayed.StatusCode);
        await Eventually.TrueAsync(async () => (await EventsAsync(app, "delivered")).GetArrayLength() is 1, PushService.Patience);
        Assert.Equal(failed[0].Text("id"), _receiver.Journal.Last(pushed => pushed.Address == app).Headers["webhook-id"]);
        using var nothing = await _service.Http.PostAsync($"/push/apps/{app}/webhook/events/msg_0/replay", null);
        await nothing.ProblemAsync(404);
    }

    [Fact]
    public async Task A_receiver_that_asks_to_wait_is_left_alone_and_others_are_told_meanwhile()
    {
        var app = await _service.NewReadyAppAsync();
        var other = await _service.NewReadyAppAsync();
        await SaveAsync(app, "push.message.finished");
        await SaveAsync(other, "push.message.finished");
        _receiver.ScriptFirst(app, 1, FakeNetwork.Answer(503, null, ("Retry-After", "3")));
        await SendAsync(app);
        await ToldAsync(app);

        await SendAsync(app);
        await SendAsync(other);
        await ToldAsync(other);

        await Eventually.TrueAsync(() => _receiver.Count(app) is 3, PushService.Patience);
        var times = _receiver.Journal.Where(pushed => pushed.Address == app).Select(pushed => pushed.At).ToList();
        Assert.True(Stopwatch.GetElapsedTime(times[0], times[1]) > TimeSpan.FromSeconds(2.9), $"after {Stopwatch.GetElapsedTime(times[0], times[1])}");
    }

    [Fact]
    public async Task Gone_switches_the_webhook_off_and_nothing_is_lost_until_it_is_saved_anew()
    {
        var app = await _service.NewReadyAppAsync();
        await SaveAsync(app, "push.message.finished");
        _receiver.Script(app, 410);
        await SendAsync(app);
        await Eventually.TrueAsync(async () => (await StateAsync(app)).TryGetProperty("stoppedAt", out var at) && at.ValueKind is JsonValueKind.String, PushService.Patience);

        var later = await SendAsync(app);
        await Eventually.TrueAsync(async () => (await EventsAsync(app, "failed")).GetArrayLength() is 2, PushService.Patience);
        Assert.Equal(1, _receiver.Count(app));
        Assert.All((await EventsAsync(app, "failed")).EnumerateArray(), one => Assert.Contains("switched off", one.Text("problem"), StringComparison.Ordinal));
        using var refused = await _service.Http.PostAsync($"/push/apps/{app}/webhook/events/replay", null);
        Assert.Contains("Save it anew", (await refused.ProblemAsync(409)).Text("detail"), StringComparison.Ordinal);

        _receiver.Forget(app);
        await SaveAsync(app, "push.message.finished");
        using var replayed = await _service.Http.PostAsync($"/push/apps/{app}/webhook/events/replay", null);
        Assert.Equal(2, (await replayed.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("events").GetInt32());
        await Eventually.TrueAsync(async () => (await EventsAsync(app, "delivered")).GetArrayLength() is 2, PushService.Patience);
        Assert.Contains(_receiver.Journal, pushed => pushed.Address == app && Json(pushed).GetProperty("data").GetProperty("messageId").GetGuid() == later);
    }

    [Fact]
    public async Task A_webhook_that_is_not_complete_and_right_is_refused_and_one_that_leads_inside_is_too()
    {
        var app = _service.NewApp();
        using var wrong = await _service.Http.PutAsJsonAsync($"/push/apps/{app}/webhook", new { url = "ftp://a.example/b", events = new[] { "push.everything" }, secret = "short", oldSecretHours = 1000 });
        Assert.Equal(["events", "oldSecretHours", "secret", "url"], (await wrong.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name).Order());
        await (await _service.Http.GetAsync($"/push/apps/{app}/webhook")).ProblemAsync(404);
        await (await _service.Http.DeleteAsync($"/push/apps/{app}/webhook")).ProblemAsync(404);

        await using var strict = _service.Start(("Push:AllowPrivateEndpoints", "false"));
        using var inside = await strict.Http.PutAsJsonAsync($"/push/apps/{app}/webhook", new { url = "https://169.254.169.254/latest", events = new[] { "push.message.finished" } });
        Assert.Contains("not public", (await inside.ProblemAsync(400)).GetProperty("errors").GetProperty("url")[0].GetString(), StringComparison.Ordinal);
        using var apart = _service.ClientOf("ada");
        await (await apart.GetAsync($"/push/apps/{app}/webhook")).ProblemAsync(403);
    }

    private string Url(string app) => $"{_receiver.PlainAddress}/hooks/{app}";

    private async Task<string?> SaveAsync(string app, params string[] events)
    {
        using var answer = await _service.Http.PutAsJsonAsync($"/push/apps/{app}/webhook", new { url = Url(app), events });
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(answer.IsSuccessStatusCode, body.ToString());
        return body.TryGetProperty("secret", out var secret) ? secret.GetString() : null;
    }

    private Task<Guid> SendAsync(string app) => _service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });

    private async Task<Pushed> ToldAsync(string app)
    {
        await Eventually.TrueAsync(() => _receiver.Count(app) > 0, PushService.Patience);
        return _receiver.Journal.First(pushed => pushed.Address == app);
    }

    private Task<JsonElement> StateAsync(string app) => _service.Http.GetFromJsonAsync<JsonElement>($"/push/apps/{app}/webhook");

    private async Task<JsonElement> EventsAsync(string app, string state) =>
        (await _service.Http.GetFromJsonAsync<JsonElement>($"/push/apps/{app}/webhook/events?state={state}")).GetProperty("events");

    private static JsonElement Json(Pushed told) => JsonDocument.Parse(told.Body).RootElement;

    private static Task<string> VerifyAsync(Pushed told, string secret) => NpmClients.RunAsync(
        "standardwebhooks.mjs", JsonSerializer.Serialize(new { headers = told.Headers.ToDictionary(header => header.Key.ToLowerInvariant(), header => header.Value), body = Encoding.UTF8.GetString(told.Body) }), secret);
}
