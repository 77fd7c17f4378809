using System.Globalization;
using BackendSystems.Faults;
using BackendSystems.Webhooks;
using Dapper;
using Npgsql;

namespace BackendSystems.Wms;

/// <summary>A movement as it leaves the house.</summary>
internal sealed record Movement(
    long MvNo, int MvDt, int MvTm, string WhsCd, string WhsNm, string ArtNo, string MvTp, int Qty, string Ref, int QtyOh, int QtyRsv, long ChgNo);

/// <summary>A file of the drop folder that is promised but not known to be written.</summary>
internal sealed record PromisedFile(long FstMvNo, long LstMvNo, string FilNm);

/// <summary>The Wms' own SQL. What others may call is in its migration.</summary>
internal sealed class WmsStore(
    [FromKeyedServices(Databases.Wms)] NpgsqlDataSource database, [FromKeyedServices(WmsSetup.Name)] WebhookChannel webhooks)
{
    private const int MovementsPerFile = 5_000;
    private const string Columns =
        "m.mv_no, m.mv_dt, m.mv_tm, m.whs_cd, w.whs_nm, m.art_no, m.mv_tp, m.qty, m.ref, m.qty_oh, m.qty_rsv, m.chg_no";

    /// <summary>Balances chosen by the seed move: goods are received, issued and recounted.</summary>
    public async Task<IReadOnlyList<string>> MoveAsync(int count, int seed, CancellationToken ct)
    {
        const string Choose = """
            select whs_cd, art_no, qty_oh, qty_rsv from wms.art_bal_t
            order by md5(whs_cd || art_no || ':' || @seed), whs_cd, art_no limit @count
            """;
        const string Book = """
            select wms.mv_book(whs_cd, art_no, mv_tp, qty, ref)
            from unnest(@whs, @art, @types, @quantities, @refs) as m(whs_cd, art_no, mv_tp, qty, ref)
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("select wms.mv_line()", transaction: transaction, cancellationToken: ct));
        var chosen = (await connection.QueryAsync<Balance>(new CommandDefinition(
            Choose, new { seed = seed.ToString(CultureInfo.InvariantCulture), count }, transaction, cancellationToken: ct))).AsList();
        var random = new Random(seed);
        var moves = chosen.ConvertAll(balance => (balance.WhsCd, balance.ArtNo, Move: Next(balance, random)));
        var numbers = (await connection.QueryAsync<long>(new CommandDefinition(Book, new
        {
            whs = moves.Select(move => move.WhsCd).ToArray(),
            art = moves.Select(move => move.ArtNo).ToArray(),
            types = moves.Select(move => move.Move.Type).ToArray(),
            quantities = moves.Select(move => move.Move.Quantity).ToArray(),
            refs = moves.Select(move => move.Move.Reference).ToArray(),
        }, transaction, cancellationToken: ct))).AsList();
        await transaction.CommitAsync(ct);
        return numbers.ConvertAll(number => number.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Turns booked movements into webhooks, each once; the table of movements is their outbox.</summary>
    /// <returns>How many movements were told of.</returns>
    public async Task<int> TellAsync(CancellationToken ct)
    {
        const string Next = $"""
            select {Columns} from wms.mvmt_t m join wms.whs_t w on w.whs_cd = m.whs_cd
            where m.mv_no > (select hook_mv_no from wms.exp_t) order by m.mv_no limit 500
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("select from wms.exp_t for update", transaction: transaction, cancellationToken: ct));
        var movements = (await connection.QueryAsync<Movement>(new CommandDefinition(Next, transaction: transaction, cancellationToken: ct))).AsList();
        if (movements.Count == 0)
        {
            return 0;
        }

        await webhooks.AddAsync(transaction, movements.ConvertAll(move => new WebhookEvent("stock.moved", $"{move.WhsCd}/{move.ArtNo}", new
        {
            move.MvNo,
            move.WhsCd,
            move.ArtNo,
            move.MvTp,
            move.Qty,
            move.QtyOh,
            move.QtyRsv,
            move.ChgNo,
        })), ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "update wms.exp_t set hook_mv_no = @last", new { last = movements[^1].MvNo }, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        webhooks.Wake();
        return movements.Count;
    }

    /// <summary>
    /// Promises the next file and has it written. The promise is kept first, so that a file written twice, after a crash, has the same name and content.
    /// </summary>
    /// <returns>False when there was nothing to write.</returns>
    public async Task<bool> DropAsync(Func<PromisedFile, IReadOnlyList<Movement>, CancellationToken, Task> writeAsync, CancellationToken ct)
    {
        const string Promise = """
            with mark as (select drop_mv_no from wms.exp_t for update),
            next as (
                select m.mv_no, m.mv_dt from wms.mvmt_t m, mark where m.mv_no > mark.drop_mv_no order by m.mv_no limit @MovementsPerFile),
            bounds as (select min(mv_no) as fst, max(mv_no) as lst, min(mv_dt) as dt from next having count(*) > 0),
            moved as (update wms.exp_t set drop_mv_no = bounds.lst from bounds)
            insert into wms.drp_t (fst_mv_no, lst_mv_no, fil_nm, st_cd)
            select fst, lst, 'MVMT_' || dt || '_' || lpad(fst::text, 10, '0') || '_' || lpad(lst::text, 10, '0') || '.csv', 'P' from bounds
            """;
        const string Take = """
            select fst_mv_no, lst_mv_no, fil_nm from wms.drp_t where st_cd = 'P' order by fst_mv_no limit 1 for update skip locked
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(Promise, new { MovementsPerFile }, cancellationToken: ct));
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var file = await connection.QuerySingleOrDefaultAsync<PromisedFile>(new CommandDefinition(Take, transaction: transaction, cancellationToken: ct));
        if (file is null)
        {
            return false;
        }

        var movements = (await connection.QueryAsync<Movement>(new CommandDefinition(
            $"""
            select {Columns} from wms.mvmt_t m join wms.whs_t w on w.whs_cd = m.whs_cd
            where m.mv_no between @FstMvNo and @LstMvNo order by m.mv_no
            """, file, transaction, cancellationToken: ct))).AsList();
        await writeAsync(file, movements, ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "update wms.drp_t set st_cd = 'W' where fst_mv_no = @FstMvNo", file, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        return true;
    }

    public async Task<FaultSettings> FaultsAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var row = await connection.QuerySingleAsync<(int LatMs, int JitMs, double ErrRt, string OutFl)>(new CommandDefinition(
            "select lat_ms, jit_ms, err_rt, out_fl::text from wms.flt_t", cancellationToken: ct));
        return FaultSettings.Off with { LatencyMs = row.LatMs, JitterMs = row.JitMs, ErrorRate = row.ErrRt, Outage = row.OutFl == "Y" };
    }

    /// <summary>Sets the fault switch; an outage also ends the sessions that others have open.</summary>
    public async Task SetFaultsAsync(FaultSettings settings, CancellationToken ct)
    {
        const string Set = "update wms.flt_t set lat_ms = @LatencyMs, jit_ms = @JitterMs, err_rt = @ErrorRate, out_fl = @outFl";
        const string End = """
            select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name <> @own and pid <> pg_backend_pid() and backend_type = 'client backend'
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            Set, new { settings.LatencyMs, settings.JitterMs, settings.ErrorRate, outFl = settings.Outage ? "Y" : "N" }, cancellationToken: ct));
        if (settings.Outage)
        {
            await connection.ExecuteAsync(new CommandDefinition(End, new { own = Databases.OwnApplication }, cancellationToken: ct));
        }
    }

    private static (string Type, int Quantity, string Reference) Next(Balance balance, Random random)
    {
        var free = balance.QtyOh - balance.QtyRsv;
        var roll = random.NextDouble();
        var number = random.Next(1_000, 9_999);
        if (roll < 0.45 && free > 0)
        {
            return ("GI", -Math.Min(free, random.Next(1, 4)), $"POS {number}");
        }

        return roll < 0.65 && free > 1
            ? ("AD", random.Next(2) == 0 ? -1 : 1, $"Zählung {number}")
            : ("GR", random.Next(1, 21), $"Lieferung {number}");
    }

    private sealed record Balance(string WhsCd, string ArtNo, int QtyOh, int QtyRsv);
}
