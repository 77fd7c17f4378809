using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using Dapper;
using Npgsql;
using Xunit.Abstractions;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>
/// The crash matrix of what comes in: a real process is killed (SIGKILL) at random moments while files and webhooks come doubled, in any order and cut off.
/// </summary>
public sealed class ChangesCrashTests(ITestOutputHelper output)
{
    private const int Files = 5;
    private const int LinesOfAFile = 1_000;
    private const int Orders = 100;
    private const int Revisions = 3;
    private const int Kills = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    [Fact]
    public async Task However_often_the_process_is_killed_each_change_is_told_once()
    {
        var clock = Stopwatch.StartNew();
        var (integrationdb, wmsdb) = (await TestPostgres.CreateDatabaseAsync(), await TestPostgres.CreateDatabaseAsync());
        var folder = Directory.CreateTempSubdirectory("crash-").FullName;
        var secret = $"whsec_{Convert.ToBase64String(Encoding.ASCII.GetBytes("a secret of this test, only for it"))}";
        var address = new Uri($"http://127.0.0.1:{TestServices.FreePort()}");
        await using var database = new NpgsqlConnection(integrationdb);
        var random = new Random(4711);
        var messages = Enumerable.Range(0, Orders * Revisions * 3).Select(at =>
        {
            var (order, revision) = (at % Orders, (at / Orders % Revisions) + 1);
            return (Body: ChangesService.Order($"{4_700_000_000L + order}", revision), Id: $"msg_{order}_{revision}", IsCut: at >= Orders * Revisions * 2);
        }).ToArray();
        random.Shuffle(messages);
        var process = Start(address, folder, wmsdb, integrationdb);
        try
        {
            await Eventually.TrueAsync(() => IsAsync("select to_regclass('changes.secret') is not null"), Patience);
            await database.ExecuteAsync("insert into changes.secret (system, secret) values ('erp', @secret)", new { secret });
            var sending = Task.WhenAll(messages.Chunk(messages.Length / 4 + 1).Select(part => SendAsync(address, secret, part)));
            for (var kill = 0; kill < Files; kill++)
            {
                // Cut off in the middle, whole, and later once more.
                var (name, text) = File(kill);
                Drop(folder, $"a{name}", text[..(text.Length / 2)]);
                Drop(folder, name, text);
                var told = await database.ExecuteScalarAsync<long>("select count(*) from events.event");
                var moment = told + random.Next(1, LinesOfAFile);
                await Eventually.TrueAsync(() => IsAsync($"select count(*) >= {moment} from events.event"), Patience);
                Drop(folder, $"b{name}", text);
                if (kill < Kills)
                {
                    process.Kill();
                    await process.WaitForExitAsync();
                    process.Dispose();
                    process = Start(address, folder, wmsdb, integrationdb);
                }
            }
            await sending;
            await Eventually.TrueAsync(() => Directory.GetFiles(Path.Combine(folder, ".done")).Length is 3 * Files, Patience);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
            Directory.Delete(folder, recursive: true);
        }

        var stock = await database.QuerySingleAsync<(long Events, long Versions)>("select count(*), count(distinct version) from events.event where type = 'StockChanged'");
        var orders = (await database.QueryAsync<(string Subject, long Version)>("select subject, version from events.event where type = 'OrderChanged' order by number")).AsList();
        var aside = (await database.QueryAsync<string>("select source from changes.set_aside")).AsList();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""
            {Kills} kills, {clock.Elapsed.TotalSeconds:0} s; lines {Files * LinesOfAFile}, each in 2 to 3 files: events {stock.Events}, duplicates {stock.Events - stock.Versions}
            webhooks {messages.Length} of {Orders * Revisions} changes, in any order: events {orders.Count}; set aside {aside.Count}
            """));
        Assert.Equal((Files * LinesOfAFile, Files * LinesOfAFile), stock);
        Assert.All(orders.GroupBy(one => one.Subject), one =>
        {
            Assert.Equal(one.Select(order => order.Version).Distinct().Order(), one.Select(order => order.Version));
            Assert.Equal(Revisions, one.Last().Version);
        });
        Assert.Equal(Orders, orders.Select(one => one.Subject).Distinct().Count());
        Assert.Equal(Enumerable.Repeat("line", Files), aside);

        async Task<bool> IsAsync(string sql)
        {
            await using var connection = new NpgsqlConnection(integrationdb);
            return await connection.ExecuteScalarAsync<bool>(sql);
        }
    }

    /// <summary>Lines of as many stores and products, cut in half within a line.</summary>
    private static (string Name, string Text) File(int file)
    {
        var text = new StringBuilder("MV_NO;MV_DT;MV_TM;WHS_CD;WHS_NM;ART_NO;MV_TP;QTY;UNIT;REF\r\n");
        for (var line = file * LinesOfAFile; line < (file + 1) * LinesOfAFile; line++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{line + 1};20260630;081500;W{(line % 12) + 1:00};München;{100_001 + (line / 12)};GI;-2,000;PCE;POS 4711\r\n");
        }
        return ($"MVMT_{file}.csv", text.ToString());
    }

    private static void Drop(string folder, string name, string text) => System.IO.File.WriteAllText(Path.Combine(folder, name), text, Encoding.Latin1);

    /// <summary>As a backend does: until it is taken, each time signed anew. What is cut off on its way is refused.</summary>
    private static async Task SendAsync(Uri address, string secret, (string Body, string Id, bool IsCut)[] messages)
    {
        using var http = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(10) };
        foreach (var (body, id, isCut) in messages)
        {
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    using var request = ChangesService.Signed(secret, "erp", isCut ? body[..^9] : body, id, DateTimeOffset.UtcNow, signed: body);
                    using var response = await http.SendAsync(request);
                    return response.StatusCode == (isCut ? HttpStatusCode.Unauthorized : HttpStatusCode.NoContent);
                }
                catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
                {
                    return false;
                }
            }, Patience);
        }
    }

    private static Process Start(Uri address, string folder, string wmsdb, string integrationdb)
    {
        var process = TestServices.StartProcess(
            "IntegrationServices", ("Run", "changes"), ("ASPNETCORE_URLS", address.ToString()), ("ConnectionStrings__wmsdb", wmsdb),
            ("ConnectionStrings__integrationdb", integrationdb), ("Changes__DropFolder", folder), ("Changes__SettleSeconds", "0.05"), ("Changes__PollSeconds", "3600"),
            ("Logging__LogLevel__Default", "None"));
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }
}
