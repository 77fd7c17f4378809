using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using BackendSystems.Crm;
using Dapper;
using MobileIntegration.Contracts;
using Npgsql;
using Xunit.Abstractions;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>
/// The crash matrix: a real integration process is killed (SIGKILL) at random steps of its commands while a fifth of all calls to the back office
/// fail. <c>benchmarks/crash/run.sh</c> is the long form.
/// </summary>
public sealed class CrashTests(ITestOutputHelper output)
{
    private static readonly int Commands = Setting("CRASH_COMMANDS", 300);
    private static readonly int Kills = Setting("CRASH_KILLS", 10);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(Setting("CRASH_MINUTES", 4));

    [Fact]
    public async Task However_often_the_process_is_killed_each_order_is_placed_once()
    {
        var clock = Stopwatch.StartNew();
        var (wmsdb, backenddb, integrationdb) =
            (await TestPostgres.CreateDatabaseAsync(), await TestPostgres.CreateDatabaseAsync(), await TestPostgres.CreateDatabaseAsync());
        await using var backends = new TestService<CrmStore>(("ConnectionStrings:backenddb", backenddb), ("ConnectionStrings:wmsdb", wmsdb));
        await using var erp = new NpgsqlConnection(backenddb);
        await using var wms = new NpgsqlConnection(wmsdb);
        await using var database = new NpgsqlConnection(integrationdb);
        var poison = Math.Max(2, Commands / 100);
        var orders = await OrdersAsync(erp, wms, poison);
        foreach (var system in (string[])["erp", "wms", "pim"])
        {
            object fault = system is "wms" ? new { errorRate = 0.2 } : new { errorRate = 0.2, errorStatus = 500 };
            (await backends.Http.PutAsJsonAsync($"/{system}/faults", fault)).EnsureSuccessStatusCode();
        }

        var address = new Uri($"http://127.0.0.1:{TestServices.FreePort()}");
        var process = Start(address, backends.Address, wmsdb, integrationdb);
        using var http = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(10) };
        http.Authorize(TestAuthority.AllScopes);
        var random = new Random(4711);
        var share = (orders.Count + Kills - 1) / Kills;
        try
        {
            await Eventually.TrueAsync(() => IsUpAsync(http), Patience);
            for (var kill = 0; kill < Kills; kill++)
            {
                var written = await database.ExecuteScalarAsync<long>("select count(*) from commands.history");
                var sending = Task.WhenAll(orders.Skip(kill * share).Take(share).Chunk(Math.Max(1, share / 4)).Select(part => SendAsync(http, part)));
                // At a step that nobody chose: each of the share's commands writes four lines at least.
                var moment = written + random.Next(1, share * 3);
                await Eventually.TrueAsync(async () => await database.ExecuteScalarAsync<long>("select count(*) from commands.history") >= moment, Patience);
                process.Kill();
                await process.WaitForExitAsync();
                process.Dispose();
                process = Start(address, backends.Address, wmsdb, integrationdb);
                await sending;
            }
            await Eventually.TrueAsync(async () => await database.ExecuteScalarAsync<long>(
                "select count(*) from commands.command where status in ('accepted', 'running')") is 0, Patience);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        var done = (await database.QueryAsync<(Guid Id, string OrderId)>(
            "select id, state -> 'order' ->> 'id' from commands.command where status = 'done'")).AsList();
        var placed = (await erp.QueryAsync<(string Reference, string OrderNo)>(
            "select external_reference, order_no::text from erp.orders where order_no > 4500020000")).AsList();
        var dead = (await database.QueryAsync<(string Product, string Code)>(
            "select body -> 'lines' -> 0 ->> 'productId', problem ->> 'code' from commands.command where status = 'dead'")).AsList();
        var commands = await database.ExecuteScalarAsync<long>("select count(*) from commands.command");
        var failures = await database.ExecuteScalarAsync<long>("select count(*) from commands.history where outcome = 'failed'");
        var events = await database.ExecuteScalarAsync<long>("select count(distinct subject) from events.event");
        var reserved = await wms.ExecuteScalarAsync<long>("select count(*) from wms.rsv_t where st_cd = 'O' and length(ref) = 36");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""
            {Commands} orders and {poison} poison ones, {Kills} kills, 20 % of calls failing, {clock.Elapsed.TotalSeconds:0} s
            commands {commands}, done {done.Count}, dead {dead.Count}; steps that failed {failures}
            orders in the Erp {placed.Count}, duplicates {placed.Count - placed.Select(order => order.Reference).Distinct().Count()}; reservations {reserved}; events {events}
            """));
        Assert.Equal(orders.Count, commands);
        Assert.Equal(Commands, done.Count);
        Assert.Equal(done.Select(one => (one.Id.ToString(), one.OrderId)).Order(), placed.Order());
        Assert.Equal(Enumerable.Repeat((Poisoned, "needs-mending"), poison), dead);
        Assert.Equal(Commands, reserved);
        Assert.Equal(Commands, events);
        Assert.Equal(Commands, await database.ExecuteScalarAsync<long>("select count(*) from events.event"));
        Assert.True(failures > Commands / 10, "The back office did not fail.");
    }

    private const string Poisoned = "100666";

    /// <summary>Each of another article and store, of which there is one at least; poison ones of a product whose record cannot be read.</summary>
    private static async Task<List<(string Key, NewOrder Order)>> OrdersAsync(NpgsqlConnection pim, NpgsqlConnection wms, int poison)
    {
        var active = (await pim.QueryAsync<string>("select sku from pim.products where active and sku <> @Poisoned", new { Poisoned })).ToArray();
        await pim.ExecuteAsync("update pim.products set currency = 'eu' where sku = @Poisoned", new { Poisoned });
        var goods = (await wms.QueryAsync<(string Store, string Article)>(
            """
            select whs_cd, art_no from wms.art_bal_t where art_no = any(@active) and st_cd = 'A' and qty_oh > qty_rsv order by md5(whs_cd || art_no) limit @Commands
            """,
            new { active, Commands })).AsList();
        Assert.Equal(Commands, goods.Count);
        var every = Math.Max(1, Commands / poison);
        var orders = new List<(string, NewOrder)>();
        for (var at = 0; at < goods.Count; at++)
        {
            orders.Add(Order(at, goods[at].Store, goods[at].Article));
            if (at % every == 0 && orders.Count - at <= poison)
            {
                orders.Add(Order(at, "W01", Poisoned));
            }
        }
        Assert.Equal(Commands + poison, orders.Count);
        return orders;

        static (string, NewOrder) Order(int at, string store, string article) => (
            Guid.NewGuid().ToString(),
            new($"C-{(at % 5_000) + 1:000000}", store, new("Ada Müller", "Ring 1", "10115", "Berlin", "DE"), [new(article, 1)]));
    }

    /// <summary>As an app does: until there is an answer, with the same key.</summary>
    private static async Task SendAsync(HttpClient http, (string Key, NewOrder Order)[] orders)
    {
        foreach (var (key, order) in orders)
        {
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    using var response = await new Commands(http).SendAsync("/orders", order, key);
                    return response.StatusCode is HttpStatusCode.Accepted;
                }
                catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
                {
                    return false;
                }
            }, Patience);
        }
    }

    private static async Task<bool> IsUpAsync(HttpClient http)
    {
        try
        {
            return (await http.GetAsync("/health")).IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static Process Start(Uri address, Uri backends, string wmsdb, string integrationdb)
    {
        var process = TestServices.StartProcess(
            "IntegrationServices", ("Run", "orders"), ("ASPNETCORE_URLS", address.ToString()),
            ("ConnectionStrings__wmsdb", wmsdb), ("ConnectionStrings__integrationdb", integrationdb),
            ("services__erp__http__0", backends.ToString()), ("services__pim__http__0", backends.ToString()),
            ("Commands__LeaseSeconds", "2"), ("Commands__FirstRetrySeconds", "0.05"), ("Commands__LongestRetrySeconds", "1"),
            ("Commands__Concurrency", "16"), ("Logging__LogLevel__Default", "None"));
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : otherwise;
}
