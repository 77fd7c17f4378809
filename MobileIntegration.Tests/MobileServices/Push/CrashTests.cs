using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Microsoft.AspNetCore.Http;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>A process that is killed while it sends.</summary>
public sealed class CrashTests : IAsyncLifetime
{
    private const int Kills = 4;
    private const string App = "com.example.crash";

    /// <summary>Each gets two messages: <c>PUSH_CRASH_DEVICES=10000</c> for the long run.</summary>
    private static readonly int Devices = int.Parse(Environment.GetEnvironmentVariable("PUSH_CRASH_DEVICES") ?? "1000", CultureInfo.InvariantCulture);

    private readonly ConcurrentDictionary<(string Address, Guid Message), int> _taken = [];
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
            fake.Delay = TimeSpan.FromMilliseconds(10);
            fake.Otherwise = (http, number) => AnswerAsync(fake, http, number);
        }
    }

    public async Task DisposeAsync()
    {
        _processes.Dispose();
        await _fcm.DisposeAsync();
        await _apns.DisposeAsync();
    }

    [Fact]
    public async Task Killed_at_random_points_it_sends_nothing_twice_leaves_nobody_out_and_knows_what_it_does_not_know()
    {
        var random = new Random(4);
        var (process, http) = await StartAsync();
        await PutAsync(http, "fcm", new { serviceAccount = PushService.ServiceAccount() });
        await PutAsync(http, "apns", PushService.ApnsCredential());
        await RegisterAsync();
        var once = await SendAsync(http, new { app = App, audience = "all", content = new { title = "Once" } });
        var collapsing = await SendAsync(http, new { app = App, audience = "all", content = new { title = "Score" }, collapseKey = "score" });

        for (var kill = 1; kill <= Kills; kill++)
        {
            var until = _taken.Count + Devices / 20 + random.Next(Devices / 4);
            await Eventually.TrueAsync(() => _taken.Count >= until || _taken.Count > Devices * 3 / 2, TimeSpan.FromMinutes(2));
            // SIGKILL: it has no time for anything.
            process.Kill();
            await process.WaitForExitAsync();
            http.Dispose();
            (process, http) = await StartAsync();
        }
        foreach (var message in new[] { once, collapsing })
        {
            await Eventually.TrueAsync(async () => (await http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}")).Text("state") is "completed", TimeSpan.FromMinutes(20));
        }
        http.Dispose();

        var rows = await RowsAsync(once);
        Assert.Equal(Devices, rows.Count);
        foreach (var (address, state) in rows)
        {
            var taken = _taken.GetValueOrDefault((address, once));
            var isRight = state switch
            {
                "accepted" => taken is 1,
                "dead" => taken is 0,
                // It says that it does not know.
                "unknown" => taken is 0 or 1,
                _ => false,
            };
            Assert.True(isRight, $"{state}, and taken {taken} times");
        }
        var unknown = rows.Count(row => row.State is "unknown");
        Assert.InRange(unknown, rows.Count(row => Fault(row.Address) is 3), Devices / 2);
        Assert.Equal(rows.Count(row => Fault(row.Address) is 2), rows.Count(row => row.State is "dead") + rows.Count(row => row.State is "unknown" && Fault(row.Address) is 2));

        // Where a second one replaces the first, nothing stays unknown. An address may have been found dead by the first message before the second looked for its devices.
        var replaced = await RowsAsync(collapsing);
        Assert.Equal(rows.Count(row => Fault(row.Address) is not 2), replaced.Count(row => Fault(row.Address) is not 2));
        Assert.All(replaced, row => Assert.True(row.State switch
        {
            "accepted" => _taken.GetValueOrDefault((row.Address, collapsing)) >= 1,
            "dead" => _taken.GetValueOrDefault((row.Address, collapsing)) is 0,
            _ => false,
        }, row.State));
    }

    /// <summary>Some of the addresses: 1 fails once, 2 is dead, 3 takes the message and breaks off before it says so, once.</summary>
    private static int Fault(string address) => address[^1] is '7' or '8' ? 1 : address[^2..] is "03" or "04" ? 2 : address[^2..] is "05" or "06" ? 3 : 0;

    private async Task AnswerAsync(FakeNetwork fake, HttpContext http, int number)
    {
        using var json = JsonDocument.Parse((byte[])http.Items["body"]!);
        var isApns = fake == _apns;
        var body = json.RootElement;
        if (!isApns && body.GetProperty("message").TryGetProperty("topic", out _))
        {
            await fake.SucceedAsync(http);
            return;
        }
        var address = isApns ? http.Request.Path.Value!.Split('/')[^1] : body.GetProperty("message").Text("token");
        var message = Guid.Parse(isApns ? body.Text("messageId") : body.GetProperty("message").GetProperty("data").Text("messageId"));
        switch (Fault(address))
        {
            case 1 when number is 1:
                http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                return;
            case 2:
                await FakeNetwork.Answer(isApns ? 410 : 404, isApns
                    ? new { reason = "Unregistered" }
                    : new { error = new { details = new[] { new Dictionary<string, string> { ["@type"] = "type.googleapis.com/google.firebase.fcm.v1.FcmError", ["errorCode"] = "UNREGISTERED" } } } })(http, number);
                return;
            case 3 when _taken.AddOrUpdate((address, message), 1, (_, count) => count + 1) is 1:
                http.Abort();
                return;
            case 3:
                await fake.SucceedAsync(http);
                return;
        }
        _taken.AddOrUpdate((address, message), 1, (_, count) => count + 1);
        await fake.SucceedAsync(http);
    }

    private Task<(Process Process, HttpClient Http)> StartAsync() => _processes.StartAsync(
        _database, ("Push__FcmAddress", _fcm.Address), ("Push__FcmTokenAddress", $"{_fcm.PlainAddress}/token"), ("Push__ApnsAddress", _apns.Address), ("Push__BreakAfter", "1000"),
        ("Push__InFlight", "10"), ("Push__Batch", "100"));

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

    private async Task RegisterAsync()
    {
        await using var connection = new NpgsqlConnection(_database);
        await connection.ExecuteAsync(
            """
            insert into push.registration (device_id, app_id, network, address, address_hash, host, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
            select gen_random_uuid(), @App, case when n % 2 = 0 then 'apns' else 'fcm' end, address, sha256(address::bytea), '', 'android', '1.0.0', '', 'en', 'UTC', '{}', now(), now()
            from generate_series(1, @Devices) n, lateral (select lpad(to_hex(n), 24, 'a') || lpad((n % 100)::text, 2, '0') as address) as a;
            create schema crash;
            create table crash.address as select device_id, address from push.registration;
            """, new { App, Devices });
    }

    private async Task<List<(string Address, string State)>> RowsAsync(Guid message)
    {
        await using var connection = new NpgsqlConnection(_database);
        return [.. await connection.QueryAsync<(string, string)>(
            "select a.address, d.state from push.delivery d join crash.address a using (device_id) where d.message_id = @message", new { message })];
    }
}
