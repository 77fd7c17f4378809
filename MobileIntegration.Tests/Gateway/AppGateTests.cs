using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using Gateway;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using MobileServices.Devices;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Two replicas of the gateway before one service, with the real devices service, PostgreSQL and Redis behind the rules.</summary>
public sealed class AppGateTests : IAsyncLifetime
{
    private const string Shop = "com.example.shop";
    private static readonly TimeSpan ASecond = Eventually.Promised(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly DistributedApplication _storage;
    private string _redis = "";
    private string _database = "";
    private int _devicesPort;
    private TestService<DeviceStore> _devices = null!;
    private WebApplication _home = null!;
    private HttpClient _homeHttp = null!;
    private readonly List<TestService<DiscoveredDestinations>> _gateways = [];
    private int _streams;

    public AppGateTests()
    {
        var storage = DistributedApplicationTestingBuilder.Create();
        storage.AddRedis("redis");
        _storage = storage.Build();
    }

    public async Task InitializeAsync()
    {
        await _storage.StartAsync();
        _redis = (await _storage.GetConnectionStringAsync("redis"))!;
        _database = await TestPostgres.CreateDatabaseAsync();
        _devicesPort = TestServices.FreePort();
        _devices = new(_devicesPort, ("ConnectionStrings:mobiledb", _database), ("ConnectionStrings:redis", _redis), ("Run", "devices"));
        (_home, _homeHttp) = await TestServices.StartAsync(_ => { }, MapHome);
    }

    public async Task DisposeAsync()
    {
        foreach (var gateway in _gateways)
        {
            await gateway.DisposeAsync();
        }
        _homeHttp.Dispose();
        await _home.DisposeAsync();
        await _devices.DisposeAsync();
        await _storage.DisposeAsync();
    }

    [Fact]
    public async Task A_blocked_version_ends_on_both_replicas_within_a_second_and_the_next_version_notices_nothing()
    {
        var gateways = await StartTwoAsync(pollSeconds: 300);
        await using var load = new Load(gateways, "1.5.0");
        // Neither has ever called /devices/init.
        using var events = await SendAsync(gateways[0], "/api/home/events", "1.4.2");
        var stream = await events.Content.ReadAsStreamAsync();
        Assert.True(await stream.ReadAtLeastAsync(new byte[10], 10) >= 10);
        using var socket = await ConnectAsync(gateways[1], "1.4.2");
        var poll = SendAsync(gateways[1], "/api/home/poll", "1.4.0");
        await Eventually.TrueAsync(() => _streams is 3 && load.Answers > 200, Patience);

        var since = Stopwatch.StartNew();
        var rule = await PutRuleAsync("stop-1.4", "1.4.x");
        await Task.WhenAll(gateways.Select(gateway => Eventually.TrueAsync(() => IsAsync(gateway, "1.4.2", HttpStatusCode.UpgradeRequired), ASecond)));
        await Assert.ThrowsAnyAsync<Exception>(() => stream.CopyToAsync(Stream.Null));
        await Assert.ThrowsAnyAsync<WebSocketException>(() => socket.ReceiveAsync(new byte[1], CancellationToken.None));
        using (var ended = await poll)
        {
            await ended.ProblemAsync(426);
        }
        await Eventually.TrueAsync(() => _streams is 0, ASecond);
        Assert.InRange(since.Elapsed, TimeSpan.Zero, ASecond);

        since.Restart();
        await DeleteRuleAsync("stop-1.4", rule);
        await Task.WhenAll(gateways.Select(gateway => Eventually.TrueAsync(() => IsAsync(gateway, "1.4.2", HttpStatusCode.OK), ASecond)));
        Assert.InRange(since.Elapsed, TimeSpan.Zero, ASecond);

        await load.StopAsync();
        Assert.Empty(load.Failures);
        Assert.InRange(load.Answers, 200, int.MaxValue);
    }

    [Fact]
    public async Task Without_Redis_the_poll_brings_the_change()
    {
        var gateways = await StartTwoAsync(pollSeconds: 1);
        await _storage.StopAsync();

        var rule = await PutRuleAsync("stop-1.4", "1.4.x");
        var within = Eventually.Promised(3);
        await Task.WhenAll(gateways.Select(gateway => Eventually.TrueAsync(() => IsAsync(gateway, "1.4.2", HttpStatusCode.UpgradeRequired), within)));
        Assert.All(gateways, gateway => Assert.True(IsAsync(gateway, "1.5.0", HttpStatusCode.OK).Result));
        await DeleteRuleAsync("stop-1.4", rule);
        await Task.WhenAll(gateways.Select(gateway => Eventually.TrueAsync(() => IsAsync(gateway, "1.4.2", HttpStatusCode.OK), within)));
    }

    [Fact]
    public async Task While_the_devices_service_is_away_or_fails_the_last_rules_hold_and_afterwards_the_new_ones_do()
    {
        var gateways = await StartTwoAsync(pollSeconds: 1);
        var rule = await PutRuleAsync("stop-1.4", "1.4.x");
        await BothAsync(HttpStatusCode.UpgradeRequired);

        await _devices.DisposeAsync();
        var asked = 0;
        var failing = (await TestServices.StartAsync(
            _ => { },
            app => app.MapGet("/app-gate", () => { Interlocked.Increment(ref asked); return Results.Problem(statusCode: 500); }),
            $"--urls=http://127.0.0.1:{_devicesPort}")).App;
        await Eventually.TrueAsync(() => asked > 8, Patience);
        Assert.All(gateways, gateway => Assert.True(IsAsync(gateway, "1.4.2", HttpStatusCode.UpgradeRequired).Result));
        Assert.All(gateways, gateway => Assert.True(IsAsync(gateway, "1.5.0", HttpStatusCode.OK).Result));

        await failing.DisposeAsync();
        _devices = new(_devicesPort, ("ConnectionStrings:mobiledb", _database), ("ConnectionStrings:redis", _redis), ("Run", "devices"));
        await DeleteRuleAsync("stop-1.4", rule);
        await BothAsync(HttpStatusCode.OK);

        Task BothAsync(HttpStatusCode status) =>
            Task.WhenAll(gateways.Select(gateway => Eventually.TrueAsync(() => IsAsync(gateway, "1.4.2", status), Patience)));
    }

    [Fact]
    public async Task A_rule_that_begins_later_ends_calls_when_it_begins()
    {
        var gateway = (await StartTwoAsync(pollSeconds: 300))[0];
        using var events = await SendAsync(gateway, "/api/home/events", "1.4.2");
        var stream = await events.Content.ReadAsStreamAsync();
        await PutRuleAsync("later", "1.4.x", more: rule => rule["from"] = DateTimeOffset.UtcNow.AddSeconds(2));
        Assert.True(await IsAsync(gateway, "1.4.2", HttpStatusCode.OK));
        await Assert.ThrowsAnyAsync<Exception>(() => stream.CopyToAsync(Stream.Null));
        Assert.True(await IsAsync(gateway, "1.4.2", HttpStatusCode.UpgradeRequired));
    }

    [Fact]
    public async Task A_refusal_says_why_and_what_mends_it()
    {
        var gateway = (await StartTwoAsync(pollSeconds: 300))[0];
        await PutRuleAsync("stop-1.4", "1.4.x");
        await PutRuleAsync("end-0", "0.x || >=9.0.0");
        await Eventually.TrueAsync(() => IsAsync(gateway, "9.9.0", HttpStatusCode.Forbidden), Patience);

        using var blocked = await SendAsync(gateway, "/api/home", "1.4.2", request => request.Headers.AcceptLanguage.ParseAdd("de-CH, en;q=0.5"));
        var problem = await blocked.ProblemAsync(426);
        Assert.Equal(
            ("Bitte aktualisieren", "stop-1.4", "1.5.0", "https://store.example/shop"),
            (problem.GetProperty("detail").GetString(), problem.GetProperty("rule").GetString(), problem.GetProperty("minimumVersion").GetString(),
                problem.GetProperty("store").GetString()));
        Assert.Equal("com.example.shop/1.5.0", blocked.Headers.Upgrade.Single().ToString());
        Assert.True(blocked.Headers.CacheControl!.NoStore);

        using var ended = await SendAsync(gateway, "/api/home", "9.9.0");
        Assert.False((await ended.ProblemAsync(403)).TryGetProperty("minimumVersion", out _));
        Assert.Empty(ended.Headers.Upgrade);
    }

    [Fact]
    public async Task A_warned_version_passes_and_is_told()
    {
        var gateway = (await StartTwoAsync(pollSeconds: 300))[0];
        await PutRuleAsync("old", "1.4.x", more: rule => rule["action"] = "warn");
        await Eventually.TrueAsync(async () => (await SendAsync(gateway, "/api/home", "1.4.2")).Headers.Contains("X-App-Decision"), Patience);
        using var warned = await SendAsync(gateway, "/api/home", "1.4.2", request => request.Headers.AcceptLanguage.ParseAdd("fr"));
        Assert.Equal(HttpStatusCode.OK, warned.StatusCode);
        Assert.Equal(
            """warn;rule="old";minimum="1.5.0";store="https://store.example/shop";message=%"Mettez %c3%a0 jour" """.TrimEnd(),
            warned.Headers.GetValues("X-App-Decision").Single());
        using var current = await SendAsync(gateway, "/api/home", "1.5.0");
        Assert.False(current.Headers.Contains("X-App-Decision"));
    }

    [Fact]
    public async Task A_blocked_device_is_stopped_whatever_its_version_and_all_others_pass()
    {
        var gateways = await StartTwoAsync(pollSeconds: 300);
        var (lost, other) = (Guid.NewGuid(), Guid.NewGuid());
        using var events = await SendAsync(gateways[1], "/api/home/events", "1.5.0", request => request.Headers.Add("X-Device-Id", $"{lost}"));
        (await _devices.Http.PutAsJsonAsync($"/devices/admin/devices/{lost}/block", new { reason = "lost" })).EnsureSuccessStatusCode();

        await Assert.ThrowsAnyAsync<Exception>(() => events.Content.CopyToAsync(Stream.Null));
        foreach (var gateway in gateways)
        {
            await Eventually.TrueAsync(() => IsAsync(gateway, "1.5.0", HttpStatusCode.Forbidden, lost), Patience);
            Assert.True(await IsAsync(gateway, "1.5.0", HttpStatusCode.OK, other));
        }
    }

    [Fact]
    public async Task A_header_of_an_app_that_cannot_be_read_is_refused()
    {
        await using var gateway = Start();
        foreach (var (name, value) in ((string, string)[])[("X-App-Version", "1.4"), ("X-App-Version", ""), ("X-App-Platform", "amiga"), ("X-Device-Id", "me"), ("X-App-Id", "")])
        {
            using var refused = await SendAsync(gateway, "/api/home", "1.5.0", request =>
            {
                request.Headers.Remove(name);
                if (value is not "")
                {
                    request.Headers.Add(name, value);
                }
            });
            var problem = await refused.ProblemAsync(400);
            Assert.Contains(name, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Calls_that_name_no_app_pass_or_not_as_the_setting_says_but_a_browser_can_always_log_in()
    {
        await using var lenient = Start();
        await using var strict = Start(("AppGate:WithoutHeaders", "refuse"));
        Assert.Equal(HttpStatusCode.OK, (await lenient.Http.GetAsync("/api/home")).StatusCode);
        var problem = await (await strict.Http.GetAsync("/api/home")).ProblemAsync(400);
        Assert.Contains("X-App-Id", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        await using var identity = Start(("AppGate:WithoutHeaders", "refuse"), ("Authentication:InternalAddress", "http://identity/identity"));
        Assert.Equal(HttpStatusCode.OK, (await identity.Http.GetAsync("/identity/connect/authorize")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await strict.Http.GetAsync("/devices/keys")).StatusCode);
        Assert.True(await IsAsync(strict, "1.5.0", HttpStatusCode.OK));
    }

    [Fact]
    public async Task Before_the_first_rules_calls_pass_or_not_as_the_setting_says()
    {
        var nobody = TestServices.At("devices", new("http://127.0.0.1:9"));
        await using var lenient = Start(nobody);
        await using var strict = Start(nobody, ("AppGate:BeforeRules", "refuse"));
        Assert.True(await IsAsync(lenient, "1.4.2", HttpStatusCode.OK));
        using var refused = await SendAsync(strict, "/api/home", "1.4.2");
        await refused.ProblemAsync(503);
        Assert.Equal(TimeSpan.FromSeconds(5), refused.Headers.RetryAfter?.Delta);
    }

    private void MapHome(WebApplication app)
    {
        app.UseWebSockets();
        app.MapGet("/identity/connect/authorize", () => "log in");
        app.MapGet("/api/home", () => "home");
        app.MapGet("/api/home/events", async (HttpContext http) =>
        {
            http.Response.ContentType = "text/event-stream";
            await http.Response.WriteAsync("data: 1\n\ndata: 2\n\n");
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

    private async Task HoldAsync(CancellationToken ct)
    {
        Interlocked.Increment(ref _streams);
        var ended = new TaskCompletionSource();
        await using (ct.Register(ended.SetResult))
        {
            await ended.Task;
        }
        Interlocked.Decrement(ref _streams);
    }

    private TestService<DiscoveredDestinations> Start(params (string, string)[] settings)
    {
        (string, string)[] defaults =
        [
            TestServices.At("devices", _devices.Address), TestServices.At("home", _homeHttp.BaseAddress!), TestServices.At("identity", _homeHttp.BaseAddress!),
            ("ConnectionStrings:redis", _redis), ("ConnectionStrings:mobiledb", _database),
        ];
        return new([.. defaults, .. settings]);
    }

    private async Task<IReadOnlyList<TestService<DiscoveredDestinations>>> StartTwoAsync(int pollSeconds)
    {
        _gateways.Add(Start(("AppGate:PollSeconds", $"{pollSeconds}")));
        _gateways.Add(Start(("AppGate:PollSeconds", $"{pollSeconds}")));
        // A rule of another app comes to both, so both listen.
        await PutRuleAsync("ready", "1.x", more: rule => rule["appId"] = "com.example.ready");
        foreach (var gateway in _gateways)
        {
            await Eventually.TrueAsync(async () =>
                (await SendAsync(gateway, "/api/home", "1.0.0", request => { request.Headers.Remove("X-App-Id"); request.Headers.Add("X-App-Id", "com.example.ready"); }))
                .StatusCode is HttpStatusCode.UpgradeRequired, Patience);
        }
        return _gateways;
    }

    /// <summary>Not so either when the call is cut, as one that is open at that moment may be.</summary>
    internal static async Task<bool> IsAsync(TestService<DiscoveredDestinations> gateway, string version, HttpStatusCode status, Guid? device = null)
    {
        try
        {
            using var response = await SendAsync(gateway, "/api/home", version, request =>
            {
                if (device is not null)
                {
                    request.Headers.Add("X-Device-Id", $"{device}");
                }
            });
            return response.StatusCode == status;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static async Task<HttpResponseMessage> SendAsync(
        TestService<DiscoveredDestinations> gateway, string path, string version, Action<HttpRequestMessage>? more = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("X-App-Id", Shop);
        request.Headers.Add("X-App-Version", version);
        request.Headers.Add("X-App-Platform", "android");
        request.Headers.Add("X-OS-Version", "16");
        more?.Invoke(request);
        return await gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private static async Task<ClientWebSocket> ConnectAsync(TestService<DiscoveredDestinations> gateway, string version)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {TestAuthority.AllScopes}");
        socket.Options.SetRequestHeader("X-App-Id", Shop);
        socket.Options.SetRequestHeader("X-App-Version", version);
        await socket.ConnectAsync(new($"ws://{gateway.Address.Authority}/api/home/socket"), CancellationToken.None);
        return socket;
    }

    /// <returns>The rule's ETag.</returns>
    private async Task<string> PutRuleAsync(string name, string versions, Action<Dictionary<string, object>>? more = null)
    {
        var rule = new Dictionary<string, object>
        {
            ["appId"] = Shop,
            ["action"] = "block",
            ["versions"] = versions,
            ["messages"] = new Dictionary<string, string> { ["*"] = "Please update", ["de"] = "Bitte aktualisieren", ["fr"] = "Mettez à jour" },
            ["stores"] = new Dictionary<string, string> { ["android"] = "https://store.example/shop" },
        };
        more?.Invoke(rule);
        var response = await _devices.Http.PutAsJsonAsync($"/devices/admin/rules/{name}", rule);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return response.Headers.ETag!.Tag;
    }

    private async Task DeleteRuleAsync(string name, string tag)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, $"/devices/admin/rules/{name}");
        request.Headers.IfMatch.Add(new(tag));
        (await _devices.Http.SendAsync(request)).EnsureSuccessStatusCode();
    }
}
