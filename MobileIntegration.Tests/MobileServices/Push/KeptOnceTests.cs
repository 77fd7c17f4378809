using System.Buffers.Text;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>
/// Our own push service keeps a message once, also when its sender is killed before it writes down that it was taken, and whatever has become of it until another goes on.
/// </summary>
public sealed class KeptOnceTests : IAsyncLifetime
{
    private readonly PushService _service = new() { More = [("Push:PollSeconds", "1")] };
    private HttpClient _ada = null!;

    public async Task InitializeAsync()
    {
        await _service.InitializeAsync();
        _ada = _service.ClientOf("ada");
    }

    public async Task DisposeAsync()
    {
        _ada.Dispose();
        await _service.DisposeAsync();
    }

    [Theory]
    [InlineData("nothing")]
    [InlineData("acknowledged")]
    [InlineData("replaced")]
    [InlineData("made room")]
    [InlineData("subscribed anew")]
    [InlineData("moved to another network")]
    public async Task What_a_killed_sender_had_stored_is_accepted_and_does_not_come_again(string meanwhile)
    {
        var app = await _service.NewReadyAppAsync();
        var (endpoint, messages) = await SubscribeAsync();
        var device = new TestDevice(Guid.NewGuid(), app, "own", endpoint, "ada", null);
        await _service.RegisterAsync(device);
        var message = await _service.SendAsync(new { app, audience = "all", content = new { title = "Once" }, collapseKey = meanwhile is "replaced" ? "score" : null });
        Assert.Equal(1, (await _service.CompletedAsync(message))["accepted"]);
        var before = await _service.QueryAsync<long>("select count(*) from push.stored where message_id = @message", ("message", message));
        var fcm = PushService.FcmToken();
        switch (meanwhile)
        {
            case "acknowledged":
                var stored = await _service.QueryAsync<string>("select id from push.stored where message_id = @message", ("message", message));
                Assert.Equal(HttpStatusCode.NoContent, (await _ada.DeleteAsync($"/push/message/{stored}")).StatusCode);
                break;
            case "replaced":
                var later = await _service.SendAsync(new { app, audience = "all", content = new { title = "Later" }, collapseKey = "score" });
                Assert.Equal(1, (await _service.CompletedAsync(later))["accepted"]);
                break;
            case "made room":
                await _service.QueryAsync<object>("delete from push.stored where message_id = @message; select 1", ("message", message));
                break;
            case "subscribed anew":
                (endpoint, messages) = await SubscribeAsync();
                await _service.RegisterAsync(device with { Address = endpoint });
                break;
            case "moved to another network":
                await _service.RegisterAsync(device with { Network = "fcm", Address = fcm });
                break;
        }
        var stands = await _service.QueryAsync<long>("select count(*) from push.stored where message_id = @message", ("message", message));

        await KillAsync(message);

        Assert.Equal(1, (await _service.CompletedAsync(message))["accepted"]);
        Assert.Equal(["matched", "returned", "accepted"], await _service.DecisionsAsync(message, device.Id));
        Assert.Equal((1, stands), (before, await _service.QueryAsync<long>("select count(*) from push.stored where message_id = @message", ("message", message))));
        Assert.Equal(0, _service.Fcm.Count(fcm));
        if (meanwhile is "acknowledged" or "subscribed anew")
        {
            // The next one that comes is the next one that is sent.
            await using var stream = await DeviceStream.OpenAsync(_ada, messages);
            await _service.SendAsync(new { app, audience = "all", content = new { title = "Next" } });
            Assert.Equal("Next", JsonDocument.Parse(TextOf(await stream.NextAsync())).RootElement.Text("title"));
        }
    }

    [Fact]
    public async Task A_change_after_a_killed_wake_up_was_stored_has_one_of_its_own()
    {
        var app = await _service.NewReadyAppAsync();
        var (endpoint, messages) = await SubscribeAsync();
        await _service.RegisterAsync(new(Guid.NewGuid(), app, "own", endpoint, "ada", null));
        await WakeAsync("orders");
        await Eventually.TrueAsync(async () => await _service.QueryAsync<long>("select count(*) from push.ledger where state = 'accepted'") is 1, PushService.Patience);
        // As it waits after another process has taken it over.
        await _service.QueryAsync<object>(
            """
            update push.ledger set state = 'pending', finished_at = null, due_at = now() + interval '1 hour';
            insert into push.queue (message_id, device_id, network, due_at) select message_id, device_id, network, due_at from push.ledger; select 1
            """);

        await WakeAsync("prices");

        await using var stream = await DeviceStream.OpenAsync(_ada, messages);
        Assert.Contains("orders", TextOf(await stream.NextAsync()));
        Assert.Contains("prices", TextOf(await stream.NextAsync()));

        async Task WakeAsync(string changed)
        {
            using var answer = await _service.Http.PostAsJsonAsync("/push/wakeups", new { app, users = new[] { "ada" }, changed = new[] { changed } });
            Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        }
    }

    /// <summary>As a process leaves it that is killed after the network has taken the message and before it has written that down.</summary>
    private Task<object> KillAsync(Guid message) => _service.QueryAsync<object>(
        """
        with lost as (
            insert into push.batch (network, messages, devices, started, lease_until)
            select network, array[message_id], array[device_id], 1, now() - interval '1 minute' from push.ledger where message_id = @message returning id)
        update push.ledger l set state = 'sending', batch_id = lost.id, network_id = null, finished_at = null, decisions = decisions - -1 from lost where l.message_id = @message;
        select 1;
        """, ("message", message));

    private static string TextOf(JsonElement message) => Encoding.UTF8.GetString(Base64Url.DecodeFromChars(message.Text("body")));

    private async Task<(string Endpoint, string Messages)> SubscribeAsync()
    {
        using var answer = await _ada.PostAsJsonAsync("/push/own/subscriptions", new { });
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        return (body.Text("endpoint"), body.Text("messages"));
    }
}
