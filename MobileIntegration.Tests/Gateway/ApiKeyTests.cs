using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Client applications, their keys, and who may administer them.</summary>
public sealed class ApiKeyTests(LimitedGateways gateways) : IClassFixture<LimitedGateways>
{
    private static readonly TimeSpan ASecond = Eventually.Promised(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    public static TheoryData<string> Hostile => ["", " ", "mik_", "letmein", new('a', 10_000), "mik_" + new string('é', 43), "mik_" + new string('a', 43), "mik_' or 1=1; --"];

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task A_wrong_key_is_a_401_whether_or_not_one_is_needed_and_nothing_reaches_the_service(string key)
    {
        var path = $"/api/home?{Guid.NewGuid()}";
        // Written by hand, as clients write no such headers.
        var answer = await SendRawAsync(path, $"X-Api-Key: {key}");
        Assert.StartsWith("HTTP/1.1 401 ", answer, StringComparison.Ordinal);
        Assert.Contains("application/problem+json", answer, StringComparison.Ordinal);
        Assert.Contains("WWW-Authenticate: ApiKey", answer, StringComparison.Ordinal);
        Assert.DoesNotContain(gateways.Service.Journal, call => call.Path == path);
    }

    [Fact]
    public async Task Two_keys_in_one_call_are_a_401()
    {
        var client = await gateways.ClientAsync("hundred");
        Assert.StartsWith("HTTP/1.1 401 ", await SendRawAsync("/api/home", $"X-Api-Key: {client.Key}\r\nX-Api-Key: {client.Key}"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 401 ", await SendRawAsync("/api/home", $"X-Api-Key: {client.Key},{client.Key}"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 200 ", await SendRawAsync("/api/home", $"X-Api-Key: {client.Key}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_a_key_is_needed_a_call_without_one_is_a_401_but_a_browser_can_log_in()
    {
        await using var gateway = gateways.Start(
            ("Limits:RequireApiKey", "true"), ("Authentication:InternalAddress", TestAuthority.Shared.Address), TestServices.At("identity", gateways.Service.Address));
        var client = await gateways.ClientAsync("hundred");
        await (await gateway.CallAsync(null)).ProblemAsync(401);
        await Eventually.TrueAsync(() => gateway.Knows(client.Key), Patience);
        Assert.Equal(200, await gateway.StatusAsync(client.Key));
        Assert.Equal(200, await gateway.StatusAsync(null, "/identity/connect/authorize"));
    }

    [Fact]
    public async Task A_key_goes_no_further_than_the_gateway()
    {
        var client = await gateways.ClientAsync("hundred");
        var path = $"/api/home?{client.Id}";
        Assert.Equal(200, await gateways.One.StatusAsync(client.Key, path));
        Assert.DoesNotContain("X-Api-Key", gateways.Service.Journal.Single(call => call.Path == path).Headers.Keys);
    }

    [Fact]
    public async Task A_key_is_shown_once_and_only_its_hash_and_first_characters_are_kept()
    {
        var client = await gateways.ClientAsync("hundred");
        var listed = await gateways.Other.Http.GetStringAsync($"/admin/clients/{client.Id}");
        Assert.DoesNotContain(client.Key, listed, StringComparison.Ordinal);
        Assert.Contains(client.Key[..12], listed, StringComparison.Ordinal);
        await using var connection = new NpgsqlConnection(gateways.Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "select (select string_agg(t::text, ' ') from gateway.api_key t) || (select string_agg(t::text, ' ') from gateway.client_audit t)", connection);
        var kept = (string)(await command.ExecuteScalarAsync())!;
        Assert.Contains(client.Key[..12], kept, StringComparison.Ordinal);
        Assert.DoesNotContain(client.Key[..20], kept, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_changes_its_key_without_a_refused_call_and_the_old_one_ends_within_a_second_on_both()
    {
        var client = await gateways.ClientAsync("hundred");
        var response = await gateways.One.Http.PostAsync($"/admin/clients/{client.Id}/keys", null);
        Assert.Equal(201, (int)response.StatusCode);
        Assert.True(response.Headers.CacheControl!.NoStore);
        var next = (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("key").GetString()!;
        await Eventually.TrueAsync(() => gateways.One.Knows(next) && gateways.Other.Knows(next), ASecond);
        Assert.Equal(200, await gateways.Other.StatusAsync(next));
        Assert.Equal(200, await gateways.Other.StatusAsync(client.Key));

        var since = Stopwatch.StartNew();
        (await gateways.Other.Http.DeleteAsync($"/admin/clients/{client.Id}/keys/{client.KeyId}")).EnsureSuccessStatusCode();
        await Eventually.TrueAsync(() => !gateways.One.Knows(client.Key) && !gateways.Other.Knows(client.Key), ASecond);
        Assert.InRange(since.Elapsed, TimeSpan.Zero, ASecond);
        await (await gateways.One.CallAsync(client.Key)).ProblemAsync(401);
        await (await gateways.Other.CallAsync(client.Key)).ProblemAsync(401);
        Assert.Equal(200, await gateways.One.StatusAsync(next));
        Assert.Equal(204, (int)(await gateways.Other.Http.DeleteAsync($"/admin/clients/{client.Id}/keys/{client.KeyId}")).StatusCode);
    }

    [Fact]
    public async Task Keys_of_one_client_share_its_limits()
    {
        var client = await gateways.ClientAsync("client");
        var response = await gateways.One.Http.PostAsync($"/admin/clients/{client.Id}/keys", null);
        var second = (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("key").GetString()!;
        for (var n = 0; n < 5; n++)
        {
            Assert.Equal(200, await gateways.One.StatusAsync(n % 2 is 0 ? client.Key : second));
        }
        Assert.Equal(429, await gateways.One.StatusAsync(second));
    }

    [Fact]
    public async Task Another_plan_is_in_force_within_a_second_on_both_also_for_a_client_that_is_being_refused()
    {
        var client = await gateways.ClientAsync("client");
        for (var n = 0; n < 5; n++)
        {
            Assert.Equal(200, await gateways.One.StatusAsync(client.Key));
        }
        Assert.Equal(429, await gateways.One.StatusAsync(client.Key));
        Assert.Equal(429, await gateways.Other.StatusAsync(client.Key));
        var since = Stopwatch.StartNew();
        (await gateways.One.Http.PatchAsJsonAsync($"/admin/clients/{client.Id}", new { plan = "hundred" })).EnsureSuccessStatusCode();
        await Task.WhenAll(
            Eventually.TrueAsync(async () => await gateways.One.StatusAsync(client.Key) is 200, ASecond),
            Eventually.TrueAsync(async () => await gateways.Other.StatusAsync(client.Key) is 200, ASecond));
        Assert.InRange(since.Elapsed, TimeSpan.Zero, ASecond);
    }

    [Fact]
    public async Task When_a_key_was_used_is_noted()
    {
        await using var gateway = gateways.Start(("Limits:PollSeconds", "1"));
        var client = await gateways.ClientAsync("hundred");
        await Eventually.TrueAsync(() => gateway.Knows(client.Key), Patience);
        Assert.Equal(200, await gateway.StatusAsync(client.Key));
        await Eventually.TrueAsync(async () =>
            (await gateway.Http.GetFromJsonAsync<JsonElement>($"/admin/clients/{client.Id}")).GetProperty("keys")[0].GetProperty("lastUsedAt").ValueKind is JsonValueKind.String,
            Patience);
    }

    [Fact]
    public async Task Without_Redis_the_poll_brings_a_change_to_a_replica()
    {
        await using var gateway = gateways.Start(("Limits:PollSeconds", "1"), ("ConnectionStrings:redis", ""));
        var client = await gateways.ClientAsync("hundred");
        await Eventually.TrueAsync(() => gateway.Knows(client.Key), Patience);
        Assert.Equal(200, await gateway.StatusAsync(client.Key));
    }

    [Fact]
    public async Task Administration_needs_its_scope_and_says_what_is_wrong()
    {
        var http = gateways.One.Http;
        await (await http.GetAsync("/admin/clients", TestAuthority.Shared.Token("home devices.admin"))).ProblemAsync(403);
        await (await http.GetAsync("/admin/clients", null)).ProblemAsync(401);
        var errors = (await (await http.PostAsJsonAsync("/admin/clients", new { id = "A b", plan = "gold" })).ProblemAsync(400)).GetProperty("errors");
        Assert.Equal(["id", "name", "plan"], errors.EnumerateObject().Select(error => error.Name).Order());
        var client = await gateways.ClientAsync("hundred");
        await (await http.PostAsJsonAsync("/admin/clients", new { id = client.Id, name = "again" })).ProblemAsync(409);
        await (await http.PatchAsJsonAsync($"/admin/clients/{client.Id}", new { plan = "gold" })).ProblemAsync(400);
        await (await http.PatchAsJsonAsync($"/admin/clients/{client.Id}", new { })).ProblemAsync(400);
        await (await http.PatchAsJsonAsync("/admin/clients/nobody", new { plan = "fifty" })).ProblemAsync(404);
        await (await http.PostAsync("/admin/clients/nobody/keys", null)).ProblemAsync(404);
        await (await http.DeleteAsync($"/admin/clients/{client.Id}/keys/{Guid.NewGuid()}")).ProblemAsync(404);
        await (await http.GetAsync("/admin/clients/nobody")).ProblemAsync(404);
        await (await http.GetAsync("/admin/clients?limit=0")).ProblemAsync(400);
    }

    [Fact]
    public async Task A_client_has_ten_keys_at_most()
    {
        var client = await gateways.ClientAsync("hundred");
        for (var n = 1; n < 10; n++)
        {
            (await gateways.One.Http.PostAsync($"/admin/clients/{client.Id}/keys", null)).EnsureSuccessStatusCode();
        }
        await (await gateways.One.Http.PostAsync($"/admin/clients/{client.Id}/keys", null)).ProblemAsync(409);
    }

    [Fact]
    public async Task Clients_are_listed_in_pages()
    {
        var ids = new[] { (await gateways.ClientAsync("hundred")).Id, (await gateways.ClientAsync("fifty")).Id };
        var seen = new List<string>();
        var cursor = "";
        do
        {
            var page = await gateways.Other.Http.GetFromJsonAsync<JsonElement>($"/admin/clients?limit=1&cursor={cursor}");
            seen.AddRange(page.GetProperty("items").EnumerateArray().Select(client => client.GetProperty("id").GetString()!));
            cursor = page.GetProperty("next").GetString();
        }
        while (cursor is not null);
        Assert.Equal(seen.Order(StringComparer.Ordinal), seen);
        Assert.Subset(seen.ToHashSet(), ids.ToHashSet());
    }

    [Fact]
    public async Task Who_changed_what_is_kept()
    {
        var client = await gateways.ClientAsync("hundred");
        (await gateways.One.Http.PatchAsJsonAsync($"/admin/clients/{client.Id}", new { plan = "fifty" })).EnsureSuccessStatusCode();
        (await gateways.One.Http.DeleteAsync($"/admin/clients/{client.Id}/keys/{client.KeyId}")).EnsureSuccessStatusCode();
        var audit = (await gateways.One.Http.GetFromJsonAsync<JsonElement>($"/admin/clients/{client.Id}/audit")).GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(["revoke key", "update", "add key", "create"], audit.Select(entry => entry.GetProperty("action").GetString()));
        Assert.All(audit, entry => Assert.Equal("ada", entry.GetProperty("who").GetString()));
        Assert.Equal(
            ("hundred", "fifty"),
            (audit[1].GetProperty("before").GetProperty("plan").GetString(), audit[1].GetProperty("after").GetProperty("plan").GetString()));
    }

    private async Task<string> SendRawAsync(string path, string header)
    {
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync("127.0.0.1", gateways.One.Address.Port);
        await using var stream = client.GetStream();
        var token = TestAuthority.Shared.Token("home");
        await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(
            $"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{header}\r\n\r\n"));
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync();
    }
}
