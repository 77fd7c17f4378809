using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using Dapper;
using MobileIntegration.Tests.MobileServices;
using Npgsql;

namespace MobileIntegration.Tests.Gateway;

public sealed class LostDeviceTests(LoginGateways system) : IClassFixture<LoginGateways>
{
    private static readonly TimeSpan TwoSeconds = Eventually.Promised(2);

    [Fact]
    public async Task A_lost_device_ends_everywhere_within_two_seconds_and_another_of_the_same_user_goes_on()
    {
        var lost = await system.LogInAsync();
        var kept = await system.LogInAsync();
        // It does not say any more which device it is.
        using var socket = await system.SocketAsync(0, lost.Token);
        await using var events = await system.EventsAsync(1, lost.Token);
        var poll = LoginGateways.SendAsync(system.Gateways[0].Http, HttpMethod.Get, "/api/home/poll", lost.Token);
        await using var others = await system.EventsAsync(1, kept.Token);

        var since = Stopwatch.StartNew();
        using (var told = await LoginGateways.SendAsync(system.Gateways[0].Http, HttpMethod.Post, $"/devices/{lost.Device}/lost", kept.Token))
        {
            Assert.Equal(HttpStatusCode.NoContent, told.StatusCode);
        }

        await EndedAsync(lost.Token, TwoSeconds);
        await Assert.ThrowsAnyAsync<Exception>(() => events.CopyToAsync(Stream.Null));
        await Assert.ThrowsAnyAsync<WebSocketException>(() => socket.ReceiveAsync(new byte[1], CancellationToken.None));
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => poll);
        Assert.Equal("invalid_grant", (await system.RefreshAsync(lost.Tokens)).Text("error"));
        Assert.InRange(since.Elapsed, TimeSpan.Zero, TwoSeconds);

        await LivesAsync(kept.Token);
        var next = others.ReadAsync(new byte[1]).AsTask();
        Assert.False(next.IsCompleted);
        await LivesAsync((await system.RefreshAsync(kept.Tokens)).Text("access_token"));
        using var refused = await LoginGateways.SendAsync(system.Gateways[1].Http, HttpMethod.Get, "/api/home", lost.Token);
        await refused.ProblemAsync(401);
        Assert.Contains("invalid_token", refused.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_replication_and_the_push_registration_of_a_lost_device_end_within_two_seconds()
    {
        var lost = await system.LogInAsync();
        var kept = await system.LogInAsync();
        foreach (var login in (LoginGateways.Login[])[lost, kept])
        {
            using var registered = await LoginGateways.SendAsync(system.Gateways[0].Http, HttpMethod.Put, $"/push/registrations/{login.Device}", login.Token, new
            {
                appId = "com.example.shop",
                network = "fcm",
                address = $"address-of-{login.Device}",
                platform = "android",
                appVersion = "1.4.0",
                locale = "de-AT",
                timeZone = "Europe/Vienna",
            });
            Assert.True(registered.IsSuccessStatusCode, await registered.Content.ReadAsStringAsync());
        }
        using var made = await LoginGateways.SendAsync(system.Gateways[0].Http, HttpMethod.Put, "/sync/notes", lost.Token);
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        await using var feed = await FeedAsync(lost.Token);
        await using var others = await FeedAsync(kept.Token);

        var since = Stopwatch.StartNew();
        (await LoginGateways.SendAsync(system.Gateways[0].Http, HttpMethod.Post, $"/devices/{lost.Device}/lost", kept.Token)).EnsureSuccessStatusCode();
        await Assert.ThrowsAnyAsync<Exception>(() => feed.CopyToAsync(Stream.Null));
        Assert.Equal(401, await LoginGateways.StatusAsync(system.Gateways[0].Http, lost.Token, "/sync/notes"));
        await using var connection = new NpgsqlConnection(system.Database);
        await Eventually.TrueAsync(
            async () => (await connection.QueryAsync<Guid>("select device_id from push.registration where device_id = any (@ids)", new { ids = new[] { lost.Device, kept.Device } })).SequenceEqual([kept.Device]),
            TwoSeconds);
        Assert.InRange(since.Elapsed, TimeSpan.Zero, TwoSeconds);

        // The same database on the other device: it is the user's, not the device's.
        (await LoginGateways.SendAsync(system.Gateways[1].Http, HttpMethod.Put, "/sync/notes/1", kept.Token, new { text = "still here" })).EnsureSuccessStatusCode();
        using var lines = new StreamReader(others);
        string? line;
        while ((line = await lines.ReadLineAsync()) is "")
        {
            // A heartbeat.
        }
        Assert.Contains("\"id\":\"1\"", line, StringComparison.Ordinal);

        async Task<Stream> FeedAsync(string token)
        {
            var answer = await LoginGateways.SendAsync(system.Gateways[1].Http, HttpMethod.Get, "/sync/notes/_changes?feed=continuous&heartbeat=1000", token);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            return await answer.Content.ReadAsStreamAsync();
        }
    }

    [Fact]
    public async Task An_administrator_blocks_a_device_and_its_login_ends_and_once_unblocked_it_logs_in_anew()
    {
        var lost = await system.LogInAsync();
        var admin = await system.BackOfficeAsync();
        var block = $"/devices/admin/devices/{lost.Device}/block";
        (await LoginGateways.SendAsync(system.Gateways[1].Http, HttpMethod.Put, block, admin, new { reason = "stolen" })).EnsureSuccessStatusCode();

        await EndedAsync(lost.Token, TwoSeconds);
        Assert.Equal("invalid_grant", (await system.TokensAsync(lost.Device)).Text("error"));

        (await LoginGateways.SendAsync(system.Gateways[1].Http, HttpMethod.Delete, block, admin)).EnsureSuccessStatusCode();
        await Eventually.TrueAsync(async () => (await system.TokensAsync(lost.Device)).TryGetProperty("access_token", out _), TwoSeconds);
        await LivesAsync((await system.LogInAsync(lost.Device)).Token);
        Assert.Equal("invalid_grant", (await system.RefreshAsync(lost.Tokens)).Text("error"));
        Assert.Equal(401, await LoginGateways.StatusAsync(system.Gateways[0].Http, lost.Token));
    }

    [Theory]
    [InlineData("access_token")]
    [InlineData("refresh_token")]
    public async Task A_token_that_its_app_gives_back_ends_the_access_token_within_two_seconds(string given)
    {
        var login = await system.LogInAsync();
        var other = await system.LogInAsync();
        await using var events = await system.EventsAsync(1, login.Token);
        using var revoked = await IdentityService.PostAsync(
            system.Mobile.Http, "connect/revoke", ("client_id", "app"), ("token", login.Tokens.Text(given)));
        Assert.Equal(HttpStatusCode.OK, revoked.StatusCode);

        await EndedAsync(login.Token, TwoSeconds);
        await Assert.ThrowsAnyAsync<Exception>(() => events.CopyToAsync(Stream.Null));
        await LivesAsync(other.Token);
        var refreshed = await system.RefreshAsync(login.Tokens);
        Assert.Equal(given is "access_token", refreshed.TryGetProperty("access_token", out _));
    }

    [Fact]
    public async Task A_gateway_that_starts_later_knows_what_ended_before()
    {
        var lost = await system.LogInAsync();
        (await LoginGateways.SendAsync(system.Gateways[0].Http, HttpMethod.Post, $"/devices/{lost.Device}/lost", lost.Token)).EnsureSuccessStatusCode();
        await EndedAsync(lost.Token, TwoSeconds);

        await using var late = system.StartGateway();
        Assert.Equal(401, await LoginGateways.StatusAsync(late.Http, lost.Token));
    }

    [Fact]
    public async Task The_device_of_a_login_is_named_at_its_start_or_with_the_code_and_never_changes()
    {
        var device = Guid.NewGuid();
        var atStart = await system.TokensAsync(device);
        var withCode = await system.TokensAsync(null, ("device_id", $"{device}"));
        var none = await system.TokensAsync(null);
        Assert.Equal(($"{device}", $"{device}"), (Device(atStart), Device(withCode)));
        Assert.False(none.Text("access_token").Part(1).TryGetProperty("device_id", out _));

        Assert.Equal($"{device}", Device(await system.RefreshAsync(atStart, ("device_id", $"{device}"))));
        Assert.Equal($"{device}", Device(await system.RefreshAsync(none, ("device_id", $"{device}"))));
        Assert.Equal("invalid_grant", (await system.RefreshAsync(withCode, ("device_id", $"{Guid.NewGuid()}"))).Text("error"));
        Assert.Equal("invalid_request", (await system.RefreshAsync(withCode, ("device_id", "mine"))).Text("error"));
        Assert.Equal($"{device}", Device(await system.RefreshAsync(withCode)));

        static string Device(JsonElement tokens) => tokens.Text("access_token").Part(1).Text("device_id");
    }

    [Fact]
    public async Task What_ended_is_told_inside_only()
    {
        using var inside = await system.Mobile.Http.GetAsync("/identity/revocations", token: null);
        Assert.NotEqual("", (await inside.Content.ReadFromJsonAsync<JsonElement>()).Text("cursor"));
        await (await system.Mobile.Http.GetAsync("/identity/revocations?after=x", token: null)).ProblemAsync(400);
        await (await system.Gateways[0].Http.GetAsync("/identity/revocations", token: null)).ProblemAsync(404);
    }

    /// <summary>At both gateways, and at a service that is asked without them.</summary>
    private Task EndedAsync(string token, TimeSpan within) => Task.WhenAll(
        system.Gateways.Select(gateway => Eventually.TrueAsync(async () => await LoginGateways.StatusAsync(gateway.Http, token) is 401, within))
            .Append(Eventually.TrueAsync(async () => await LoginGateways.StatusAsync(system.Mobile.Http, token, $"/devices/{Guid.NewGuid()}") is 401, within)));

    private async Task LivesAsync(string token)
    {
        foreach (var gateway in system.Gateways)
        {
            Assert.Equal(200, await LoginGateways.StatusAsync(gateway.Http, token));
        }
    }
}

public sealed class LostDeviceWithoutRedisTests(LoginGateways system) : IClassFixture<LoginGateways>
{
    [Fact]
    public async Task Without_Redis_two_polls_bring_it_within_two_seconds()
    {
        var lost = await system.LogInAsync();
        var kept = await system.LogInAsync();
        await using var events = await system.EventsAsync(1, lost.Token);
        await system.StopRedisAsync();

        (await LoginGateways.SendAsync(system.Gateways[0].Http, HttpMethod.Post, $"/devices/{lost.Device}/lost", kept.Token)).EnsureSuccessStatusCode();

        // Half a second until identity looks at the blocked devices, another until the gateways look at what ended, and time to answer.
        var within = Eventually.Promised(2);
        await Task.WhenAll(system.Gateways.Select(gateway =>
            Eventually.TrueAsync(async () => await LoginGateways.StatusAsync(gateway.Http, lost.Token) is 401, within)));
        await Assert.ThrowsAnyAsync<Exception>(() => events.CopyToAsync(Stream.Null));
        Assert.Equal("invalid_grant", (await system.RefreshAsync(lost.Tokens)).Text("error"));
        Assert.Equal(200, await LoginGateways.StatusAsync(system.Gateways[0].Http, kept.Token));
    }
}
