using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Deliveries that nothing has been decided about yet, and those under way, of which the ledger has no rows: what is told of them, and what happens to them.</summary>
public sealed class ChunkTests : IAsyncLifetime
{
    private const int Chunk = 3;
    private const int UnderWay = 2 * Chunk;

    private readonly PushService _service = new() { More = [("Push:Batch", $"{Chunk}"), ("Push:TimeoutSeconds", "60")] };
    private readonly TaskCompletionSource _release = new();

    public async Task InitializeAsync()
    {
        await _service.InitializeAsync();
        _service.Apns.Otherwise = async (http, _) =>
        {
            await _release.Task;
            await _service.Apns.SucceedAsync(http);
        };
    }

    public Task DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task What_waits_and_what_is_under_way_is_counted_and_listed_once()
    {
        var (message, devices) = await HeldAsync();

        var counts = PushService.Counts(await _service.StateAsync(message));
        Assert.Equal((UnderWay, Chunk, 2), (counts["sending"], counts["pending"], counts.Count));
        var listed = new List<Guid>();
        string? next = null;
        do
        {
            var page = await _service.Http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}/deliveries?limit=2{(next is null ? "" : $"&after={next}")}");
            listed.AddRange(page.GetProperty("deliveries").EnumerateArray().Select(delivery => delivery.GetProperty("deviceId").GetGuid()));
            next = page.GetProperty("next").GetString();
        }
        while (next is not null);
        Assert.Equal(devices.Select(device => device.Id), listed);
        foreach (var (device, state) in new[] { (devices[0], "sending"), (devices[^1], "pending") })
        {
            Assert.Equal(state, await _service.DeliveryStateAsync(message, device.Id));
            Assert.Equal(["matched"], await _service.DecisionsAsync(message, device.Id));
        }

        _release.SetResult();

        Assert.Equal(devices.Length, (await _service.CompletedAsync(message))["accepted"]);
        Assert.All(devices, device => Assert.Equal(1, _service.Apns.Count(device.Address)));
        var explained = await _service.ExplainAsync(message, devices[^1].Id);
        Assert.Equal(1, explained.GetProperty("delivery").GetProperty("attempts").GetInt32());
        Assert.Equal(["matched", "accepted"], await _service.DecisionsAsync(message, devices[^1].Id));
    }

    [Fact]
    public async Task One_that_waits_follows_its_device_and_ends_with_it()
    {
        var (message, devices) = await HeldAsync();
        var renewed = devices[^3] with { Network = "fcm", Address = PushService.FcmToken() };

        await _service.RegisterAsync(renewed);
        using (var ada = _service.ClientOf("ada"))
        {
            using var gone = await ada.DeleteAsync($"/push/registrations/{devices[^2].Id}");
            Assert.Equal(204, (int)gone.StatusCode);
        }

        // Where it is now takes it at once, while the others wait.
        await Eventually.TrueAsync(() => _service.Fcm.Count(renewed.Address) is 1, PushService.Patience);
        var counts = PushService.Counts(await _service.StateAsync(message));
        Assert.Equal(devices.Length, counts.Values.Sum());
        _release.SetResult();
        var ended = await _service.CompletedAsync(message);
        Assert.Equal((devices.Length - 1, 1), (ended["accepted"], ended["dead"]));
        Assert.Equal(["matched", "rotated", "accepted"], await _service.DecisionsAsync(message, renewed.Id));
        Assert.Equal(["matched", "dead"], await _service.DecisionsAsync(message, devices[^2].Id));
        Assert.Equal((0, 1), (_service.Apns.Count(devices[^3].Address), _service.Apns.Count(devices[^1].Address)));
    }

    [Fact]
    public async Task What_waits_is_recalled_with_its_message()
    {
        var (message, devices) = await HeldAsync();

        using var answer = await _service.Http.PostAsync($"/push/messages/{message}/recall", null);

        var counts = PushService.Counts(await answer.Content.ReadFromJsonAsync<JsonElement>());
        Assert.Equal((UnderWay, Chunk), (counts["sending"], counts["recalled"]));
        Assert.Equal(["matched", "recalled"], await _service.DecisionsAsync(message, devices[^1].Id));
        _release.SetResult();
        await Eventually.TrueAsync(async () => PushService.Counts(await _service.StateAsync(message)) is var ended && ended.GetValueOrDefault("accepted") is UnderWay, PushService.Patience);
        Assert.Equal(UnderWay, _service.Apns.Journal.Count);
    }

    [Fact]
    public async Task A_device_may_tell_of_a_message_before_its_network_does()
    {
        var (message, devices) = await HeldAsync();
        using var ada = _service.ClientOf("ada");

        using var answer = await ada.PostAsJsonAsync($"/push/registrations/{devices[0].Id}/receipts", new { messages = new[] { new { id = message, state = "delivered" } } });

        Assert.Equal(204, (int)answer.StatusCode);
        Assert.Equal("sending", await _service.DeliveryStateAsync(message, devices[0].Id));
        _release.SetResult();
        Assert.Equal(devices.Length, (await _service.CompletedAsync(message))["accepted"]);
        Assert.Equal(["matched", "delivered", "accepted"], await _service.DecisionsAsync(message, devices[0].Id));
        Assert.Equal(1, (await _service.ExplainAsync(message, devices[0].Id)).GetProperty("delivery").GetProperty("attempts").GetInt32());
        Assert.Equal(1, (await _service.StateAsync(message)).GetProperty("delivered").GetInt32());
    }

    [Fact]
    public async Task Devices_that_tell_of_a_message_while_its_answers_are_written_down_lose_none_of_them()
    {
        var (message, devices) = await HeldAsync();
        // As two reports leave it that are under way: the second is not there yet when the first one is.
        await using var database = NpgsqlDataSource.Create(_service.Database);
        await using var first = await TellAsync(devices[0]);
        await using var second = await TellAsync(devices[1]);
        _release.SetResult();
        // Whichever answer is written down first.
        await Eventually.TrueAsync(async () => await HoldsUpAsync(first) || await HoldsUpAsync(second), PushService.Patience);
        var (earlier, later) = await HoldsUpAsync(first) ? (first, second) : (second, first);
        await earlier.Transaction.CommitAsync();
        await Eventually.TrueAsync(() => HoldsUpAsync(later), PushService.Patience);
        await later.Transaction.CommitAsync();

        Assert.Equal(devices.Length, (await _service.CompletedAsync(message))["accepted"]);
        Assert.All(await Task.WhenAll(devices.Select(device => _service.DecisionsAsync(message, device.Id))), decisions => Assert.Equal(["matched", "accepted"], decisions));

        async Task<Telling> TellAsync(TestDevice device)
        {
            var connection = await database.OpenConnectionAsync();
            var transaction = await connection.BeginTransactionAsync();
            await using var command = new NpgsqlCommand("""
                insert into push.ledger (message_id, device_id, network, state, due_at, attempts, batch_id, tracked, decisions)
                select u.message_id, u.device_id, b.network, 'sending', u.matched_at, 1, b.id, false, '[{"at":"2026-01-01T00:00:00Z","what":"matched"}]'
                from push.batch b, unnest(b.messages, b.devices, b.matched_at) u (message_id, device_id, matched_at) where u.message_id = $1 and u.device_id = $2
                """, connection, transaction) { Parameters = { new() { Value = message }, new() { Value = device.Id } } };
            Assert.Equal(1, await command.ExecuteNonQueryAsync());
            return new(connection, transaction);
        }

        async Task<bool> HoldsUpAsync(Telling telling) =>
            await _service.QueryAsync<long>("select count(*) from pg_stat_activity where @pid = any (pg_blocking_pids(pid))", ("pid", telling.Connection.ProcessID)) > 0;
    }

    private sealed record Telling(NpgsqlConnection Connection, NpgsqlTransaction Transaction) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => Connection.DisposeAsync();
    }

    [Fact]
    public async Task Of_two_that_wait_with_a_collapse_key_the_later_goes_out()
    {
        var (before, devices) = await HeldAsync();
        var app = devices[0].App;
        var first = await SendAsync("1 : 0");
        var second = await SendAsync("2 : 0");

        _release.SetResult();

        Assert.Equal(new Dictionary<string, long> { ["collapsed"] = devices.Length }, await _service.CompletedAsync(first));
        Assert.Equal(new Dictionary<string, long> { ["accepted"] = devices.Length }, await _service.CompletedAsync(second));
        Assert.Equal(devices.Length, (await _service.CompletedAsync(before))["accepted"]);

        async Task<Guid> SendAsync(string title)
        {
            var message = await _service.SendAsync(new { app, audience = "all", content = new { title }, collapseKey = "score" });
            await Eventually.TrueAsync(async () => PushService.Counts(await _service.StateAsync(message)).GetValueOrDefault("pending") == devices.Length, PushService.Patience);
            return message;
        }
    }

    [Fact]
    public async Task What_is_under_way_counts_for_a_cap()
    {
        var app = await _service.NewReadyAppAsync();
        var device = await _service.DeviceAsync(app, "apns");
        var first = await _service.SendAsync(new { app, audience = "all", content = new { title = "One" }, category = "news" });
        await Eventually.TrueAsync(() => _service.Apns.Count(device.Address) is 1, PushService.Patience);

        var second = await _service.SendAsync(new { app, audience = "all", content = new { title = "Two" }, category = "news", frequencyCap = new { count = 1, hours = 1 } });

        Assert.Equal(1, (await _service.CompletedAsync(second))["capped"]);
        _release.SetResult();
        Assert.Equal(1, (await _service.CompletedAsync(first))["accepted"]);
    }

    [Fact]
    public async Task A_fan_out_that_was_broken_off_goes_on_where_it_was()
    {
        _release.SetResult();
        var (app, devices) = await DevicesAsync();
        var message = await _service.SendAsync(new { app, audience = "all", content = new { title = "Hello" }, sendAt = DateTimeOffset.UtcNow.AddHours(1) });

        // As a process leaves it that has written its first part.
        await _service.QueryAsync<object>(
            """
            insert into push.chunk (message_id, network, due_at, matched_at, size, first_device, last_device, devices)
            select @id, 'apns', now(), now(), cardinality(@devices), @devices[1], @devices[cardinality(@devices)], @devices;
            update push.message set state = 'resolving', resolved_to = @devices[cardinality(@devices)], send_at = now() - interval '1 minute' where id = @id;
            select pg_notify('push_due', '');
            """, ("id", message), ("devices", devices.Take(4).Select(device => device.Id).ToArray()));

        Assert.Equal(devices.Length, (await _service.CompletedAsync(message))["accepted"]);
        Assert.All(devices, device => Assert.Equal(1, _service.Apns.Count(device.Address)));
    }

    /// <summary>A message of which two batches are under way, until they are released, and a chunk waits.</summary>
    private async Task<(Guid Message, TestDevice[] Devices)> HeldAsync()
    {
        var (app, devices) = await DevicesAsync();
        var message = await _service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        await Eventually.TrueAsync(() => _service.Apns.Journal.Count is UnderWay, PushService.Patience);
        return (message, devices);
    }

    /// <returns>In the order of their ids.</returns>
    private async Task<(string App, TestDevice[] Devices)> DevicesAsync()
    {
        var app = await _service.NewReadyAppAsync();
        var devices = new TestDevice[UnderWay + Chunk];
        for (var at = 0; at < devices.Length; at++)
        {
            devices[at] = await _service.DeviceAsync(app, "apns", id: new Guid(at + 1, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]));
        }
        return (app, devices);
    }
}
