using BackendSystems.Erp;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.BackendSystems;

/// <summary>These start back offices of their own, on databases of their own.</summary>
[Collection(BackOfficeTests.Name)]
public sealed class SeedTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Two_companies_are_seeded_alike_and_a_second_start_changes_nothing()
    {
        var (one, two) = (await DatabasesAsync(), await DatabasesAsync());
        await StartAndStopAsync(one);
        await StartAndStopAsync(two);
        var sums = await SumsAsync(one);
        Assert.Equal(sums, await SumsAsync(two));
        await StartAndStopAsync(one);
        Assert.Equal(sums, await SumsAsync(one));

        Assert.Equal(5_000, await BackOffice.ScalarAsync<long>(one.Backend, "select count(*) from crm.customers"));
        Assert.Equal(2_000, await BackOffice.ScalarAsync<long>(one.Backend, "select count(*) from pim.products"));
        Assert.Equal(40, await BackOffice.ScalarAsync<long>(one.Backend, "select count(distinct category_code) from pim.products"));
        Assert.Equal(20_000, await BackOffice.ScalarAsync<long>(one.Backend, "select count(*) from erp.orders"));
        Assert.Equal(5_000, await BackOffice.ScalarAsync<long>(one.Backend, "select count(distinct customer_no) from erp.orders"));
    }

    [Fact]
    public async Task The_systems_know_the_same_customers_and_articles()
    {
        var databases = await DatabasesAsync();
        await StartAndStopAsync(databases);
        Assert.Equal(5_000, await BackOffice.ScalarAsync<long>(databases.Backend, """
            select count(*) from crm.customers c join erp.customers e on e.customer_no = c.customer_no
            where e.name = (c.fields -> 'name' ->> 'given') || ' ' || (c.fields -> 'name' ->> 'family') and e.city = c.fields -> 'addresses' -> 0 ->> 'city'
            """));
        Assert.Equal(2_000, await BackOffice.ScalarAsync<long>(
            databases.Backend, "select count(*) from pim.products p join erp.articles a on a.article_no = p.sku"));
        Assert.Equal(0, await BackOffice.ScalarAsync<long>(databases.Backend, """
            select count(*) from erp.orders o where gross_amount <> (select sum(line_amount) from erp.order_lines l where l.order_no = o.order_no)
                or gross_amount <> net_amount + tax_amount or changed_at < order_date
            """));
        Assert.Equal(
            await BackOffice.ScalarAsync<string>(databases.Backend, "select md5(string_agg(sku, ',' order by sku)) from pim.products"),
            await BackOffice.ScalarAsync<string>(databases.Wms, "select md5(string_agg(art_no, ',' order by art_no)) from wms.art_bal where whs_cd = 'W01'"));
    }

    [Fact]
    public async Task A_process_killed_while_seeding_leaves_nothing_and_two_replicas_then_seed_once()
    {
        var databases = await DatabasesAsync();
        await StartAndStopAsync(databases);
        await using var connection = new NpgsqlConnection(databases.Backend);
        await connection.OpenAsync();
        await connection.ExecuteAsync("truncate erp.orders, erp.order_lines, erp.customers, erp.articles, erp.plants");
        await using (var barrier = await connection.BeginTransactionAsync())
        {
            await connection.ExecuteAsync("lock table erp.order_lines in access exclusive mode");
            using var process = TestServices.StartProcess(
                "BackendSystems", ("Run", "erp"), ("ConnectionStrings__backenddb", databases.Backend), ("ConnectionStrings__wmsdb", databases.Wms));
            try
            {
                await Eventually.TrueAsync(async () => await BackOffice.ScalarAsync<bool>(databases.Wms, $"""
                    select exists(select from pg_stat_activity
                        where datname = '{connection.Database}' and query ilike 'copy erp.order_lines%' and wait_event_type = 'Lock')
                    """), Patience);
            }
            finally
            {
                process.Kill();
                await process.WaitForExitAsync();
            }
        }

        Assert.Equal(0, await connection.ExecuteScalarAsync<long>("select count(*) from erp.orders"));
        await Task.WhenAll(Task.Run(() => StartAndStopAsync(databases)), Task.Run(() => StartAndStopAsync(databases)));
        Assert.Equal(20_000, await connection.ExecuteScalarAsync<long>("select count(*) from erp.orders"));
        Assert.True(await connection.ExecuteScalarAsync<long>("select count(*) from erp.order_lines") > 20_000);
    }

    private static async Task<(string Backend, string Wms)> DatabasesAsync() =>
        (await TestPostgres.CreateDatabaseAsync(), await TestPostgres.CreateDatabaseAsync());

    private static async Task StartAndStopAsync((string Backend, string Wms) databases)
    {
        await using var host = new TestService<OrderService>(("ConnectionStrings:backenddb", databases.Backend), ("ConnectionStrings:wmsdb", databases.Wms));
        using var health = await host.Http.GetAsync("/health");
        Assert.True(health.IsSuccessStatusCode);
    }

    /// <summary>A checksum of every seeded table.</summary>
    private static async Task<string> SumsAsync((string Backend, string Wms) databases)
    {
        var sums = new List<string>();
        foreach (var table in new[] { "crm.customers", "erp.customers", "erp.articles", "erp.orders", "erp.order_lines", "pim.categories", "pim.products" })
        {
            sums.Add(await BackOffice.ScalarAsync<string>(databases.Backend, $"select '{table} ' || md5(string_agg(t::text, ';' order by t::text)) from {table} t"));
        }

        foreach (var table in new[] { "wms.whs_t", "wms.art_bal_t" })
        {
            sums.Add(await BackOffice.ScalarAsync<string>(databases.Wms, $"select '{table} ' || md5(string_agg(t::text, ';' order by t::text)) from {table} t"));
        }

        return string.Join('\n', sums);
    }
}
