using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>A message that is recalled while processes work on it.</summary>
public sealed class RecallTests : IAsyncLifetime
{
    private const int InFlight = 50;
    private const int Latch = 48;

    private readonly PushService _service = new() { More = [("Push:TimeoutSeconds", "60"), ("Push:InFlight", $"{InFlight}")] };
    private readonly TaskCompletionSource _release = new();

    public Task InitializeAsync() => _service.InitializeAsync();

    public Task DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task Nothing_is_begun_after_the_answer_and_what_was_not_ends_while_the_network_still_keeps_others_waiting()
    {
        const int Devices = 220;
        var app = await _service.NewReadyAppAsync();
        await using (var connection = new NpgsqlConnection(_service.Database))
        {
            await connection.ExecuteAsync(
                """
                insert into push.registration (device_id, app_id, network, address, address_hash, host, platform, app_version, version_order, locale, time_zone, tags,
                    registered_at, last_seen_at)
                select gen_random_uuid(), @app, 'apns', address, sha256(address::bytea), '', 'ios', '1.0.0', '', 'en', 'UTC', '{}', now(), now()
                from generate_series(1, @Devices) n, lateral (select lpad(to_hex(n), 32, '0') as address) as a
                """, new { app, Devices });
        }
        HoldApns(_service.Apns.SucceedAsync);
        var message = await _service.SendAsync(new { app, audience = "all", content = new { title = "Wrong price" } });
        await Eventually.TrueAsync(() => _service.Apns.Journal.Count is InFlight, PushService.Patience);

        await RecallAsync(message);

        await Eventually.TrueAsync(async () => PushService.Counts(await _service.StateAsync(message)).GetValueOrDefault("recalled") is Devices - InFlight, PushService.Patience);
        _release.SetResult();
        await Eventually.TrueAsync(async () => PushService.Counts(await _service.StateAsync(message)).GetValueOrDefault("accepted") is InFlight, PushService.Patience);
        Assert.Equal(InFlight, _service.Apns.Journal.Count);
    }

    [Fact]
    public async Task What_a_claim_puts_back_meanwhile_ends_with_the_recall_and_not_when_its_time_comes()
    {
        var app = await _service.NewReadyAppAsync();
        var device = await _service.DeviceAsync(app, user: "sleeper");
        using (var sleeper = _service.ClientOf("sleeper"))
        {
            var now = DateTime.UtcNow;
            using var answer = await sleeper.PutAsJsonAsync(
                "/push/preferences", new { quietHours = new { from = now.AddHours(-1).ToString("HH:mm:ss"), until = now.AddHours(2).ToString("HH:mm:ss") } });
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        }
        await _service.QueryAsync<object>(
            $"""
            create function public.late() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock_shared({Latch}); return null; end';
            create constraint trigger late after insert on push.queue deferrable initially deferred for each row
                when (new.due_at > now() + interval '10 minutes') execute function public.late();
            select 1
            """);
        await using var holder = new NpgsqlConnection(_service.Database);
        await holder.OpenAsync();
        await using var latch = await holder.BeginTransactionAsync();
        await holder.ExecuteAsync($"select pg_advisory_xact_lock({Latch})", transaction: latch);
        var message = await _service.SendAsync(new { app, audience = "all", content = new { title = "Sale" } });
        await Eventually.TrueAsync(() => WaitAsync(1), PushService.Patience);

        var recall = RecallAsync(message);
        await Eventually.TrueAsync(async () => recall.IsCompleted || await WaitAsync(2), PushService.Patience);
        await latch.CommitAsync();

        Assert.Equal(new Dictionary<string, long> { ["recalled"] = 1 }, await recall);
        Assert.Equal(["matched", "held", "recalled"], await _service.DecisionsAsync(message, device.Id));

        async Task<bool> WaitAsync(int count) =>
            await _service.QueryAsync<long>("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") == count;
    }

    [Fact]
    public async Task An_attempt_that_fails_afterwards_is_the_last_one()
    {
        var app = await _service.NewReadyAppAsync();
        var device = await _service.DeviceAsync(app, "apns");
        HoldApns(http => FakeNetwork.Answer(503, null, ("Retry-After", "3600"))(http, 1));
        var message = await _service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        await Eventually.TrueAsync(() => _service.Apns.Count(device.Address) is 1, PushService.Patience);

        Assert.Equal(new Dictionary<string, long> { ["sending"] = 1 }, await RecallAsync(message));
        _release.SetResult();

        await Eventually.TrueAsync(async () => await _service.DeliveryStateAsync(message, device.Id) is "recalled", PushService.Patience);
        Assert.Equal(["matched", "waits", "recalled"], await _service.DecisionsAsync(message, device.Id));
        Assert.Equal(1, _service.Apns.Count(device.Address));
    }

    private void HoldApns(Func<Microsoft.AspNetCore.Http.HttpContext, Task> answerAsync) => _service.Apns.Otherwise = async (http, _) =>
    {
        await _release.Task;
        await answerAsync(http);
    };

    private async Task<Dictionary<string, long>> RecallAsync(Guid message)
    {
        using var answer = await _service.Http.PostAsync($"/push/messages/{message}/recall", null);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return PushService.Counts(await answer.Content.ReadFromJsonAsync<JsonElement>());
    }
}
