using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using CsvHelper;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.BackendSystems;

[Collection(BackOfficeTests.Name)]
public sealed class WmsTests(BackOffice office)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Every_article_has_a_balance_in_each_of_twelve_stores()
    {
        Assert.Equal(12, await BackOffice.ScalarAsync<long>(office.WmsDb, "select count(*) from wms.whs where act = 'Y' and lat > 45 and lon > 4"));
        Assert.Equal(24_000, await BackOffice.ScalarAsync<long>(office.WmsDb, "select count(*) from wms.art_bal"));
        Assert.Equal(0, await BackOffice.ScalarAsync<long>(office.WmsDb, "select count(*) from wms.art_bal where qty_rsv > qty_oh or qty_oh < 0"));
        Assert.Equal(2_000, await BackOffice.ScalarAsync<long>(
            office.WmsDb, "select count(*) from (select art_no from wms.art_bal group by art_no having count(*) = 12) a"));
    }

    [Fact]
    public async Task A_reservation_holds_stock_once_until_it_is_released()
    {
        var article = await BackOffice.ScalarAsync<string>(
            office.WmsDb, "select art_no from wms.art_bal where whs_cd = 'W02' and st_cd = 'A' and qty_oh - qty_rsv between 5 and 9999 limit 1");
        Assert.Equal("OK", await ReserveAsync("order 1", "W02", article, 3));
        var held = await BalanceAsync("W02", article);
        Assert.Equal("OK", await ReserveAsync("order 1", "W02", article, 3));
        Assert.Equal(held, await BalanceAsync("W02", article));
        Assert.Equal("RU", await ReserveAsync("order 1", "W02", article, 4));
        Assert.Equal("NS", await ReserveAsync("order 2", "W02", article, 9_999));
        Assert.Equal("NA", await ReserveAsync("order 2", "W02", "999999", 1));
        Assert.Equal("QT", await ReserveAsync("order 2", "W02", article, 0));
        Assert.Equal("RF", await ReserveAsync("", "W02", article, 1));

        Assert.Equal(1, await BackOffice.ScalarAsync<int>(office.WmsDb, "select wms.rsv_rel('order 1')"));
        Assert.Equal(0, await BackOffice.ScalarAsync<int>(office.WmsDb, "select wms.rsv_rel('order 1')"));
        Assert.Equal((held.OnHand, held.Reserved - 3), await BalanceAsync("W02", article));
        Assert.Equal("RU", await ReserveAsync("order 1", "W02", article, 3));
    }

    [Fact]
    public async Task Concurrent_reservations_never_promise_more_than_there_is()
    {
        var article = await BackOffice.ScalarAsync<string>(
            office.WmsDb, "select art_no from wms.art_bal where whs_cd = 'W03' and st_cd = 'A' and qty_oh - qty_rsv between 4 and 12 limit 1");
        var before = await BalanceAsync("W03", article);
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(order => ReserveAsync($"race {order}", "W03", article, 1)));
        Assert.Equal(before.OnHand - before.Reserved, answers.Count(answer => answer == "OK"));
        Assert.Equal((before.OnHand, before.OnHand), await BalanceAsync("W03", article));
    }

    [Fact]
    public async Task The_high_water_mark_shows_every_change_after_it()
    {
        var mark = await BackOffice.ScalarAsync<long>(office.WmsDb, "select max(chg_no) from wms.art_bal");
        var numbers = await office.SimulateAsync("/wms/simulate/movements", 25, 8);
        await using var connection = new NpgsqlConnection(office.WmsDb);
        var moved = await connection.QueryAsync<string>("select whs_cd || art_no from wms.art_bal where chg_no > @mark", new { mark });
        var booked = await connection.QueryAsync<string>(
            "select whs_cd || art_no from wms.mvmt where mv_no = any(@numbers)", new { numbers = numbers.Select(long.Parse).ToArray() });
        Assert.Equal(booked.Order(), moved.Order());
        Assert.Equal(25, moved.Count());
    }

    [Fact]
    public async Task Movements_are_dropped_as_whole_csv_files_each_once()
    {
        await office.SimulateAsync("/wms/simulate/movements", 40, 9);
        var last = await BackOffice.ScalarAsync<long>(office.WmsDb, "select max(mv_no) from wms.mvmt");
        await Eventually.TrueAsync(() => Lines().Any(line => line[0] == last.ToString(CultureInfo.InvariantCulture)), Patience);

        var lines = Lines();
        Assert.Equal(Enumerable.Range(1, (int)last).Select(number => number.ToString(CultureInfo.InvariantCulture)), lines.Select(line => line[0]));
        Assert.Empty(Directory.GetFiles(office.DropFolder, "*.tmp"));
        await using var connection = new NpgsqlConnection(office.WmsDb);
        var (store, quantity) = await connection.QuerySingleAsync<(string, int)>(
            "select w.whs_nm, m.qty from wms.mvmt m join wms.whs w on w.whs_cd = m.whs_cd where m.mv_no = @last", new { last });
        Assert.Equal(store, lines[^1][4]);
        Assert.Equal($"{quantity},000", lines[^1][7]);
        Assert.Equal(8, lines[^1][1].Length);
        Assert.Equal(6, lines[^1][2].Length);
    }

    [Fact]
    public async Task An_outage_ends_sessions_and_refuses_statements_until_it_is_over()
    {
        var fresh = office.WmsDb + ";Pooling=false";
        await using var connection = new NpgsqlConnection(fresh);
        await connection.OpenAsync();
        Assert.Equal(12, await connection.ExecuteScalarAsync<long>("select count(*) from wms.whs"));
        await FaultsAsync(new { outage = true });
        try
        {
            await Assert.ThrowsAnyAsync<NpgsqlException>(() => connection.ExecuteScalarAsync<long>("select count(*) from wms.whs"));
            var refused = await Assert.ThrowsAsync<PostgresException>(() => BackOffice.ScalarAsync<long>(fresh, "select count(*) from wms.art_bal"));
            Assert.Equal("57P03", refused.SqlState);
            var write = await Assert.ThrowsAsync<PostgresException>(() => BackOffice.ScalarAsync<string>(fresh, "select wms.rsv_add('o', 'W01', '100042', 1)"));
            Assert.Equal("57P03", write.SqlState);
        }
        finally
        {
            await office.Http.DeleteAsync("/wms/faults");
        }

        NpgsqlConnection.ClearAllPools();
        Assert.Equal(12, await BackOffice.ScalarAsync<long>(office.WmsDb, "select count(*) from wms.whs"));
    }

    [Fact]
    public async Task Errors_and_latency_meet_every_reader()
    {
        try
        {
            await FaultsAsync(new { errorRate = 1.0 });
            var failed = await Assert.ThrowsAsync<PostgresException>(() => BackOffice.ScalarAsync<long>(office.WmsDb, "select count(*) from wms.mvmt"));
            Assert.Equal("53300", failed.SqlState);
            await FaultsAsync(new { latencyMs = 60_000 });
            await using var connection = new NpgsqlConnection(office.WmsDb + ";Command Timeout=1");
            var slow = await Assert.ThrowsAnyAsync<NpgsqlException>(() => connection.ExecuteScalarAsync<long>("select count(*) from wms.whs"));
            Assert.IsType<TimeoutException>(slow.InnerException);
        }
        finally
        {
            await office.Http.DeleteAsync("/wms/faults");
        }

        using var drip = await office.Http.PutAsJsonAsync("/wms/faults", new { dripBytesPerSecond = 10 });
        await BackOffice.ProblemAsync(drip, 400, "reached by SQL");
    }

    private async Task FaultsAsync(object settings)
    {
        using var response = await office.Http.PutAsJsonAsync("/wms/faults", settings);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
    }

    private async Task<string> ReserveAsync(string reference, string store, string article, int quantity)
    {
        await using var connection = new NpgsqlConnection(office.WmsDb);
        return (await connection.ExecuteScalarAsync<string>(
            "select wms.rsv_add(@reference, @store, @article, @quantity)", new { reference, store, article, quantity }))!;
    }

    private async Task<(int OnHand, int Reserved)> BalanceAsync(string store, string article)
    {
        await using var connection = new NpgsqlConnection(office.WmsDb);
        return await connection.QuerySingleAsync<(int, int)>(
            "select qty_oh, qty_rsv from wms.art_bal where whs_cd = @store and art_no = @article", new { store, article });
    }

    /// <summary>All lines of all dropped files, in the order of their names.</summary>
    private List<string[]> Lines()
    {
        var lines = new List<string[]>();
        foreach (var file in Directory.GetFiles(office.DropFolder, "MVMT_*.csv").Order(StringComparer.Ordinal))
        {
            using var csv = CsvReader.FromFile(file, new CsvReaderOptions { Separator = ';', Encoding = Encoding.Latin1 });
            while (csv.Read())
            {
                lines.Add([.. Enumerable.Range(0, 10).Select(csv.GetString)]);
            }
        }

        return lines;
    }
}
