using System.Text.Json;
using System.Text.Json.Nodes;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>What operators see, of all users.</summary>
public sealed class SyncAdminTests(SyncService service) : IClassFixture<SyncService>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Conflicts_are_listed_page_by_page_with_the_leaves_that_live_until_they_are_resolved()
    {
        var user = service.NewUser();
        using var client = service.ClientOf(user);
        await client.PutAsync("notes");
        await client.PutAsync("tasks");
        await client.PutAsync("notes/plain", "{}");
        foreach (var id in new[] { "a/ü?", "b", "c" })
        {
            await LeavesAsync(client, "notes", id, ("2-aa", false), ("2-bb", false), ("2-cc", true), ("3-00", true));
        }
        await LeavesAsync(client, "notes", "closed", ("2-aa", false), ("2-bb", true));
        await LeavesAsync(client, "notes", "gone", ("2-aa", true), ("2-bb", true));
        await LeavesAsync(client, "tasks", "d", ("1-aa", false), ("1-bb", false));

        using var admin = Admin(service.Gateway.Address, Scopes.SyncAdmin);
        var found = new List<JsonNode>();
        for (string? next = ""; next is not null;)
        {
            var page = JsonNode.Parse(await admin.GetStringAsync($"/sync/_admin/conflicts?user={user}&limit=1{(next.Length > 0 ? $"&cursor={Uri.EscapeDataString(next)}" : "")}"))!;
            found.AddRange(page["items"]!.AsArray()!);
            next = (string?)page["next"];
        }
        Assert.Equal(["notes a/ü?", "notes b", "notes c", "tasks d"], found.Select(one => $"{(string?)one["database"]} {(string?)one["id"]}"));
        Assert.All(found, one => Assert.Equal(("app", user), ((string?)one["app"], (string?)one["user"])));
        Assert.Equal("2-bb", (string?)found[0]["rev"]);
        Assert.Equal(["2-aa"], found[0]["conflicts"]!.AsArray().Select(rev => (string?)rev));
        Assert.Equal((string?)(await client.GetAsync("tasks"))["update_seq"], (string?)found[3]["sequence"]);

        await client.DeleteAsync("notes/b?rev=2-aa");
        Assert.Equal(["a/ü?", "c"], (await ConflictsAsync("&database=notes&app=app")).Select(one => (string?)one!["id"]));
        Assert.Empty(await ConflictsAsync("&app=another"));

        async Task<JsonArray> ConflictsAsync(string filter) => JsonNode.Parse(await admin.GetStringAsync($"/sync/_admin/conflicts?user={user}{filter}"))!["items"]!.AsArray();
    }

    [Fact]
    public async Task A_devices_state_is_its_checkpoint_and_how_far_it_is_behind()
    {
        var user = service.NewUser();
        var device = Guid.NewGuid();
        using var client = service.ClientOf(user);
        var told = await SyncService.RunAsync("pouchdb.mjs", "device", service.Gateway.Address.ToString(), SyncService.Token(user), device.ToString());
        var last = told.GetProperty("last_seq").GetString();
        using var admin = Admin(service.Other.Address, Scopes.SyncAdmin);
        JsonNode? state = null;
        await Eventually.TrueAsync(async () => (string?)(state = await StateAsync())?["checkpoint"] == last, Patience);
        Assert.Equal(
            ("app", user, "notes", false, "com.example.shop", 0L, (string?)(await client.GetAsync("notes"))["update_seq"]),
            ((string?)state!["app"], (string?)state["user"], (string?)state["database"], (bool)state["isShared"]!, (string?)state["appId"], (long)state["behind"]!, (string?)state["updateSequence"]));

        for (var i = 0; i < 3; i++)
        {
            await client.PutAsync($"notes/more-{i}", "{}");
        }
        Assert.Equal(3, (long)(await StateAsync())!["behind"]!);

        // It starts over: what it has written down before holds no longer.
        client.Http.DefaultRequestHeaders.Add("X-Device-Id", device.ToString());
        await client.GetAsync("notes/_changes?limit=1");
        await Eventually.TrueAsync(async () => (state = await StateAsync())?["checkpoint"] is null, Patience);
        Assert.Equal(263, (long)state!["behind"]!);

        async Task<JsonNode?> StateAsync() => JsonNode.Parse(await admin.GetStringAsync($"/sync/_admin/devices?device={device}&user={user}&app=app&database=notes"))!["items"]!.AsArray().SingleOrDefault();
    }

    [Fact]
    public async Task Devices_come_page_by_page()
    {
        var user = service.NewUser();
        var devices = Enumerable.Range(0, 5).Select(_ => Guid.NewGuid()).ToList();
        foreach (var device in devices)
        {
            using var client = service.ClientOf(user);
            client.Http.DefaultRequestHeaders.Add("X-Device-Id", device.ToString());
            await client.PutAsync("notes", status: device == devices[0] ? 201 : 412);
            await client.GetAsync("notes/_changes");
        }
        await Eventually.TrueAsync(async () => await service.CountAsync("select count(*) from sync.device where user_id = $1", user) is 5, Patience);
        using var admin = Admin(service.One.Address, Scopes.SyncAdmin);
        var found = new List<string>();
        for (string? next = ""; next is not null;)
        {
            var page = JsonNode.Parse(await admin.GetStringAsync($"/sync/_admin/devices?user={user}&limit=2{(next.Length > 0 ? $"&cursor={next}" : "")}"))!;
            found.AddRange(page["items"]!.AsArray().Select(item => (string)item!["deviceId"]!));
            next = (string?)page["next"];
        }
        Assert.Equal(devices.Select(device => device.ToString()).Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=201", "limit")]
    [InlineData("cursor=1", "cursor")]
    [InlineData("cursor=%20", "cursor")]
    public async Task What_is_wrong_with_a_query_is_named(string query, string field)
    {
        using var admin = Admin(service.One.Address, Scopes.SyncAdmin);
        foreach (var path in new[] { "conflicts", "devices" })
        {
            using var answer = await admin.GetAsync($"/sync/_admin/{path}?{query}");
            Assert.Equal([field], (await answer.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name));
        }
    }

    [Fact]
    public async Task Users_are_no_operators_and_operators_no_users()
    {
        foreach (var address in new[] { service.Gateway.Address, service.One.Address })
        {
            using var user = Admin(address, Scopes.Sync);
            using var admin = Admin(address, Scopes.SyncAdmin);
            foreach (var path in new[] { "conflicts", "devices" })
            {
                Assert.Equal(403, (int)(await user.GetAsync($"/sync/_admin/{path}")).StatusCode);
                Assert.Equal(200, (int)(await admin.GetAsync($"/sync/_admin/{path}")).StatusCode);
            }
            Assert.Equal(403, (int)(await admin.GetAsync("/sync/notes/_changes")).StatusCode);
        }
    }

    private static HttpClient Admin(Uri address, string scope)
    {
        var http = new HttpClient { BaseAddress = address };
        http.Authorize(TestAuthority.Shared.Token(scope));
        return http;
    }

    private static Task<JsonNode> LeavesAsync(SyncClient client, string database, string id, params (string Rev, bool Deleted)[] leaves) =>
        client.PostAsync($"{database}/_bulk_docs", JsonSerializer.Serialize(new
        {
            new_edits = false,
            docs = leaves.Select(leaf => new Dictionary<string, object> { ["_id"] = id, ["_rev"] = leaf.Rev, ["_deleted"] = leaf.Deleted }),
        }), 201);
}
