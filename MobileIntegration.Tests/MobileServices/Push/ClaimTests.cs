using System.Net;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What one process claims, and what becomes of it while a network is slow.</summary>
public sealed class ClaimTests
{
    [Fact]
    public async Task However_slow_the_network_and_however_few_come_at_a_time_two_batches_are_claimed_at_most()
    {
        const int Batch = 5;
        const int Devices = 25;
        var slow = new PushService { More = [("Push:Batch", $"{Batch}"), ("Push:TimeoutSeconds", "60")] };
        await slow.InitializeAsync();
        try
        {
            var app = await slow.NewReadyAppAsync();
            var release = new TaskCompletionSource();
            slow.Apns.Otherwise = async (http, _) =>
            {
                await release.Task;
                await slow.Apns.SucceedAsync(http);
            };
            var messages = new List<Guid>();
            for (var at = 1; at <= Devices; at++)
            {
                var device = await slow.DeviceAsync(app, "apns");
                messages.Add(await slow.SendAsync(new { app, audience = $"device == {device.Id}", content = new { title = "Hello" } }));
                await slow.ExplainAsync(messages[^1], device.Id);
                Assert.InRange(await slow.QueryAsync<long>("select coalesce(sum(cardinality(messages)), 0)::bigint from push.batch"), 0, 2 * Batch);
            }
            await Eventually.TrueAsync(() => slow.Apns.Journal.Count > Batch, PushService.Patience);
            Assert.InRange(slow.Apns.Journal.Count, Batch + 1, 2 * Batch);

            release.SetResult();

            foreach (var message in messages)
            {
                Assert.Equal(1, (await slow.CompletedAsync(message))["accepted"]);
            }
            Assert.Equal(Devices, slow.Apns.Journal.Count);
        }
        finally
        {
            await slow.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_message_that_is_recalled_while_it_is_sent_goes_no_further()
    {
        const int Devices = 1000;
        var slow = new PushService();
        await slow.InitializeAsync();
        try
        {
            var app = await slow.NewReadyAppAsync();
            await using (var connection = new NpgsqlConnection(slow.Database))
            {
                await connection.ExecuteAsync(
                    """
                    insert into push.registration (device_id, app_id, network, address, address_hash, host, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
                    select gen_random_uuid(), @app, 'apns', address, sha256(address::bytea), '', 'ios', '1.0.0', '', 'en', 'UTC', '{}', now(), now()
                    from generate_series(1, @Devices) n, lateral (select lpad(to_hex(n), 32, '0') as address) as a
                    """, new { app, Devices });
            }
            slow.Apns.Delay = TimeSpan.FromMilliseconds(200);
            var message = await slow.SendAsync(new { app, audience = "all", content = new { title = "Wrong price" } });
            await Eventually.TrueAsync(async () => slow.Apns.Journal.Count > 100 && await slow.QueryAsync<long>("select count(*) from push.chunk") is 0, PushService.Patience);

            using var answer = await slow.Http.PostAsync($"/push/messages/{message}/recall", null);

            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            await Eventually.TrueAsync(async () => PushService.Counts(await slow.StateAsync(message)) is var counts && !counts.ContainsKey("pending") && !counts.ContainsKey("sending"), PushService.Patience);
            var ended = PushService.Counts(await slow.StateAsync(message));
            Assert.Equal(["accepted", "recalled"], ended.Keys.Order());
            Assert.Equal(slow.Apns.Journal.Count, ended["accepted"]);
            Assert.Equal(Devices, ended["accepted"] + ended["recalled"]);
        }
        finally
        {
            await slow.DisposeAsync();
        }
    }

    [Fact]
    public async Task What_is_held_again_for_the_same_reason_says_so_once()
    {
        var service = new PushService();
        await service.InitializeAsync();
        try
        {
            var app = await service.NewReadyAppAsync();
            var device = await service.DeviceAsync(app);
            await PauseAsync(2);
            var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
            var due = await DueAsync(default);
            for (var again = 0; again < 2; again++)
            {
                await PauseAsync(2);
                await service.QueryAsync<object>("update push.queue set due_at = now(); notify push_due; select 1");
                due = await DueAsync(due);
            }

            Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
            Assert.Equal(["matched", "held", "accepted"], await service.DecisionsAsync(message, device.Id));

            Task<object> PauseAsync(int seconds) => service.QueryAsync<object>(
                """
                insert into push.channel (app_id, network, host, paused_until, reason) values (@app, 'fcm', '', now() + make_interval(secs => @seconds), '503')
                on conflict (app_id, network, host) do update set paused_until = excluded.paused_until;
                select 1
                """, ("app", app), ("seconds", (double)seconds));

            async Task<DateTimeOffset> DueAsync(DateTimeOffset before)
            {
                DateTimeOffset due = default;
                await Eventually.TrueAsync(async () =>
                {
                    var delivery = (await service.ExplainAsync(message, device.Id)).GetProperty("delivery");
                    due = delivery.TryGetProperty("waitsFor", out var waits) && waits.GetString() is "channel" ? delivery.GetProperty("dueAt").GetDateTimeOffset() : default;
                    return due > before;
                }, PushService.Patience);
                return due;
            }
        }
        finally
        {
            await service.DisposeAsync();
        }
    }
}
