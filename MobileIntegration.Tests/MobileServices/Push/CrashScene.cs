using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using System.Security.Cryptography;
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
    private FakeNetwork _web = null!;
    /// <summary>Of all devices of Web Push.</summary>
    private readonly DeviceKeys _keys = DeviceKeys.New();
    private string _database = "";

    /// <summary>How often each address has taken each message.</summary>
    public ConcurrentDictionary<(string Address, Guid Message), int> Taken { get; } = [];

    public async Task InitializeAsync()
    {
        _database = await TestPostgres.CreateDatabaseAsync();
        _fcm = await FakeNetwork.FcmAsync();
        _apns = await FakeNetwork.ApnsAsync();
        _web = await FakeNetwork.WebPushAsync();
        foreach (var fake in new[] { _fcm, _apns, _web })
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
        await _web.DisposeAsync();
    }

    public Task<(Process Process, HttpClient Http)> StartAsync() => _processes.StartAsync(
        _database, [
            ("Push__FcmAddress", _fcm.Address), ("Push__FcmTokenAddress", $"{_fcm.PlainAddress}/token"), ("Push__ApnsAddress", _apns.Address), ("Push__AllowPrivateEndpoints", "true"),
            ("Push__BreakAfter", "1000"), .. settings,
        ]);

    public async Task SaveCredentialsAsync(HttpClient http)
    {
        foreach (var (network, credential) in new (string, object)[]
        {
            ("fcm", new { serviceAccount = PushService.ServiceAccount() }), ("apns", PushService.ApnsCredential()), ("webpush", new { subject = "mailto:push@example.com" }),
        })
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

    /// <summary>Devices of APNs, FCM and Web Push in turn; called again, those that were found dead since.</summary>
    public Task RegisterAsync(int devices) => RunAsync(connection => connection.ExecuteAsync(
        """
        create schema if not exists crash;
        create table if not exists crash.address as
        select n, gen_random_uuid() as device_id, lpad(to_hex(n), 24, 'a') || lpad((n % 100)::text, 2, '0') as address from generate_series(1, @devices) n;
        insert into push.registration (
            device_id, app_id, network, address, address_hash, host, p256dh, auth, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
        select device_id, @app, network, prefix || address, sha256((prefix || address)::bytea), host, p256dh, auth, 'android', '1.0.0', '', 'en', 'UTC', '{}', now(), now()
        from crash.address
        join (values (0, 'apns', '', '', null, null), (1, 'fcm', '', '', null, null), (2, 'webpush', @web, @web || '/push/', @p256dh, @auth)) networks (turn, network, host, prefix, p256dh, auth)
            on turn = n % 3
        on conflict do nothing
        """, new { app, devices, web = _web.PlainAddress, p256dh = Base64Url.DecodeFromChars(_keys.P256dh), auth = Base64Url.DecodeFromChars(_keys.Auth) }));

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
        var body = (byte[])http.Items["body"]!;
        using var json = JsonDocument.Parse(fake == _web ? Decrypt(body) : body);
        var isFcm = fake == _fcm;
        var message = isFcm ? json.RootElement.GetProperty("message") : json.RootElement;
        if (message.TryGetProperty("topic", out _))
        {
            await fake.SucceedAsync(http);
            return;
        }
        var address = isFcm ? message.Text("token") : http.Request.Path.Value!.Split('/')[^1];
        var id = Guid.Parse(isFcm ? message.GetProperty("data").Text("messageId") : message.Text(fake == _web ? "id" : "messageId"));
        switch (faultOf(address))
        {
            case 1 when _wasBusy.TryAdd((address, id), true):
                http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                break;
            case 2:
                await FakeNetwork.Answer(isFcm ? 404 : 410, isFcm
                    ? new { error = new { details = new[] { new Dictionary<string, string> { ["@type"] = "type.googleapis.com/google.firebase.fcm.v1.FcmError", ["errorCode"] = "UNREGISTERED" } } } }
                    : new { reason = "Unregistered" })(http, number);
                break;
            case var fault when Taken.AddOrUpdate((address, id), 1, (_, count) => count + 1) is 1 && fault is 3:
                http.Abort();
                break;
            default:
                await fake.SucceedAsync(http);
                break;
        }
    }

    /// <summary>As a browser does (RFC 8291): which message it is stands in what the devices alone can read.</summary>
    private byte[] Decrypt(byte[] body)
    {
        const int Header = 86;
        const int Tag = 16;
        var (own, sender) = (Base64Url.DecodeFromChars(_keys.P256dh), body[21..Header]);
        using var device = ECDiffieHellman.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = _keys.Scalar, Q = new() { X = own[1..33], Y = own[33..] } });
        using var other = ECDiffieHellman.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new() { X = sender[1..33], Y = sender[33..] } });
        var secret = HKDF.DeriveKey(
            HashAlgorithmName.SHA256, device.DeriveRawSecretAgreement(other.PublicKey), 32, Base64Url.DecodeFromChars(_keys.Auth), [.. "WebPush: info\0"u8, .. own, .. sender]);
        using var cipher = new AesGcm(HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 16, body[..16], "Content-Encoding: aes128gcm\0"u8.ToArray()), Tag);
        var nonce = HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 12, body[..16], "Content-Encoding: nonce\0"u8.ToArray());
        var text = new byte[body.Length - Header - Tag];
        cipher.Decrypt(nonce, body.AsSpan(Header, text.Length), body.AsSpan(Header + text.Length), text);
        return text[..Array.LastIndexOf(text, (byte)2)];
    }
}
