using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Microsoft.AspNetCore.Http;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Push services to be killed, over one database, and the networks they send to, which remember who got what.</summary>
/// <param name="delay">Until a network answers.</param>
/// <param name="faultOf">Of an address: 1 is busy the first time, 2 is dead, 3 takes the message and breaks off before it says so, the first time.</param>
/// <param name="settings">Of the services.</param>
internal sealed class CrashScene(string app, TimeSpan delay, Func<string, int> faultOf, params (string Key, string Value)[] settings) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<(string Address, Guid Message), bool> _wasBusy = [];
    private readonly PushProcesses _processes = new();
    private FakeNetwork _fcm = null!;
    private FakeNetwork _apns = null!;
    private string _database = "";

    /// <summary>How often each address has taken each message.</summary>
    public ConcurrentDictionary<(string Address, Guid Message), int> Taken { get; } = [];

    public async Task InitializeAsync()
    {
        _database = await TestPostgres.CreateDatabaseAsync();
        _fcm = await FakeNetwork.FcmAsync();
        _apns = await FakeNetwork.ApnsAsync();
        foreach (var fake in new[] { _fcm, _apns })
        {
            fake.Delay = delay;
            fake.Otherwise = (http, number) => AnswerAsync(fake, http, number);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _processes.Dispose();
        await _fcm.DisposeAsync();
        await _apns.DisposeAsync();
    }

    public Task<(Process Process, HttpClient Http)> StartAsync() => _processes.StartAsync(
        _database, [
            ("Push__FcmAddress", _fcm.Address), ("Push__FcmTokenAddress", $"{_fcm.PlainAddress}/token"), ("Push__ApnsAddress", _apns.Address), ("Push__BreakAfter", "1000"), .. settings,
        ]);

    public async Task SaveCredentialsAsync(HttpClient http)
    {
        foreach (var (network, credential) in new (string, object)[] { ("fcm", new { serviceAccount = PushService.ServiceAccount() }), ("apns", PushService.ApnsCredential()) })
        {
            using var answer = await http.PutAsJsonAsync($"/push/apps/{app}/networks/{network}", credential);
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }
    }

    public static async Task<Guid> SendAsync(HttpClient http, object message)
    {
        using var answer = await http.PostAsJsonAsync("/push/messages", message);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
    }

    /// <summary>Devices of which every second is of APNs, the others of FCM; called again, those that were found dead since.</summary>
    public Task RegisterAsync(int devices) => RunAsync(connection => connection.ExecuteAsync(
        """
        create schema if not exists crash;
        create table if not exists crash.address as
        select n, gen_random_uuid() as device_id, lpad(to_hex(n), 24, 'a') || lpad((n % 100)::text, 2, '0') as address from generate_series(1, @devices) n;
        insert into push.registration (device_id, app_id, network, address, address_hash, host, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
        select device_id, @app, case when n % 2 = 0 then 'apns' else 'fcm' end, address, sha256(address::bytea), '', 'android', '1.0.0', '', 'en', 'UTC', '{}', now(), now() from crash.address
        on conflict do nothing
        """, new { app, devices }));

    /// <summary>The ledger of a message.</summary>
    public Task<List<(string Address, string State)>> RowsAsync(Guid message) => RunAsync(async connection => (await connection.QueryAsync<(string, string)>(
        "select a.address, d.state from push.delivery d join crash.address a using (device_id) where d.message_id = @message", new { message })).AsList());

    public Task<long> CountAsync(string table) => RunAsync(connection => connection.ExecuteScalarAsync<long>($"select count(*) from {table}"));

    private async Task<T> RunAsync<T>(Func<NpgsqlConnection, Task<T>> run)
    {
        await using var connection = new NpgsqlConnection(_database);
        return await run(connection);
    }

    private async Task AnswerAsync(FakeNetwork fake, HttpContext http, int number)
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
        switch (faultOf(address))
        {
            case 1 when _wasBusy.TryAdd((address, id), true):
                http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                break;
            case 2:
                await FakeNetwork.Answer(isApns ? 410 : 404, isApns
                    ? new { reason = "Unregistered" }
                    : new { error = new { details = new[] { new Dictionary<string, string> { ["@type"] = "type.googleapis.com/google.firebase.fcm.v1.FcmError", ["errorCode"] = "UNREGISTERED" } } } })(http, number);
                break;
            case var fault when Taken.AddOrUpdate((address, id), 1, (_, count) => count + 1) is 1 && fault is 3:
                http.Abort();
                break;
            default:
                await fake.SucceedAsync(http);
                break;
        }
    }
}
