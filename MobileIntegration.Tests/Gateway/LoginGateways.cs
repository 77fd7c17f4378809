using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using Gateway;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using MobileIntegration.Tests.MobileServices;
using MobileServices.Identity;
using StackExchange.Redis;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Two replicas of the gateway before one service, with the real identity and devices services, PostgreSQL and Redis.</summary>
public sealed class LoginGateways : IAsyncLifetime
{
    private const string User = "grace";
    private const string Password = "correct horse battery staple";
    private const string Secret = "a secret of the back office, for tests";
    private static readonly string[] Scopes = ["home", "devices", "push", "sync"];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly DistributedApplication _storage;
    private readonly int _port = TestServices.FreePort();
    private WebApplication _home = null!;
    private HttpClient _homeHttp = null!;
    private (string, string)[] _settings = [];

    public LoginGateways()
    {
        var storage = DistributedApplicationTestingBuilder.Create();
        storage.AddRedis("redis");
        _storage = storage.Build();
    }

    internal TestService<IdentityContext> Mobile { get; private set; } = null!;

    internal string Database { get; private set; } = "";

    internal IReadOnlyList<TestService<DiscoveredDestinations>> Gateways { get; private set; } = [];

    public async Task InitializeAsync()
    {
        await _storage.StartAsync();
        var issuer = $"http://127.0.0.1:{_port}/identity";
        (string, string)[] shared =
        [
            ("ConnectionStrings:mobiledb", Database = await TestPostgres.CreateDatabaseAsync()), ("ConnectionStrings:redis", (await _storage.GetConnectionStringAsync("redis"))!),
            ("Authentication:Authority", issuer), ("Authentication:InternalAddress", "http://identity/identity"),
            .. new[] { "identity", "devices", "push", "sync" }.Select(name => TestServices.At(name, new($"http://127.0.0.1:{_port}"))),
        ];
        (_home, _homeHttp) = await TestServices.StartAsync(_ => { }, MapHome);
        Mobile = new(_port,
        [
            .. shared, ("Identity:Issuer", issuer),
            ("Identity:Clients:app:RedirectUris:0", "http://127.0.0.1/callback"),
            .. Scopes.Select((scope, n) => ($"Identity:Clients:app:Scopes:{n}", scope)),
            ("Identity:Clients:back-office:Secret", Secret), ("Identity:Clients:back-office:Scopes:0", "users"), ("Identity:Clients:back-office:Scopes:1", "devices.admin"),
        ]);
        _settings = [.. shared, TestServices.At("home", _homeHttp.BaseAddress!)];
        Gateways = [StartGateway(), StartGateway()];
        using var made = await SendAsync(Mobile.Http, HttpMethod.Put, $"/identity/users/{User}", await BackOfficeAsync(), new { displayName = "Grace", password = Password });
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
    }

    public async Task DisposeAsync()
    {
        foreach (var gateway in Gateways)
        {
            await gateway.DisposeAsync();
        }
        await Mobile.DisposeAsync();
        _homeHttp.Dispose();
        await _home.DisposeAsync();
        await _storage.DisposeAsync();
    }

    internal TestService<DiscoveredDestinations> StartGateway() => new(_settings);

    internal async Task StopRedisAsync()
    {
        await _storage.StopAsync();
        IConnectionMultiplexer[] clients = [.. new[] { Mobile.Services }.Concat(Gateways.Select(gateway => gateway.Services))
            .Select(services => (IConnectionMultiplexer)services.GetService(typeof(IConnectionMultiplexer))!)];
        await Eventually.TrueAsync(() => clients.All(redis => !redis.IsConnected), Patience);
    }

    /// <summary>A token of a client that calls for itself.</summary>
    internal async Task<string> BackOfficeAsync() => (await IdentityService.TokenAsync(
        Mobile.Http, "client_credentials", ("client_id", "back-office"), ("client_secret", Secret), ("scope", "users devices.admin"))).Text("access_token");

    /// <summary>The user logs in on a device, which registers itself.</summary>
    internal async Task<Login> LogInAsync(Guid? device = null)
    {
        var id = device ?? Guid.NewGuid();
        var login = new Login(id, await TokensAsync(id));
        using var registered = await SendAsync(Gateways[0].Http, HttpMethod.Put, $"/devices/{login.Device}", login.Token, new
        {
            appId = "com.example.shop",
            appVersion = "1.4.0",
            platform = "android",
            osVersion = "16",
            model = "Pixel 9",
            locale = "de-AT",
            timeZone = "Europe/Vienna",
            pushAddresses = new[] { new { network = "fcm", address = $"{login.Device}" } },
        });
        Assert.True(registered.IsSuccessStatusCode, await registered.Content.ReadAsStringAsync());
        return login;
    }

    /// <param name="device">In the authorization request; none for null.</param>
    internal async Task<JsonElement> TokensAsync(Guid? device, params (string Key, string Value)[] more) =>
        await TokensAsync(device is null ? "" : $"&device_id={device}", more);

    private async Task<JsonElement> TokensAsync(string query, params (string Key, string Value)[] more)
    {
        using var browser = new Browser(Mobile.Address);
        var (address, verifier) = IdentityService.AuthorizeAddress(scope: $"openid offline_access {string.Join(' ', Scopes)}", more: query);
        var end = await browser.LogInAsync(address, User, Password);
        return await IdentityService.TokenAsync(
            Mobile.Http, "authorization_code",
            [("client_id", "app"), ("code", end.Parameter("code")), ("redirect_uri", IdentityService.Redirect), ("code_verifier", verifier), .. more]);
    }

    internal Task<JsonElement> RefreshAsync(JsonElement tokens, params (string Key, string Value)[] more) => IdentityService.TokenAsync(
        Mobile.Http, "refresh_token", [("client_id", "app"), ("refresh_token", tokens.Text("refresh_token")), .. more]);

    internal static async Task<HttpResponseMessage> SendAsync(HttpClient http, HttpMethod method, string path, string token, object? body = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        request.Headers.Authorization = new("Bearer", token);
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <returns>0 when the call was cut, as one that is open at that moment may be.</returns>
    internal static async Task<int> StatusAsync(HttpClient http, string token, string path = "/api/home")
    {
        try
        {
            using var response = await SendAsync(http, HttpMethod.Get, path, token);
            return (int)response.StatusCode;
        }
        catch (HttpRequestException)
        {
            return 0;
        }
    }

    /// <summary>A stream of events that has begun.</summary>
    internal async Task<Stream> EventsAsync(int gateway, string token)
    {
        var events = await SendAsync(Gateways[gateway].Http, HttpMethod.Get, "/api/home/events", token);
        var stream = await events.Content.ReadAsStreamAsync();
        Assert.Equal(10, await stream.ReadAtLeastAsync(new byte[10], 10));
        return stream;
    }

    internal async Task<ClientWebSocket> SocketAsync(int gateway, string token)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {token}");
        await socket.ConnectAsync(new($"ws://{Gateways[gateway].Address.Authority}/api/home/socket"), CancellationToken.None);
        return socket;
    }

    private static void MapHome(WebApplication app)
    {
        app.UseWebSockets();
        app.MapGet("/api/home", () => "home");
        app.MapGet("/api/home/events", async (HttpContext http) =>
        {
            http.Response.ContentType = "text/event-stream";
            await http.Response.WriteAsync("data: 1\n\n:");
            await http.Response.Body.FlushAsync();
            await HoldAsync(http.RequestAborted);
        }).DisableRequestTimeout();
        app.MapGet("/api/home/poll", (HttpContext http) => HoldAsync(http.RequestAborted)).DisableRequestTimeout();
        app.MapGet("/api/home/socket", async (HttpContext http) =>
        {
            using var socket = await http.WebSockets.AcceptWebSocketAsync();
            await HoldAsync(http.RequestAborted);
        }).DisableRequestTimeout();
    }

    private static async Task HoldAsync(CancellationToken ct)
    {
        var ended = new TaskCompletionSource();
        await using (ct.Register(ended.SetResult))
        {
            await ended.Task;
        }
    }

    internal sealed record Login(Guid Device, JsonElement Tokens)
    {
        public string Token => Tokens.Text("access_token");
    }
}
