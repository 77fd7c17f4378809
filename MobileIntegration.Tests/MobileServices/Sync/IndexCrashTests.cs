using System.Diagnostics;
using System.Net.Http.Json;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>The service is a process of its own here, and dies (SIGKILL) while it brings a view up to date.</summary>
public sealed class IndexCrashTests : IDisposable
{
    private const int Documents = 5_000;
    private const int Kills = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private readonly string _address = $"http://127.0.0.1:{TestServices.FreePort()}";
    private Process? _process;

    [Fact]
    public async Task However_often_a_view_dies_on_its_way_it_has_each_document_once_and_as_it_is_now()
    {
        var database = await TestPostgres.CreateDatabaseAsync();
        await using var store = new NpgsqlConnection(database);
        using var client = new SyncClient(new($"{_address}/sync/"), SyncService.Token("index"));
        await StartAsync(database, client);
        (await client.Http.PutAsync("notes", null)).EnsureSuccessStatusCode();
        await client.PutAsync("notes/_design/all", """{"views":{"worth":{"map":"function (doc) { emit(doc._id, doc.worth); }","reduce":"_sum"}}}""");
        var revisions = await WriteAsync(client, null, worth: 1);

        for (var kill = 0; kill < Kills; kill++)
        {
            if (kill is Kills / 2)
            {
                // What was in the index is from now on in it as something else.
                revisions = await WriteAsync(client, revisions, worth: 2);
            }
            var before = await SeqAsync();
            using var asked = new HttpRequestMessage(HttpMethod.Get, "notes/_design/all/_view/worth");
            var asking = client.Http.SendAsync(asked);
            await Eventually.TrueAsync(async () => asking.IsCompleted || await SeqAsync() > before, Patience);
            Assert.False(asking.IsCompleted, "It was up to date before it could be killed.");
            _process!.Kill();
            await _process.WaitForExitAsync();
            await Assert.ThrowsAnyAsync<HttpRequestException>(() => asking);
            await StartAsync(database, client);
        }

        var total = await client.GetAsync("notes/_design/all/_view/worth");
        Assert.Equal(2 * Documents, (int)total["rows"]![0]!["value"]!);
        var rows = (await client.GetAsync("notes/_design/all/_view/worth?reduce=false"))["rows"]!.AsArray();
        Assert.Equal(Enumerable.Range(0, Documents).Select(n => (Id(n), 2)), rows.Select(row => ((string)row!["id"]!, (int)row["value"]!)));

        Task<long> SeqAsync() => store.ExecuteScalarAsync<long>("select coalesce(sum(seq), 0)::bigint from sync.index");
    }

    public void Dispose()
    {
        _process?.Kill();
        _process?.Dispose();
    }

    private static string Id(int n) => $"note-{n:00000}";

    private static async Task<string[]> WriteAsync(SyncClient client, string[]? revisions, int worth)
    {
        using var response = await client.Http.PostAsJsonAsync("notes/_bulk_docs", new
        {
            docs = Enumerable.Range(0, Documents).Select(n => revisions is null ? (object)new { _id = Id(n), worth } : new { _id = Id(n), _rev = revisions[n], worth }),
        });
        response.EnsureSuccessStatusCode();
        return [.. (await response.Content.ReadFromJsonAsync<List<Written>>())!.Select(written => written.Rev)];
    }

    private async Task StartAsync(string database, SyncClient client)
    {
        _process?.Dispose();
        _process = TestServices.StartProcess(
            "MobileServices", ("Run", "sync"), ("ConnectionStrings__mobiledb", database), ("ASPNETCORE_URLS", _address), ("Logging__LogLevel__Default", "None"));
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var response = await client.Http.GetAsync("_up");
                return response.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }, Patience);
    }

    private sealed record Written(string Id, string Rev);
}
