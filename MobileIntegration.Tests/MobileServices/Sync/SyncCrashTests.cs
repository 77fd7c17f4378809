using System.Collections.Concurrent;
using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>The service dies at any moment.</summary>
public sealed class SyncCrashTests
{
    [Fact]
    public async Task What_was_acknowledged_before_a_kill_is_there_and_the_rest_is_there_whole_or_not_at_all()
    {
        var database = await TestPostgres.CreateDatabaseAsync();
        var port = TestServices.FreePort();
        var address = new Uri($"http://127.0.0.1:{port}/sync/");
        var token = SyncService.Token("crash");
        var acknowledged = new ConcurrentDictionary<string, string>();
        using var client = new SyncClient(address, token);
        for (var round = 0; round < 3; round++)
        {
            using var process = TestServices.StartProcess(
                "MobileServices", ("Run", "sync"), ("ConnectionStrings__mobiledb", database), ("ASPNETCORE_URLS", $"http://127.0.0.1:{port}"));
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            try
            {
                await Eventually.TrueAsync(IsUpAsync, TimeSpan.FromSeconds(60));
                if (round is 0)
                {
                    await client.PutAsync("crash");
                }
                var begun = acknowledged.Count;
                var writers = Enumerable.Range(0, 4).Select(writer => WriteAsync(round, writer)).ToList();
                // In the middle of many requests.
                await Eventually.TrueAsync(() => acknowledged.Count > begun + 400, TimeSpan.FromSeconds(60));
                process.Kill();
                await Task.WhenAll(writers);
            }
            finally
            {
                if (!process.HasExited)
                {
                    process.Kill();
                }
                await process.WaitForExitAsync();
                await Task.WhenAll(output, error);
            }
        }

        await using var again = new TestService<global::MobileServices.Sync.SyncOptions>(("Run", "sync"), ("ConnectionStrings:mobiledb", database));
        using var reader = new SyncClient(new(again.Address, "/sync/"), token);
        var listed = (await reader.GetAsync("crash/_all_docs?include_docs=true"))["rows"]!.AsArray().ToDictionary(row => (string)row!["id"]!, row => row!["doc"]!);
        foreach (var (id, rev) in acknowledged)
        {
            Assert.Equal(rev, (string?)listed[id]["_rev"]);
            Assert.Equal(id, (string?)listed[id]["me"]);
        }
        var changes = (await reader.GetAsync("crash/_changes"))["results"]!.AsArray();
        Assert.Equal(listed.Keys.Order(StringComparer.Ordinal), changes.Select(row => (string)row!["id"]!).Order(StringComparer.Ordinal));
        Assert.Equal(listed.Count, (int)(await reader.GetAsync("crash"))["doc_count"]!);
        // A request's documents are one transaction.
        Assert.All(listed.Keys.GroupBy(id => id[..id.LastIndexOf('-')]), batch => Assert.Equal(20, batch.Count()));

        async Task WriteAsync(int round, int writer)
        {
            try
            {
                for (var n = 0; ; n++)
                {
                    var ids = Enumerable.Range(0, 20).Select(i => $"{round}-{writer}-{n}-{i}").ToList();
                    var docs = new JsonObject { ["docs"] = new JsonArray([.. ids.Select(id => new JsonObject { ["_id"] = id, ["me"] = id })]) };
                    foreach (var row in (await client.PostAsync("crash/_bulk_docs", docs.ToJsonString(), 201)).AsArray())
                    {
                        acknowledged[(string)row!["id"]!] = (string)row["rev"]!;
                    }
                }
            }
            catch (HttpRequestException)
            {
                // It was killed.
            }
            catch (IOException)
            {
                // So was the answer.
            }
        }

        async Task<bool> IsUpAsync()
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
        }
    }
}
