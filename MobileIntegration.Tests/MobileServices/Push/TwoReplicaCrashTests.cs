using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Microsoft.AspNetCore.Http;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Two processes share the work, and one after the other, or both, are killed while they send.</summary>
public sealed class TwoReplicaCrashTests : IAsyncLifetime
{
    private const string App = "com.example.replicas";

    /// <summary>Each gets two messages for each kill: <c>PUSH_CRASH_DEVICES=10000</c> for the long run.</summary>
    private static readonly int Devices = int.Parse(Environment.GetEnvironmentVariable("PUSH_CRASH_DEVICES") ?? "400", CultureInfo.InvariantCulture);

    private readonly ConcurrentDictionary<(string Address, Guid Message), int> _taken = [];
    private readonly ConcurrentDictionary<(string Address, Guid Message), bool> _wasBusy = [];
    private readonly PushProcesses _processes = new();
    private FakeNetwork _fcm = null!;
    private FakeNetwork _apns = null!;
    private string _database = "";

    public async Task InitializeAsync()
    {
        _database = await TestPostgres.CreateDatabaseAsync();
        _fcm = await FakeNetwork.FcmAsync();
        _apns = await FakeNetwork.ApnsAsync();
        foreach (var fake in new[] { _fcm, _apns })
        {
            fake.Delay = TimeSpan.FromMilliseconds(50);
            fake.Otherwise = (http, _) => AnswerAsync(fake, http);
        }
    }

    public async Task DisposeAsync()
    {
        _processes.Dispose();
        await _fcm.DisposeAsync();
        await _apns.DisposeAsync();
    }

    [Fact]
    public async Task Whichever_is_killed_nobody_gets_it_twice_nobody_is_left_out_and_the_ledger_says_what_the_networks_saw()
    {
        var random = new Random(11);
        var replicas = await Task.WhenAll(StartAsync(), StartAsync());
        await PutAsync(replicas[0].Http, "fcm", new { serviceAccount = PushService.ServiceAccount() });
        await PutAsync(replicas[0].Http, "apns", PushService.ApnsCredential());
        await MakeAddressesAsync();
        foreach (var victims in (int[][])[[0], [1], [0, 1]])
        {
            await RegisterAsync();
            var once = await SendAsync(replicas[0].Http, new { app = App, audience = "all", content = new { title = "Once" } });
            var collapsing = await SendAsync(replicas[1].Http, new { app = App, audience = "all", content = new { title = "Score" }, collapseKey = "score" });
            var until = _taken.Count + (Devices / 20) + random.Next(Devices);
            await Eventually.TrueAsync(() => _taken.Count >= until, TimeSpan.FromMinutes(2));
            foreach (var victim in victims)
            {
                // SIGKILL: it has no time for anything.
                replicas[victim].Process.Kill();
                await replicas[victim].Process.WaitForExitAsync();
                replicas[victim].Http.Dispose();
            }
            if (victims.Length is 2)
            {
                Assert.True(await CountAsync("push.batch") > 0, "They were killed when they had nothing to do.");
            }
            foreach (var (victim, started) in victims.Zip(await Task.WhenAll(victims.Select(_ => StartAsync()))))
            {
                replicas[victim] = started;
            }
            foreach (var message in new[] { once, collapsing })
            {
                JsonElement state = default;
                await Eventually.TrueAsync(async () => (state = await replicas[0].Http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}")).Text("state") is "completed", TimeSpan.FromMinutes(20));
                Assert.Equal((await RowsAsync(message)).CountBy(row => row.State).ToDictionary(count => count.Key, count => (long)count.Value), PushService.Counts(state));
            }
            await CheckAsync(once, collapsing);
        }
    }

    private async Task CheckAsync(Guid once, Guid collapsing)
    {
        var rows = await RowsAsync(once);
        Assert.Equal(Devices, rows.Count);
        foreach (var (address, state) in rows)
        {
            var taken = _taken.GetValueOrDefault((address, once));
            var isRight = (state, Fault(address)) switch
            {
                ("accepted", 0 or 1) => taken is 1,
                ("dead", 2) => taken is 0,
                // It says that it does not know.
                ("unknown", _) => taken is 0 or 1,
                _ => false,
            };
            Assert.True(isRight, $"{address}: {state}, and taken {taken} times");
        }
        Assert.InRange(rows.Count(row => row.State is "unknown"), rows.Count(row => Fault(row.Address) is 3), Devices / 2);

        // Where a second one replaces the first, nothing stays unknown, and nobody has less than one. An address may have been found dead before its devices were looked for.
        var replaced = await RowsAsync(collapsing);
        Assert.All(replaced, row => Assert.True((row.State, Fault(row.Address)) switch
        {
            ("accepted", 0 or 1 or 3) => _taken.GetValueOrDefault((row.Address, collapsing)) >= 1,
            ("dead", 2) => true,
            _ => false,
        }, $"{row.Address}: {row.State}"));
        Assert.Equal(rows.Count(row => Fault(row.Address) is not 2), replaced.Count(row => Fault(row.Address) is not 2));
        await Eventually.TrueAsync(
            async () => (await CountAsync("push.batch"), await CountAsync("push.queue"), await CountAsync("push.chunk")) is (0, 0, 0), PushService.Patience);
    }

    /// <summary>One in ten: 1 is busy the first time, 2 is dead, 3 takes the message and breaks off before it says so, the first time.</summary>
    private static int Fault(string address) => address[^2..] switch { "07" or "08" or "17" or "18" => 1, "03" or "04" => 2, "25" or "26" or "45" or "46" => 3, _ => 0 };

    private async Task AnswerAsync(FakeNetwork fake, HttpContext http)
    {
        using var json = JsonDocument.Parse((byte[])http.Items["body"]!);
        var isApns = fake == _apns;
        var message = isApns ? json.RootElement : json.RootElement.GetProperty("message");
        if (message.TryGetProperty("topic", out _))
        {
            await fake.SucceedAsync(http);
            return;
        }
        var address = isApns ? http.Request.Path.Value!.Split('/')[^1] : message.Text("token");
        var id = Guid.Parse(isApns ? message.Text("messageId") : message.GetProperty("data").Text("messageId"));
        switch (Fault(address))
        {
            case 1 when _wasBusy.TryAdd((address, id), true):
                http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                return;
            case 2:
                await FakeNetwork.Answer(isApns ? 410 : 404, isApns
                    ? new { reason = "Unregistered" }
                    : new { error = new { details = new[] { new Dictionary<string, string> { ["@type"] = "type.googleapis.com/google.firebase.fcm.v1.FcmError", ["errorCode"] = "UNREGISTERED" } } } })(http, 1);
                return;
            default:
                if (_taken.AddOrUpdate((address, id), 1, (_, count) => count + 1) is 1 && Fault(address) is 3)
                {
                    http.Abort();
                    return;
                }
                await fake.SucceedAsync(http);
                return;
        }
    }

    private Task<(Process Process, HttpClient Http)> StartAsync() => _processes.StartAsync(
        _database, ("Push__FcmAddress", _fcm.Address), ("Push__FcmTokenAddress", $"{_fcm.PlainAddress}/token"), ("Push__ApnsAddress", _apns.Address), ("Push__BreakAfter", "1000"),
        ("Push__InFlight", "5"), ("Push__Batch", "10"));

    private static async Task PutAsync(HttpClient http, string network, object credential)
    {
        using var answer = await http.PutAsJsonAsync($"/push/apps/{App}/networks/{network}", credential);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static async Task<Guid> SendAsync(HttpClient http, object message)
    {
        using var answer = await http.PostAsJsonAsync("/push/messages", message);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
    }

    private async Task MakeAddressesAsync()
    {
        await using var connection = new NpgsqlConnection(_database);
        await connection.ExecuteAsync(
            """
            create schema crash;
            create table crash.address as select n, gen_random_uuid() as device_id, lpad(to_hex(n), 24, 'a') || lpad((n % 100)::text, 2, '0') as address from generate_series(1, @Devices) n
            """, new { Devices });
    }

    /// <summary>Also those that were found dead.</summary>
    private async Task RegisterAsync()
    {
        await using var connection = new NpgsqlConnection(_database);
        await connection.ExecuteAsync(
            """
            insert into push.registration (device_id, app_id, network, address, address_hash, host, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
            select device_id, @App, case when n % 2 = 0 then 'apns' else 'fcm' end, address, sha256(address::bytea), '', 'android', '1.0.0', '', 'en', 'UTC', '{}', now(), now() from crash.address
            on conflict do nothing
            """, new { App });
    }

    private async Task<List<(string Address, string State)>> RowsAsync(Guid message)
    {
        await using var connection = new NpgsqlConnection(_database);
        return [.. await connection.QueryAsync<(string, string)>(
            "select a.address, d.state from push.delivery d join crash.address a using (device_id) where d.message_id = @message", new { message })];
    }

    private async Task<long> CountAsync(string table)
    {
        await using var connection = new NpgsqlConnection(_database);
        return await connection.ExecuteScalarAsync<long>($"select count(*) from {table}");
    }
}
