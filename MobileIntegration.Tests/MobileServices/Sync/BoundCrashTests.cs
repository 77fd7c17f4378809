using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Dapper;
using Npgsql;
using static MobileIntegration.Tests.MobileServices.Sync.BoundService;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Sync and integration are processes of their own here, and die in the middle of their work.</summary>
public sealed class BoundCrashTests(BoundService service) : IClassFixture<BoundService>, IDisposable
{
    private const int Orders = 24;
    private const int Kills = 4;
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(3);
    private readonly List<Process> _processes = [];

    [Fact]
    public async Task However_often_sync_and_integration_are_killed_each_document_is_one_order_and_each_cancellation_is_done()
    {
        var database = await TestPostgres.CreateDatabaseAsync();
        var (sync, integration) = (new Uri($"http://127.0.0.1:{TestServices.FreePort()}"), new Uri($"http://127.0.0.1:{TestServices.FreePort()}"));
        var customer = service.NewCustomer();
        var before = await service.ErpOrdersAsync(customer);
        var drafts = new List<JsonObject>();
        for (var n = 0; n < Orders; n++)
        {
            drafts.Add(await service.DraftAsync());
        }
        using var phone = service.PhoneOf(customer, address: sync);
        phone.Http.Timeout = TimeSpan.FromSeconds(10);
        var (syncProcess, integrationProcess) = (StartSync(), StartIntegration());
        await using var store = new NpgsqlConnection(database);
        await Eventually.TrueAsync(() => SendAsync(() => phone.Http.GetAsync("orders")), Long);
        for (var kill = 0; kill < Kills; kill++)
        {
            var first = kill * Orders / Kills;
            var writing = Task.Run(async () =>
            {
                for (var n = first; n < first + (Orders / Kills); n++)
                {
                    // As an app does: again until there is an answer; the document is there already (409) when only the answer was lost.
                    await Eventually.TrueAsync(() => SendAsync(() => phone.Http.PutAsync($"orders/o{n}", SyncClient.Json(drafts[n].ToJsonString()))), Long);
                }
            });
            // At a moment of this round's work that nobody chose.
            await Eventually.TrueAsync(async () => await store.ExecuteScalarAsync<long>("select coalesce(sum(attempts), 0) from sync.bound_change") > (kill * 12) + (kill * kill), Long);
            if (kill % 2 is 0)
            {
                await KillAsync(syncProcess);
                syncProcess = StartSync();
            }
            else
            {
                await KillAsync(integrationProcess);
                integrationProcess = StartIntegration();
            }
            await writing;
        }

        for (var n = 0; n < Orders; n++)
        {
            var placed = (await UntilAsync(phone, $"o{n}", order => (string?)order["status"] == "open")).AsObject();
            if (n % 3 is 0)
            {
                placed["cancelled"] = true;
                await Eventually.TrueAsync(() => SendAsync(() => phone.Http.PutAsync($"orders/o{n}", SyncClient.Json(placed.ToJsonString()))), Long);
            }
            if (n is Orders / 2)
            {
                await Task.WhenAll(KillAsync(syncProcess), KillAsync(integrationProcess));
                (syncProcess, integrationProcess) = (StartSync(), StartIntegration());
                await Eventually.TrueAsync(() => SendAsync(() => phone.Http.GetAsync("orders")), Long);
            }
        }
        for (var n = 0; n < Orders; n += 3)
        {
            await UntilAsync(phone, $"o{n}", order => (string?)order["status"] == "cancelled" && order["problem"] is null);
        }
        await Eventually.TrueAsync(async () => await store.ExecuteScalarAsync<long>("select count(*) from sync.bound_change where state in ('waiting', 'sent')") is 0, Long);

        Assert.Equal(before + Orders, await service.ErpOrdersAsync(customer));
        var documents = (await phone.GetAsync("orders/_all_docs?include_docs=true"))["rows"]!.AsArray().Select(row => row!["doc"]!).ToList();
        Assert.Equal(before + Orders, documents.Select(order => (string?)order["id"]).Distinct().Count());
        Assert.Equal(before + Orders, documents.Count);

        Process StartSync() => Start("MobileServices", sync, Settings(database, service.Office.IntegrationDatabase, integration));

        Process StartIntegration() => Start("IntegrationServices", integration,
        [
            ("Run", "orders"), ("ConnectionStrings:wmsdb", service.Office.WmsDatabase), ("ConnectionStrings:integrationdb", service.Office.IntegrationDatabase),
            TestServices.At("erp", service.Office.Backends.Address), TestServices.At("pim", service.Office.Backends.Address),
            ("Commands:LeaseSeconds", "2"), ("Commands:FirstRetrySeconds", "0.05"), ("Reads:FreshSeconds", "0"), ("Reads:StaleSeconds", "0"),
        ]);
    }

    public void Dispose()
    {
        foreach (var process in _processes)
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
            process.Dispose();
        }
    }

    private static async Task<bool> SendAsync(Func<Task<HttpResponseMessage>> send)
    {
        try
        {
            using var response = await send();
            return response.IsSuccessStatusCode || response.StatusCode is HttpStatusCode.Conflict;
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException or IOException)
        {
            return false;
        }
    }

    private static async Task KillAsync(Process process)
    {
        process.Kill();
        await process.WaitForExitAsync();
    }

    private Process Start(string assembly, Uri address, (string Key, string Value)[] settings)
    {
        var process = TestServices.StartProcess(assembly,
            [("ASPNETCORE_URLS", address.ToString()), ("Logging__LogLevel__Default", "None"), .. settings.Select(one => (one.Key.Replace(":", "__", StringComparison.Ordinal), one.Value))]);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _processes.Add(process);
        return process;
    }
}
