using System.Globalization;
using IntegrationServices.Connectors;
using IntegrationServices.Inventory;
using IntegrationServices.Products;
using Microsoft.Extensions.Options;

namespace IntegrationServices.Changes;

/// <summary>
/// Asks the two systems that can tell what has changed since: the Wms by the number of the movement, the Pim by the time of the change. What a webhook
/// or file has told already tells nothing more. One replica asks a system at a time.
/// </summary>
internal sealed class Polling(
    ChangeStore store, [FromKeyedServices(Wms.Name)] SqlConnector wms, [FromKeyedServices(Pim.Name)] RestConnector pim, Sources sources, ChangeMetrics metrics,
    IOptions<ChangesOptions> options, TimeProvider time, ILogger<Polling> logger) : BackgroundService
{
    private const string Source = "poll";
    private const int Page = 500;
    private static readonly TimeSpan PruneEvery = TimeSpan.FromHours(1);

    /// <summary>Changes that were made earlier may be seen later, when their transaction was long.</summary>
    private static readonly TimeSpan Overlap = TimeSpan.FromMinutes(1);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        RepeatAsync("the Wms cannot be asked for movements", AskAsync(Wms.Name, PollWmsAsync), stoppingToken),
        RepeatAsync("the Pim cannot be asked for prices", AskAsync(Pim.Name, PollPimAsync), stoppingToken),
        RepeatAsync("what is past keeping cannot be forgotten", store.PruneAsync, stoppingToken, PruneEvery));

    /// <summary>All movements since the last look.</summary>
    public async Task PollWmsAsync(CancellationToken ct)
    {
        if (await store.BeginMarkAsync(Wms.Name, () => wms.QueryAsync("select coalesce(max(mv_no), 0)::text from wms.mvmt", null, one => one.ReadSingleAsync<string>(), ct), ct))
        {
            return;
        }
        int read;
        do
        {
            await using var connection = await store.Database.OpenConnectionAsync(ct);
            await using var transaction = await connection.BeginTransactionAsync(ct);
            if (await ChangeStore.LockMarkAsync(transaction, Wms.Name, ct) is not { } mark)
            {
                return;
            }
            var after = long.Parse(mark, CultureInfo.InvariantCulture);
            var moves = await wms.QueryAsync(MovesSql, new { after, Page }, async results => (await results.ReadAsync<MoveRow>()).ToList(), ct);
            read = moves.Count;
            if (read > 0)
            {
                var reports = moves.Where(move => move.newest).Select(move => Report.Of(
                    Wms.Name, Source, $"movement {move.mv_no}",
                    BackendChange.Write("stock.moved", StockLine.Time(move.mv_dt, move.mv_tm) ?? time.GetUtcNow(), new
                    {
                        mvNo = move.mv_no,
                        whsCd = move.whs_cd?.Trim(),
                        artNo = move.art_no?.Trim(),
                        qtyOh = move.qty_oh,
                        qtyRsv = move.qty_rsv,
                    }))).ToList();
                metrics.Count(Wms.Name, Source, await ChangeStore.TakeAsync(transaction, reports, ct));
                await ChangeStore.MoveMarkAsync(transaction, Wms.Name, moves[^1].mv_no.ToString(CultureInfo.InvariantCulture), ct);
                await transaction.CommitAsync(ct);
            }
        }
        while (read == Page);
    }

    /// <summary>All products that changed since the last look.</summary>
    public async Task PollPimAsync(CancellationToken ct)
    {
        if (await store.BeginMarkAsync(Pim.Name, () => Task.FromResult(time.GetUtcNow().ToString("O", CultureInfo.InvariantCulture)), ct))
        {
            return;
        }
        await using var connection = await store.Database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (await ChangeStore.LockMarkAsync(transaction, Pim.Name, ct) is not { } mark)
        {
            return;
        }
        var newest = DateTimeOffset.Parse(mark, CultureInfo.InvariantCulture);
        var (from, sku) = (newest - Overlap, "");
        List<PimProduct> products;
        do
        {
            var after = from.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture);
            var filter = Uri.EscapeDataString($"LastModified gt {after} or (LastModified eq {after} and Sku gt '{sku}')");
            products = await pim.GetODataAsync<PimProduct>(
                $"/pim/odata/Products?$select=Sku,ListPrice,SalePrice,Currency,Revision,LastModified&$orderby=LastModified,Sku&$top={Page}&$filter={filter}", Page, ct);
            var reports = products.ConvertAll(product => Report.Of(
                Pim.Name, Source, $"product {product.Sku} revision {product.Revision}",
                BackendChange.Write("product.price_changed", product.LastModified ?? time.GetUtcNow(), product)));
            metrics.Count(Pim.Name, Source, await ChangeStore.TakeAsync(transaction, reports, ct));
            if (products.Count > 0)
            {
                var record = new SourceRecord(Pim.Name, $"product {products[^1].Sku}");
                (from, sku) = (record.Required(products[^1].LastModified), record.Required(products[^1].Sku).Replace("'", "''", StringComparison.Ordinal));
                newest = from > newest ? from : newest;
            }
        }
        while (products.Count >= Page);
        await ChangeStore.MoveMarkAsync(transaction, Pim.Name, newest.ToString("O", CultureInfo.InvariantCulture), ct);
        await transaction.CommitAsync(ct);
    }

    private Func<CancellationToken, Task> AskAsync(string system, Func<CancellationToken, Task> pollAsync) => async ct =>
    {
        try
        {
            await pollAsync(ct);
            sources.Works(system, Source);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            sources.Fails(system, Source, exception.Message);
            throw;
        }
    };

    private async Task RepeatAsync(string otherwise, Func<CancellationToken, Task> stepAsync, CancellationToken ct, TimeSpan? every = null)
    {
        using var timer = new PeriodicTimer(every ?? TimeSpan.FromSeconds(options.Value.PollSeconds), time);
        do
        {
            try
            {
                await stepAsync(ct);
            }
            catch (Exception exception) when (!ct.IsCancellationRequested)
            {
                logger.LogWarning("Changes: {Otherwise} now: {Reason}", otherwise, exception.Message);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
        while (await NextAsync(timer, ct));
    }

    private static async Task<bool> NextAsync(PeriodicTimer timer, CancellationToken ct)
    {
        try
        {
            return await timer.WaitForNextTickAsync(ct);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>A balance bears the number of its newest movement; older ones are followed by a newer one, here or on the next page.</summary>
    private const string MovesSql =
        """
        select m.mv_no, m.mv_dt, m.mv_tm, m.whs_cd, m.art_no, b.qty_oh, b.qty_rsv, b.chg_no = m.chg_no as newest
        from wms.mvmt m join wms.art_bal b on b.whs_cd = m.whs_cd and b.art_no = m.art_no
        where m.mv_no > @after
        order by m.mv_no
        limit @Page
        """;

    private sealed record PimProduct(string? Sku, decimal? ListPrice, decimal? SalePrice, string? Currency, long? Revision, DateTimeOffset? LastModified);

#pragma warning disable IDE1006 // the columns' own names
    private sealed record MoveRow(long mv_no, int mv_dt, int mv_tm, string? whs_cd, string? art_no, int? qty_oh, int? qty_rsv, bool newest);
#pragma warning restore IDE1006
}
