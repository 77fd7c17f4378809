using System.Buffers.Text;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using MobileServices.Push;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>The push service with a fake of each network. Each test has an app of its own.</summary>
public sealed class PushService : IAsyncLifetime
{
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private int _apps;

    /// <summary>Settings beside its own.</summary>
    internal (string Key, string Value)[] More { get; init; } = [];

    internal string Database { get; private set; } = "";

    internal TestService<PushOptions> One { get; private set; } = null!;

    internal FakeNetwork Web { get; private set; } = null!;

    internal FakeNetwork Fcm { get; private set; } = null!;

    internal FakeNetwork Apns { get; private set; } = null!;

    internal HttpClient Http => One.Http;

    public async Task InitializeAsync()
    {
        Database = await TestPostgres.CreateDatabaseAsync();
        Web = await FakeNetwork.WebPushAsync();
        Fcm = await FakeNetwork.FcmAsync();
        Apns = await FakeNetwork.ApnsAsync();
        One = Start();
    }

    public async Task DisposeAsync()
    {
        await One.DisposeAsync();
        await Web.DisposeAsync();
        await Fcm.DisposeAsync();
        await Apns.DisposeAsync();
    }

    internal TestService<PushOptions> Start(params (string Key, string Value)[] settings) => new([.. Settings(), .. settings]);

    internal (string Key, string Value)[] Settings() =>
    [
        ("ConnectionStrings:mobiledb", Database), ("Run", "push"), ("Push:AllowPrivateEndpoints", "true"), ("Push:FcmAddress", Fcm.Address),
        ("Push:FcmTokenAddress", $"{Fcm.PlainAddress}/token"), ("Push:ApnsAddress", Apns.Address), ("Push:FirstRetrySeconds", "0.05"), ("Push:WakeupSeconds", "1"),
        ("Push:TimeoutSeconds", "5"), .. More,
    ];

    internal string NewApp() => $"com.example.push{Interlocked.Increment(ref _apps)}";

    /// <summary>An app with a credential for each network.</summary>
    internal async Task<string> NewReadyAppAsync()
    {
        var app = NewApp();
        await PutAsync($"/push/apps/{app}/networks/webpush", new { subject = "mailto:push@example.com" });
        await PutAsync($"/push/apps/{app}/networks/fcm", new { serviceAccount = ServiceAccount() });
        await PutAsync($"/push/apps/{app}/networks/apns", ApnsCredential());
        return app;
    }

    internal static object ServiceAccount()
    {
        using var key = RSA.Create(2048);
        return new { type = "service_account", project_id = "shop", private_key_id = "k1", private_key = key.ExportPkcs8PrivateKeyPem(), client_email = "push@shop.example" };
    }

    internal static object ApnsCredential()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new { keyId = "ABCDE12345", teamId = "TEAM123456", topic = "com.example.shop", privateKey = key.ExportPkcs8PrivateKeyPem() };
    }

    internal static string ApnsToken() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    internal static string FcmToken() => $"fcm_{Guid.NewGuid():N}";

    internal static object Keys() => DeviceKeys.New().Public;

    /// <summary>A device with an address of its own.</summary>
    internal async Task<TestDevice> DeviceAsync(
        string app, string network = "fcm", string user = "ada", string[]? tags = null, string locale = "en", string zone = "UTC", string version = "1.0.0", string? customer = null, Guid? id = null,
        DeviceKeys? keys = null)
    {
        var address = network switch { "apns" => ApnsToken(), "webpush" => $"sub{Guid.NewGuid():N}", _ => FcmToken() };
        var device = new TestDevice(id ?? Guid.NewGuid(), app, network, address, user, customer);
        await RegisterAsync(device, tags, locale, zone, version, keys);
        return device;
    }

    /// <param name="keys">Devices of Web Push have some anyway.</param>
    internal async Task RegisterAsync(TestDevice device, string[]? tags = null, string locale = "en", string zone = "UTC", string version = "1.0.0", DeviceKeys? keys = null)
    {
        using var http = ClientOf(device.User, device.Customer);
        using var answer = await http.PutAsJsonAsync($"/push/registrations/{device.Id}", new
        {
            appId = device.App,
            network = device.Network,
            address = device.Network is "webpush" ? $"{Web.PlainAddress}/push/{device.Address}" : device.Address,
            keys = keys?.Public ?? (device.Network is "webpush" ? Keys() : null),
            platform = device.Network is "apns" ? "ios" : "android",
            appVersion = version,
            locale,
            timeZone = zone,
            tags = tags ?? [],
        });
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    internal HttpClient ClientOf(string user, string? customer = null)
    {
        var http = new HttpClient { BaseAddress = One.Address };
        http.Authorize(TestAuthority.Shared.Token("push", token =>
        {
            token.Claims["sub"] = user;
            if (customer is not null)
            {
                token.Claims["customer"] = customer;
            }
        }));
        return http;
    }

    internal async Task PutAsync(string path, object body)
    {
        using var answer = await Http.PutAsJsonAsync(path, body);
        Assert.True(answer.IsSuccessStatusCode, $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
    }

    internal async Task<Guid> SendAsync(object message)
    {
        using var answer = await Http.PostAsJsonAsync("/push/messages", message);
        Assert.True(answer.StatusCode is HttpStatusCode.Accepted, $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
    }

    internal Task<JsonElement> StateAsync(Guid message) => Http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}");

    /// <summary>Waits until everything of a message has come to its end.</summary>
    internal async Task<Dictionary<string, long>> CompletedAsync(Guid message)
    {
        JsonElement state = default;
        await Eventually.TrueAsync(async () => (state = await StateAsync(message)).GetProperty("state").GetString() is "completed" or "recalled", Patience);
        return Counts(state);
    }

    internal static Dictionary<string, long> Counts(JsonElement state) => state.GetProperty("counts").EnumerateObject().ToDictionary(count => count.Name, count => count.Value.GetInt64());

    /// <summary>Waits until the message has reached the device's row.</summary>
    internal async Task<JsonElement> ExplainAsync(Guid message, Guid device)
    {
        JsonElement explanation = default;
        await Eventually.TrueAsync(async () =>
        {
            using var answer = await Http.GetAsync($"/push/deliveries/{message:N}-{device:N}/explanation");
            explanation = await answer.Content.ReadFromJsonAsync<JsonElement>();
            return answer.IsSuccessStatusCode;
        }, Patience);
        return explanation;
    }

    /// <summary>What happened to one delivery, in words.</summary>
    internal async Task<string[]> DecisionsAsync(Guid message, Guid device) =>
        [.. (await ExplainAsync(message, device)).GetProperty("decisions").EnumerateArray().Select(decision => decision.GetProperty("what").GetString()!)];

    internal async Task<string> DeliveryStateAsync(Guid message, Guid device) =>
        (await ExplainAsync(message, device)).GetProperty("delivery").GetProperty("state").GetString()!;

    internal async Task<T> QueryAsync<T>(string sql, params (string Name, object Value)[] parameters)
    {
        await using var connection = new NpgsqlConnection(Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var (name, value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }
        return (T)(await command.ExecuteScalarAsync())!;
    }
}

/// <param name="Address">As the fakes call it.</param>
internal sealed record TestDevice(Guid Id, string App, string Network, string Address, string User, string? Customer);

/// <summary>What a device decrypts with, and what it registers of that.</summary>
/// <param name="Scalar">The private key.</param>
internal sealed record DeviceKeys(byte[] Scalar, string P256dh, string Auth)
{
    public object Public => new { p256dh = P256dh, auth = Auth };

    public static DeviceKeys New()
    {
        using var key = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);
        var parameters = key.ExportParameters(includePrivateParameters: true);
        return new(parameters.D!, Base64Url.EncodeToString([4, .. parameters.Q.X!, .. parameters.Q.Y!]), Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16)));
    }

    /// <summary>As somebody else's library decrypts it (http_ece of npm).</summary>
    public async Task<JsonElement> DecryptAsync(byte[] body) => JsonDocument.Parse(await NpmPushService.RunAsync(
        "http-ece.mjs", JsonSerializer.Serialize(new { body = Convert.ToBase64String(body), key = Convert.ToBase64String(Scalar), auth = Auth }))).RootElement;

    /// <summary>What a device finds encrypted in what its network hands on.</summary>
    public static byte[] Encrypted(string network, Pushed pushed) => network is "webpush" ? pushed.Body : Base64Url.DecodeFromChars(Content(network, pushed).Text("encrypted"));

    /// <summary>What FCM or APNs hands on.</summary>
    public static JsonElement Content(string network, Pushed pushed)
    {
        var body = JsonDocument.Parse(pushed.Body).RootElement;
        return network is "fcm" ? body.GetProperty("message").GetProperty("data") : body;
    }
}
