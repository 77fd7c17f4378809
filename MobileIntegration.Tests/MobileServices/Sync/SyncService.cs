using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Gateway;
using MobileIntegration.ServiceDefaults;
using MobileServices.Sync;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Two replicas of the sync service on one database, behind a gateway. Each test has a user of its own.</summary>
public sealed class SyncService : IAsyncLifetime
{
    private int _users;

    internal string Database { get; private set; } = "";

    internal TestService<SyncOptions> One { get; private set; } = null!;

    internal TestService<SyncOptions> Other { get; private set; } = null!;

    internal TestService<DiscoveredDestinations> Gateway { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Database = await TestPostgres.CreateDatabaseAsync();
        One = Start();
        Other = Start();
        Gateway = new(
            ("Management:Port", $"{TestServices.FreePort()}"), ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()),
            TestServices.At("sync", One.Address), TestServices.At("devices", new("http://127.0.0.1:9")));
    }

    public async Task DisposeAsync()
    {
        await Gateway.DisposeAsync();
        await One.DisposeAsync();
        await Other.DisposeAsync();
    }

    internal TestService<SyncOptions> Start(params (string Key, string Value)[] settings) =>
        new([("ConnectionStrings:mobiledb", Database), ("Run", "sync"), ("Sync:PollSeconds", "3600"), ("Sync:Shared:stores:Writers:0", "clerk"), ("Sync:Shared:news:Readers:0", "reader"), .. Merged, .. settings]);

    /// <summary>The conflicts of every user's database of this name are merged.</summary>
    private static readonly (string Key, string Value)[] Merged =
    [
        ("Sync:Merge:merged:Fields:count", "counter"), ("Sync:Merge:merged:Fields:tags", "set-union"), ("Sync:Merge:merged:Fields:most", "max"), ("Sync:Merge:merged:Fields:least", "min"),
        ("Sync:Merge:merged:Fields:text", "text"), ("Sync:Merge:merged:Fields:price", "ask"),
    ];

    /// <summary>One number of the database, of that user.</summary>
    internal async Task<long> CountAsync(string sql, string user)
    {
        await using var source = Npgsql.NpgsqlDataSource.Create(Database);
        await using var command = source.CreateCommand(sql);
        command.Parameters.Add(new() { Value = user });
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Starts calls that come to wait for a lock, and lets them go once that many of them do: so they are all in the middle of it at once.</summary>
    internal async Task<T> AllAtOnceAsync<T>(string locks, string? user, int waiting, Func<Task<T>> start)
    {
        await using var source = Npgsql.NpgsqlDataSource.Create(Database);
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var command = new Npgsql.NpgsqlCommand(locks, connection, transaction))
        {
            if (user is not null)
            {
                command.Parameters.Add(new() { Value = user });
            }
            await command.ExecuteNonQueryAsync();
        }
        var started = start();
        await using var watch = source.CreateCommand("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'");
        await Eventually.TrueAsync(async () => (long)(await watch.ExecuteScalarAsync())! >= waiting, TimeSpan.FromSeconds(60));
        await transaction.CommitAsync();
        return await started;
    }

    internal string NewUser() => $"user-{Interlocked.Increment(ref _users)}-{Guid.NewGuid():n}";

    internal static string Token(string user, string client = "app", params string[] roles) => TestAuthority.Shared.Token(Scopes.Sync, token =>
    {
        token.Claims["sub"] = user;
        token.Claims["client_id"] = client;
        if (roles.Length > 0)
        {
            token.Claims["roles"] = roles;
        }
    });

    /// <summary>A client of that user at a replica, the first unless named, or at the gateway.</summary>
    internal SyncClient ClientOf(string user, Uri? address = null, string client = "app", params string[] roles) =>
        new(new Uri(address ?? One.Address, "/sync/"), Token(user, client, roles));

    /// <summary>Runs one of the npm clients to its end.</summary>
    /// <returns>The line of JSON that it printed.</returns>
    internal static async Task<JsonElement> RunAsync(string script, params string[] arguments)
    {
        var start = new ProcessStartInfo("node", [Path.Combine(NpmClients.Folder(), script), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var node = Process.Start(start)!;
        var error = node.StandardError.ReadToEndAsync();
        var output = await node.StandardOutput.ReadToEndAsync();
        await node.WaitForExitAsync();
        Assert.True(node.ExitCode is 0, await error);
        return JsonDocument.Parse(output).RootElement;
    }
}

/// <summary>Speaks the protocol by hand.</summary>
internal sealed class SyncClient : IDisposable
{
    public SyncClient(Uri address, string token)
    {
        Http = new() { BaseAddress = address, Timeout = TimeSpan.FromMinutes(2) };
        Http.Authorize(token);
    }

    public HttpClient Http { get; }

    public async Task<JsonNode> GetAsync(string path, int status = 200) => await ReadAsync(await Http.GetAsync(path), status);

    public async Task<JsonNode> PutAsync(string path, string? json = null, int status = 201) => await ReadAsync(await Http.PutAsync(path, json is null ? null : Json(json)), status);

    public async Task<JsonNode> PostAsync(string path, string json, int status = 200) => await ReadAsync(await Http.PostAsync(path, Json(json)), status);

    public async Task<JsonNode> DeleteAsync(string path, int status = 200) => await ReadAsync(await Http.DeleteAsync(path), status);

    public static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");

    /// <summary>The protocol's own way to say no.</summary>
    public static async Task<JsonNode> ReadAsync(HttpResponseMessage response, int status)
    {
        using (response)
        {
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(status == (int)response.StatusCode, $"{(int)response.StatusCode}: {text}");
            Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
            var json = JsonNode.Parse(text)!;
            if (status >= 400)
            {
                Assert.NotEqual("", (string?)json["error"]);
                Assert.NotEqual("", (string?)json["reason"]);
            }
            return json;
        }
    }

    public void Dispose() => Http.Dispose();
}
