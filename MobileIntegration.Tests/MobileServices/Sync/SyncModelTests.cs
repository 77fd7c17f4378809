using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>
/// Three PouchDB peers edit at random, each alone most of the time, while the service is killed (SIGKILL) among their <c>_bulk_docs</c>. MODEL_OPERATIONS=10000
/// and MODEL_KILLS=20 are the long form.
/// </summary>
public sealed class SyncModelTests
{
    private static readonly int Operations = Setting("MODEL_OPERATIONS", 300);
    private static readonly int Kills = Setting("MODEL_KILLS", 2);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    [Fact]
    public async Task Peers_of_a_service_that_is_killed_come_to_the_same_trees_and_every_acknowledged_body_can_be_read()
    {
        var result = await RunAsync("model", Operations, Kills);
        Assert.True(result.GetProperty("failed").GetInt32() > 0, "The service was not killed while it was asked.");
        Assert.True(result.GetProperty("acknowledged").GetInt32() > Operations / 10);
    }

    [Fact]
    public async Task Live_replication_loses_nothing_over_restarts_of_the_replica()
    {
        var result = await RunAsync("restarted", 60, 3);
        Assert.Equal(120, result.GetProperty("documents").GetInt32());
        Assert.True(result.GetProperty("failed").GetInt32() > 0, "The service was not away while it was asked.");
    }

    /// <summary>Runs a scenario of the client while the service is killed and started again.</summary>
    private static async Task<JsonElement> RunAsync(string scenario, int operations, int kills)
    {
        var database = await TestPostgres.CreateDatabaseAsync();
        var address = $"http://127.0.0.1:{TestServices.FreePort()}";
        var process = Start();
        try
        {
            await using var store = new NpgsqlConnection(database);
            using var client = new SyncClient(new($"{address}/sync/"), SyncService.Token("model"));
            await Eventually.TrueAsync(() => IsUpAsync(client.Http), Patience);
            var told = Task.Run(() => SyncService.RunAsync("pouchdb.mjs", scenario, address, SyncService.Token("model"), "7", $"{operations}"));
            for (var kill = 0; kill < kills && !told.IsCompleted; kill++)
            {
                // Just after a commit: others are on their way, and this one's answer may be too.
                var committed = await CommittedAsync(store) + (operations / (kills * 10)) + kill;
                await Eventually.TrueAsync(async () => told.IsCompleted || await CommittedAsync(store) >= committed, Patience);
                process.Kill();
                await process.WaitForExitAsync();
                process.Dispose();
                process = Start();
            }
            return await told;
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        Process Start()
        {
            var started = TestServices.StartProcess(
                "MobileServices", ("Run", "sync"), ("ConnectionStrings__mobiledb", database), ("ASPNETCORE_URLS", address), ("Logging__LogLevel__Default", "None"));
            started.BeginOutputReadLine();
            started.BeginErrorReadLine();
            return started;
        }
    }

    private static Task<long> CommittedAsync(NpgsqlConnection store) => store.ExecuteScalarAsync<long>("select coalesce(sum(update_seq), 0)::bigint from sync.database");

    private static async Task<bool> IsUpAsync(HttpClient http)
    {
        try
        {
            using var response = await http.GetAsync("_up");
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : otherwise;
}
