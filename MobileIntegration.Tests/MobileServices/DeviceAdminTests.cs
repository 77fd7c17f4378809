using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Microsoft.Extensions.DependencyInjection;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileServices.Devices;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices;

public sealed class DeviceAdminTests : IAsyncLifetime
{
    private const string Shop = "com.example.shop";
    private const string Rules = "/devices/admin/rules";

    private TestAuthority _authority = null!;
    private TestService<DeviceStore> _service = null!;

    public async Task InitializeAsync()
    {
        _authority = await TestAuthority.StartAsync();
        _service = new(
            ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()), ("Run", "devices"),
            ("Authentication:Authority", _authority.Address), ("Devices:MostBlockedDevices", "3"));
    }

    public async Task DisposeAsync()
    {
        await _service.DisposeAsync();
        await _authority.DisposeAsync();
    }

    [Fact]
    public async Task A_device_is_its_users_own_until_another_logs_in_on_it()
    {
        var id = Guid.NewGuid();
        Assert.Equal(HttpStatusCode.Created, (await PutDeviceAsync(id, user: "ada")).StatusCode);
        Assert.Equal("ada", (await ReadAsync(await SendAsync("GET", $"/devices/{id}", null, "devices"))).GetProperty("user").GetString());
        await (await SendAsync("GET", $"/devices/{id}", null, "devices", "bob")).ProblemAsync(404);
        await (await SendAsync("POST", $"/devices/{id}/lost", null, "devices", "bob")).ProblemAsync(404);
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync("DELETE", $"/devices/{id}", null, "devices", "bob")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync("GET", $"/devices/{id}", null, "devices")).StatusCode);

        Assert.Equal(HttpStatusCode.OK, (await PutDeviceAsync(id, user: "bob")).StatusCode);
        await (await SendAsync("GET", $"/devices/{id}", null, "devices")).ProblemAsync(404);
    }

    [Fact]
    public async Task Administration_needs_its_own_scope_and_a_start_needs_none()
    {
        await (await SendAsync("GET", Rules, null, "devices")).ProblemAsync(403);
        await (await SendAsync("GET", $"/devices/{Guid.NewGuid()}", null, "devices.admin")).ProblemAsync(403);
        await (await _service.Http.GetAsync(Rules)).ProblemAsync(401);
        await (await _service.Http.GetAsync($"/devices/{Guid.NewGuid()}")).ProblemAsync(401);
        Assert.Equal(HttpStatusCode.OK, (await _service.Http.PostAsJsonAsync("/devices/init", Launch(Guid.NewGuid(), "1.0.0"))).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await _service.Http.GetAsync("/devices/keys")).StatusCode);
    }

    [Fact]
    public async Task A_start_is_noted_and_told_what_becomes_of_its_version()
    {
        await CreateAsync("stop-1.4", Rule(versions: "1.4.x"));
        var id = Guid.NewGuid();
        await PutDeviceAsync(id, "1.3.0");

        var told = await ReadAsync(await _service.Http.PostAsJsonAsync("/devices/init", Launch(id, "1.4.2")));

        var decision = told.GetProperty("decision");
        Assert.Equal(
            ("block", "stop-1.4", "Bitte aktualisieren", "https://store.example/shop", "1.5.0"),
            (Text(decision, "action"), Text(decision, "rule"), Text(decision, "message"), Text(decision, "store"), Text(decision, "minimumVersion")));
        var device = await ReadAsync(await SendAsync("GET", $"/devices/{id}", null, "devices"));
        Assert.Equal(("1.4.2", "ada", 1), (Text(device, "appVersion"), Text(device, "user"), device.GetProperty("pushAddresses").GetArrayLength()));
        await (await _service.Http.PostAsJsonAsync("/devices/init", new { })).ProblemAsync(400);
    }

    [Fact]
    public async Task Another_makers_library_checks_a_signed_decision_without_a_connection()
    {
        await CreateAsync("stop-1.4", Rule(versions: "1.4.x"));
        var id = Guid.NewGuid();
        var told = await ReadAsync(await _service.Http.PostAsJsonAsync("/devices/init", Launch(id, "1.4.2")));

        var start = new ProcessStartInfo(
            "node", [Path.Combine(NpmClients.Folder(), "jose.mjs"), $"{_service.Address}devices/keys", "mobile-devices", Shop, Text(told, "signed")!])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var node = Process.Start(start)!;
        var (exit, output, error) = await node.EndAsync();
        Assert.True(exit is 0, error);
        var seen = JsonSerializer.Deserialize<JsonElement>(output);

        var payload = seen.GetProperty("payload");
        Assert.Equal(
            (id.ToString(), "1.4.2", "block", "stop-1.4", "1.5.0"),
            (Text(payload, "sub"), Text(payload, "app_version"), Text(payload, "action"), Text(payload, "rule"), Text(payload, "minimum_version")));
        Assert.Equal(3600, payload.GetProperty("exp").GetInt64() - payload.GetProperty("iat").GetInt64());
        Assert.Equal(
            ("block", "ERR_JWS_SIGNATURE_VERIFICATION_FAILED", "ERR_JWT_EXPIRED"), (Text(seen, "offline"), Text(seen, "refusal"), Text(seen, "expired")));
        Assert.True(seen.GetProperty("kidIsThumbprint").GetBoolean());
        Assert.False(seen.GetProperty("privateParts").GetBoolean());
    }

    [Fact]
    public async Task Nobody_overwrites_a_change_that_he_has_not_seen()
    {
        var first = await CreateAsync("r", Rule());
        await (await SendAsync("PUT", $"{Rules}/r", Rule(), ifNoneMatch: "*")).ProblemAsync(412);
        await (await SendAsync("PUT", $"{Rules}/r", Rule())).ProblemAsync(428);
        await (await SendAsync("PUT", $"{Rules}/other", Rule(), ifMatch: first)).ProblemAsync(412);

        var both = await Task.WhenAll(Enumerable.Range(0, 10).Select(n => SendAsync("PUT", $"{Rules}/r", Rule(priority: n), ifMatch: first)));
        Assert.Single(both, answer => answer.StatusCode is HttpStatusCode.NoContent);
        Assert.Equal(9, both.Count(answer => answer.StatusCode is HttpStatusCode.PreconditionFailed));

        await (await SendAsync("DELETE", $"{Rules}/r", null, ifMatch: first)).ProblemAsync(412);
        await (await SendAsync("DELETE", $"{Rules}/r", null)).ProblemAsync(428);
        var now = (await SendAsync("GET", $"{Rules}/r", null)).Headers.ETag!.Tag;
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync("DELETE", $"{Rules}/r", null, ifMatch: now)).StatusCode);
        await (await SendAsync("GET", $"{Rules}/r", null)).ProblemAsync(404);
        await (await SendAsync("DELETE", $"{Rules}/r", null, ifMatch: now)).ProblemAsync(404);
    }

    [Theory]
    [InlineData("appId", """{"appId":"shop","action":"block"}""")]
    [InlineData("action", """{"appId":"com.example.shop"}""")]
    [InlineData("versions", """{"appId":"com.example.shop","action":"block","versions":"older"}""")]
    [InlineData("osVersions", """{"appId":"com.example.shop","action":"block","osVersions":"<<1"}""")]
    [InlineData("percentage", """{"appId":"com.example.shop","action":"block","percentage":0}""")]
    [InlineData("percentage", """{"appId":"com.example.shop","action":"block","percentage":0.001}""")]
    [InlineData("until", """{"appId":"com.example.shop","action":"block","from":"2026-01-02T00:00:00Z","until":"2026-01-02T00:00:00Z"}""")]
    [InlineData("messages", """{"appId":"com.example.shop","action":"block","messages":{"de":"x"}}""")]
    [InlineData("messages.de!", """{"appId":"com.example.shop","action":"block","messages":{"*":"x","de!":"x"}}""")]
    [InlineData("messages.*", """{"appId":"com.example.shop","action":"block","messages":{"*":"a\nb"}}""")]
    [InlineData("stores.ios", """{"appId":"com.example.shop","action":"block","stores":{"ios":"javascript:alert(1)"}}""")]
    [InlineData("stores.amiga", """{"appId":"com.example.shop","action":"block","stores":{"amiga":"https://store.example"}}""")]
    public async Task A_wrong_field_of_a_rule_is_named(string field, string json)
    {
        var problem = await (await SendAsync("PUT", $"{Rules}/r", JsonSerializer.Deserialize<JsonElement>(json))).ProblemAsync(400);
        Assert.Equal([field], problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
    }

    [Fact]
    public async Task Every_change_is_in_the_audit_and_can_be_taken_back()
    {
        var first = await CreateAsync("r", Rule(priority: 1));
        var second = (await SendAsync("PUT", $"{Rules}/r", Rule(priority: 2), ifMatch: first)).Headers.ETag!.Tag;
        await SendAsync("DELETE", $"{Rules}/r", null, user: "bob", ifMatch: second);
        await SendAsync("PUT", $"{Rules}/r", Rule(action: "nonsense"));

        var audit = (await ReadAsync(await SendAsync("GET", "/devices/admin/audit?kind=rule&key=r", null))).GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(["delete by bob", "update by ada", "create by ada"], audit.Select(entry => $"{Text(entry, "action")} by {Text(entry, "who")}"));
        Assert.Equal((1, 2), (Priority(audit[1], "before"), Priority(audit[1], "after")));
        Assert.Equal(JsonValueKind.Null, audit[0].GetProperty("after").ValueKind);

        await (await RevertAsync(audit[1])).ProblemAsync(409);
        Assert.Equal(HttpStatusCode.NoContent, (await RevertAsync(audit[0])).StatusCode);
        Assert.Equal(2, await PriorityNowAsync());
        Assert.Equal(HttpStatusCode.NoContent, (await RevertAsync(audit[1])).StatusCode);
        Assert.Equal(1, await PriorityNowAsync());
        Assert.Equal(HttpStatusCode.NoContent, (await RevertAsync(audit[2])).StatusCode);
        await (await SendAsync("GET", $"{Rules}/r", null)).ProblemAsync(404);
        await (await SendAsync("POST", "/devices/admin/audit/999999/revert", null)).ProblemAsync(404);

        var page = await ReadAsync(await SendAsync("GET", "/devices/admin/audit?limit=4", null));
        var rest = await ReadAsync(await SendAsync("GET", $"/devices/admin/audit?limit=4&cursor={Text(page, "next")}", null));
        Assert.Equal(4, page.GetProperty("items").GetArrayLength());
        Assert.Equal(2, rest.GetProperty("items").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, rest.GetProperty("next").ValueKind);

        static int Priority(JsonElement entry, string side) => entry.GetProperty(side).GetProperty("priority").GetInt32();
        Task<HttpResponseMessage> RevertAsync(JsonElement entry) => SendAsync("POST", $"/devices/admin/audit/{entry.GetProperty("id").GetInt64()}/revert", null);
        async Task<int> PriorityNowAsync() =>
            (await ReadAsync(await SendAsync("GET", $"{Rules}/r", null))).GetProperty("rule").GetProperty("priority").GetInt32();
    }

    /// <summary>Device by device the decision function says the same as the database counts.</summary>
    [Fact]
    public async Task A_preview_counts_exactly_the_devices_that_the_rule_then_hits()
    {
        await using (var connection = await _service.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync())
        {
            await connection.ExecuteAsync(
                """
                insert into devices.device (id, app_id, app_version, platform, os_version, model, locale, time_zone, registered_at, last_seen_at)
                select gen_random_uuid(), case when n % 10 = 0 then 'com.example.other' else 'com.example.shop' end, '1.' || n % 6 || '.' || n % 7,
                       case when n % 4 < 2 then 'Android' else 'Ios' end, (14 + n % 5)::text, 'm', 'de', 'UTC', now(), now()
                from generate_series(1, 3000) n
                """);
        }
        var draft = Rule(versions: ">=1.4.0 <1.5.0 || 1.2.3", platforms: ["ios"], osVersions: "<18.0.0", percentage: 33.33m);
        var preview = await ReadAsync(await SendAsync("POST", $"{Rules}/third/preview", draft));
        await CreateAsync("third", draft);

        var decisions = new AppDecisions((await new DevicesClient(_service.Http).GetRulesAsync(null, default))!);
        var (hits, devices) = (0, 0);
        string? cursor = null;
        do
        {
            var page = await ReadAsync(await SendAsync("GET", $"/devices/admin/devices?app={Shop}&limit=200{cursor}", null));
            foreach (var device in page.GetProperty("items").EnumerateArray())
            {
                devices++;
                var call = new AppCall(
                    Shop, Text(device, "appVersion")!, Enum.Parse<AppPlatform>(Text(device, "platform")!, ignoreCase: true), Text(device, "osVersion"),
                    device.GetProperty("id").GetGuid(), null);
                hits += decisions.Decide(call, DateTimeOffset.UtcNow).Action is AppAction.Block ? 1 : 0;
            }
            cursor = Text(page, "next") is { } next ? $"&cursor={next}" : null;
        }
        while (cursor is not null);

        Assert.Equal(2700, devices);
        Assert.InRange(hits, 20, 400);
        Assert.Equal((devices, hits), (preview.GetProperty("devices").GetInt32(), preview.GetProperty("hits").GetInt32()));
        Assert.Null(await new DevicesClient(_service.Http).GetRulesAsync(decisions.Version, default));
    }

    [Fact]
    public async Task Apps_and_versions_are_known_once_seen_and_devices_are_found_by_what_they_are()
    {
        var (old, renewed) = (Guid.NewGuid(), Guid.NewGuid());
        await PutDeviceAsync(old, "1.4.0");
        await PutDeviceAsync(renewed, "1.4.0");
        await PutDeviceAsync(renewed, "1.5.0", "bob");
        await SendAsync("PUT", $"/devices/admin/apps/{Shop}", new { name = "Der Laden" });

        var app = (await ReadAsync(await SendAsync("GET", "/devices/admin/apps", null))).EnumerateArray().Single();
        Assert.Equal((Shop, "Der Laden", "android"), (Text(app, "id"), Text(app, "name"), app.GetProperty("platforms")[0].GetString()));
        var versions = (await ReadAsync(await SendAsync("GET", $"/devices/admin/apps/{Shop}/versions", null))).EnumerateArray()
            .ToDictionary(version => Text(version, "version")!, version => version.GetProperty("installs").GetInt32());
        Assert.Equal(new Dictionary<string, int> { ["1.4.0"] = 1, ["1.5.0"] = 1 }, versions);

        Assert.Equal(renewed, await OnlyAsync("version=1.5.0"));
        Assert.Equal(renewed, await OnlyAsync("user=bob"));
        await SendAsync("PUT", $"/devices/admin/devices/{old}/block", new { reason = "stolen" });
        Assert.Equal(old, await OnlyAsync("blocked=true"));
        Assert.Equal(renewed, await OnlyAsync("blocked=false&platform=android"));
        await (await SendAsync("GET", "/devices/admin/devices?limit=0", null)).ProblemAsync(400);
        await (await SendAsync("GET", "/devices/admin/devices?platform=amiga", null)).ProblemAsync(400);
        await (await SendAsync("PUT", "/devices/admin/apps/shop", new { name = "" })).ProblemAsync(400);

        async Task<Guid> OnlyAsync(string filter) =>
            (await ReadAsync(await SendAsync("GET", $"/devices/admin/devices?{filter}", null))).GetProperty("items").EnumerateArray().Single().GetProperty("id").GetGuid();
    }

    [Fact]
    public async Task A_lost_device_is_blocked_and_reached_by_no_push_until_it_is_unblocked_and_registers_again()
    {
        var id = Guid.NewGuid();
        await PutDeviceAsync(id);
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync("POST", $"/devices/{id}/lost", null, "devices")).StatusCode);

        Assert.Empty((await ReadAsync(await SendAsync("GET", $"/devices/{id}", null, "devices"))).GetProperty("pushAddresses").EnumerateArray());
        await (await PutDeviceAsync(id)).ProblemAsync(403);
        var told = await ReadAsync(await _service.Http.PostAsJsonAsync("/devices/init", Launch(id, "1.0.0")));
        Assert.True(told.GetProperty("decision").GetProperty("deviceBlocked").GetBoolean());

        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync("DELETE", $"/devices/admin/devices/{id}/block", null)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await PutDeviceAsync(id)).StatusCode);
        var audit = (await ReadAsync(await SendAsync("GET", $"/devices/admin/audit?kind=device&key={id}", null))).GetProperty("items").EnumerateArray();
        Assert.Equal(["delete", "create"], audit.Select(entry => Text(entry, "action")));
    }

    [Fact]
    public async Task More_blocked_devices_than_gateways_can_hold_are_refused()
    {
        var answers = new List<HttpStatusCode>();
        for (var n = 0; n < 4; n++)
        {
            answers.Add((await SendAsync("PUT", $"/devices/admin/devices/{Guid.NewGuid()}/block", new { reason = "test" })).StatusCode);
        }
        Assert.Equal([HttpStatusCode.NoContent, HttpStatusCode.NoContent, HttpStatusCode.NoContent, HttpStatusCode.Conflict], answers);
    }

    private async Task<string> CreateAsync(string name, object rule)
    {
        var response = await SendAsync("PUT", $"{Rules}/{name}", rule, ifNoneMatch: "*");
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return response.Headers.ETag!.Tag;
    }

    private async Task<HttpResponseMessage> SendAsync(
        string method, string path, object? body, string scope = "devices.admin", string user = "ada", string? ifMatch = null, string? ifNoneMatch = null)
    {
        using var request = new HttpRequestMessage(new(method), path) { Content = body is null ? null : JsonContent.Create(body) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _authority.Token(scope, token => token.Claims["sub"] = user));
        if (ifMatch is not null)
        {
            request.Headers.IfMatch.Add(new(ifMatch));
        }
        if (ifNoneMatch is not null)
        {
            request.Headers.IfNoneMatch.Add(EntityTagHeaderValue.Any);
        }
        return await _service.Http.SendAsync(request);
    }

    private Task<HttpResponseMessage> PutDeviceAsync(Guid id, string version = "1.4.0", string user = "ada") => SendAsync(
        "PUT", $"/devices/{id}",
        new
        {
            appId = Shop,
            appVersion = version,
            platform = "android",
            osVersion = "16",
            model = "Pixel 9",
            locale = "de-AT",
            timeZone = "Europe/Vienna",
            pushAddresses = new[] { new { network = "fcm", address = "token" } },
        },
        "devices", user);

    private static object Launch(Guid id, string version) => new
    {
        deviceId = id,
        appId = Shop,
        appVersion = version,
        platform = "android",
        osVersion = "16",
        model = "Pixel 9",
        locale = "de-AT",
        timeZone = "Europe/Vienna",
    };

    private static Dictionary<string, object?> Rule(
        string action = "block", int priority = 100, string? versions = null, string[]? platforms = null, string? osVersions = null, decimal percentage = 100) => new()
        {
            ["appId"] = Shop,
            ["action"] = action,
            ["priority"] = priority,
            ["versions"] = versions,
            ["platforms"] = platforms,
            ["osVersions"] = osVersions,
            ["percentage"] = percentage,
            ["messages"] = new Dictionary<string, string> { ["*"] = "Please update", ["de"] = "Bitte aktualisieren" },
            ["stores"] = new Dictionary<string, string> { ["android"] = "https://store.example/shop" },
        };

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response)
    {
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    private static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetString() : null;
}
