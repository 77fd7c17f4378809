using Dapper;
using Microsoft.Extensions.Options;
using MobileServices.Sync.Databases;
using Npgsql;

namespace MobileServices.Sync.Checkpoints;

/// <summary>
/// Tombstones that are old enough and that every device of their database has leave the feed. The highest of their sequences is the database's horizon: who has
/// less may hold what was deleted, and is told to start over. Their revisions are remembered for a time, so that nobody brings them back who was away; then the
/// document's row goes with all that hangs on it.
/// </summary>
internal sealed class Tombstones(NpgsqlDataSource source, DatabaseStore databases, SyncMetrics metrics, IOptions<SyncOptions> options, TimeProvider time, ILogger<Tombstones> logger)
    : BackgroundService
{
    private const int BatchRows = 2000;
    private const int BatchDatabases = 500;
    private static readonly TimeSpan Every = TimeSpan.FromHours(1);
    private static readonly TimeSpan AfterFault = TimeSpan.FromMinutes(1);

    /// <summary>How far the device is that has least; those that were not seen for long do not count.</summary>
    private const string Passed = """
        coalesce((select min(coalesce(v.checkpoint_seq, v.asked_seq, 0)) from sync.device v where v.db_id = s.id and v.seen_at > now() - make_interval(days => @DeviceDays)), s.update_seq)
        """;

    private const string Due = $"d.db_id = s.id and d.deleted and d.seq > 0 and d.deleted_at <= now() - make_interval(days => @TombstoneDays) and d.seq <= {Passed}";

    private const string Forgotten = "d.db_id = s.id and d.deleted and d.seq < 0 and d.deleted_at <= now() - make_interval(days => @TombstoneDays + @ForgetDays)";

    /// <summary>Those of one database.</summary>
    public async Task CompactAsync(long databaseId, CancellationToken ct)
    {
        while (await InTransactionAsync(databaseId, HideAsync, ct) is BatchRows)
        {
        }
        while (await InTransactionAsync(databaseId, ForgetAsync, ct) is BatchRows)
        {
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            var pause = Every;
            try
            {
                await RunAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning(exception, "Old tombstones could not be taken away now; it is done later");
                pause = AfterFault;
            }
            catch (OperationCanceledException)
            {
                return;
            }
            await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RunAsync(CancellationToken ct)
    {
        await using (var command = source.CreateCommand("delete from sync.device where seen_at <= now() - make_interval(days => $1)"))
        {
            command.Parameters.Add(new() { Value = options.Value.DeviceDays });
            await command.ExecuteNonQueryAsync(ct);
        }
        for (var last = 0L; ;)
        {
            List<long> due;
            await using (var connection = await source.OpenConnectionAsync(ct))
            {
                due = (await connection.QueryAsync<long>(new CommandDefinition($"""
                    select s.id from sync.database s where s.id > @last and s.deleted_count > 0 and (exists (select from sync.document d where {Due}) or exists (select from sync.document d where {Forgotten})) order by s.id limit {BatchDatabases}
                    """, new { last, options.Value.DeviceDays, options.Value.TombstoneDays, options.Value.ForgetDays }, commandTimeout: 300, cancellationToken: ct))).AsList();
            }
            foreach (var database in due)
            {
                await CompactAsync(database, ct);
            }
            if (due.Count < BatchDatabases)
            {
                return;
            }
            last = due[^1];
        }
    }

    private async Task<int> InTransactionAsync(long databaseId, Func<NpgsqlConnection, long, CancellationToken, Task<int>> work, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("select from sync.database where id = @databaseId for no key update", new { databaseId }, cancellationToken: ct));
        var count = await work(connection, databaseId, ct);
        await transaction.CommitAsync(ct);
        return count;
    }

    private Task<int> HideAsync(NpgsqlConnection connection, long databaseId, CancellationToken ct) =>
        // Views and indexes that have not read a deletion yet learn of it as of a purge.
        connection.ExecuteScalarAsync<int>(new CommandDefinition($"""
            with hidden as (
                update sync.document set seq = -seq where db_id = @databaseId and doc_id in (
                    select d.doc_id from sync.database s join sync.document d on {Due} where s.id = @databaseId order by d.deleted_at limit {BatchRows})
                returning -seq as seq),
            counted as (
                update sync.database s set
                    horizon = greatest(s.horizon, (select max(seq) from hidden)),
                    purge_seq = s.purge_seq + (exists (select from sync.index i where i.db_id = s.id and i.seq < (select max(seq) from hidden)))::int
                where s.id = @databaseId and exists (select from hidden))
            select count(*)::int from hidden
            """, new { databaseId, options.Value.DeviceDays, options.Value.TombstoneDays }, commandTimeout: 300, cancellationToken: ct));

    private async Task<int> ForgetAsync(NpgsqlConnection connection, long databaseId, CancellationToken ct)
    {
        var (count, hadContent) = await connection.QuerySingleAsync<(int, bool)>(new CommandDefinition($"""
            with gone as (
                delete from sync.document where db_id = @databaseId and doc_id in (
                    select d.doc_id from sync.database s join sync.document d on {Forgotten} where s.id = @databaseId order by d.deleted_at limit {BatchRows})
                returning doc_id, octet_length(body) + octet_length(tree) as bytes, attachments),
            bodies as (
                delete from sync.body where db_id = @databaseId and doc_id in (select doc_id from gone) returning octet_length(body) as bytes, attachments),
            counted as (
                update sync.database s set
                    deleted_count = s.deleted_count - (select count(*) from gone),
                    body_bytes = s.body_bytes - (select coalesce(sum(bytes), 0) from gone) - (select coalesce(sum(bytes), 0) from bodies)
                where s.id = @databaseId and exists (select from gone))
            select (select count(*) from gone)::int, exists (select from gone where attachments is not null) or exists (select from bodies where attachments is not null)
            """, new { databaseId, options.Value.TombstoneDays, options.Value.ForgetDays }, commandTimeout: 300, cancellationToken: ct));
        if (hadContent)
        {
            await databases.DropContentAsync(connection, databaseId, ct);
        }
        metrics.TombstonesGone(count);
        return count;
    }
}
