using Dapper;
using Microsoft.Extensions.Options;
using MobileServices.Sync.Databases;
using Npgsql;
using OpenTelemetry;

namespace MobileServices.Sync.Bound;

/// <summary>A change of a client that a worker has in hand. Those of one document are taken one after the other.</summary>
/// <param name="SentFor">So many seconds ago integration took it; 0 before.</param>
internal sealed record BoundChange(
    long Id, long DbId, string App, string Owner, string Name, string CustomerId, string DocId, string Rev, bool Deleted, string Body, string? Base, Guid? CommandId,
    double SentFor, int Attempts, int Failures, int Replays)
{
    public DatabaseKey Database => new(App, Owner, Name);
}

/// <summary>A record that is to be read for a database.</summary>
/// <param name="OrderId">Empty for the list of all.</param>
/// <param name="Wanted">At least this version.</param>
internal sealed record BoundRead(long DbId, string App, string Owner, string Name, string CustomerId, string OrderId, long? Wanted, int Attempts, int Failures)
{
    public DatabaseKey Database => new(App, Owner, Name);
}

/// <summary>The tables <c>bound_*</c> as workers see them. Times are the database's own, which all replicas share.</summary>
internal sealed class BoundStore(NpgsqlDataSource source, IOptions<SyncOptions> options)
{
    private const string ClaimChangeSql =
        """
        update sync.bound_change c set attempts = c.attempts + 1, due_at = now() + @lease
        from sync.bound b join sync.database d on d.id = b.db_id
        where b.db_id = c.db_id and c.id = (
            select c.id from sync.bound_change c
            where c.state in ('waiting', 'sent') and c.due_at <= now() and not exists (
                select from sync.bound_change e where e.db_id = c.db_id and e.doc_id = c.doc_id and e.id < c.id and e.state in ('waiting', 'sent'))
            order by c.due_at limit 1 for update skip locked)
        returning c.id as Id, c.db_id as DbId, d.app as App, d.owner as Owner, d.name as Name, b.customer_id as CustomerId, c.doc_id as DocId, c.rev as Rev,
            c.deleted as Deleted, c.body as Body, c.base as Base, c.command_id as CommandId,
            coalesce(extract(epoch from now() - c.sent_at), 0)::float8 as SentFor, c.attempts as Attempts, c.failures as Failures, c.replays as Replays
        """;

    private const string ClaimReadSql =
        """
        update sync.bound_read r set attempts = r.attempts + 1, due_at = now() + @lease
        from sync.bound b join sync.database d on d.id = b.db_id
        where b.db_id = r.db_id and (r.db_id, r.order_id) = (
            select db_id, order_id from sync.bound_read where due_at <= now() order by due_at limit 1 for update skip locked)
        returning r.db_id as DbId, d.app as App, d.owner as Owner, d.name as Name, b.customer_id as CustomerId, r.order_id as OrderId, r.wanted as Wanted,
            r.attempts as Attempts, r.failures as Failures
        """;

    private TimeSpan Lease => TimeSpan.FromSeconds(options.Value.Integration.LeaseSeconds);

    public Task<BoundChange?> ClaimChangeAsync(CancellationToken ct) => ClaimAsync<BoundChange>(ClaimChangeSql, ct);

    public Task<BoundRead?> ClaimReadAsync(CancellationToken ct) => ClaimAsync<BoundRead>(ClaimReadSql, ct);

    /// <summary>The Erp's order that a document shows.</summary>
    public Task<(string OrderId, string? Body, string? Problem)?> KnownAsync(long databaseId, string documentId, CancellationToken ct) =>
        QueryAsync<(string, string?, string?)?>("select order_id, body, problem from sync.bound_document where db_id = @databaseId and doc_id = @documentId", new { databaseId, documentId }, ct);

    /// <summary>
    /// The document that shows an order, or is to: that of the command that placed it, or one of its own. Null when a change is under way that may turn out
    /// to be that command.
    /// </summary>
    public Task<string?> DocumentOfAsync(long databaseId, string orderId, string? reference, CancellationToken ct) => QueryAsync<string?>(
        """
        select coalesce(
            (select doc_id from sync.bound_document where db_id = @databaseId and order_id = @orderId),
            (select doc_id from sync.bound_change where db_id = @databaseId and command_id::text = @reference limit 1),
            case when @reference::text is null or not exists (
                select from sync.bound_change where db_id = @databaseId and state = 'waiting' and attempts > 0) then @own end)
        """, new { databaseId, orderId, reference, own = OrderEdit.Prefix + orderId }, ct);

    /// <summary>Integration has it.</summary>
    public Task SentAsync(BoundChange change, Guid command, CancellationToken ct) => RunAsync(
        "update sync.bound_change set state = 'sent', command_id = @command, sent_at = now(), failures = 0, reason = null, due_at = now() + interval '0.1 s' where id = @Id and attempts = @Attempts",
        new { change.Id, change.Attempts, command }, ct);

    /// <summary>It is looked at again later.</summary>
    /// <param name="reason">Why it does not get on; null when it does.</param>
    public Task LaterAsync(BoundChange change, TimeSpan pause, string? reason, CancellationToken ct) => RunAsync(
        """
        update sync.bound_change set due_at = now() + @pause, reason = @reason, failures = case when @reason::text is null then 0 else failures + 1 end
        where id = @Id and attempts = @Attempts
        """, new { change.Id, change.Attempts, pause, reason }, ct);

    public Task LaterAsync(BoundRead read, TimeSpan pause, string? reason, CancellationToken ct) => RunAsync(
        """
        update sync.bound_read set due_at = now() + @pause, reason = @reason, failures = case when @reason::text is null then 0 else failures + 1 end
        where db_id = @DbId and order_id = @OrderId and attempts = @Attempts
        """, new { read.DbId, read.OrderId, read.Attempts, pause, reason }, ct);

    /// <summary>There is nothing to read, unless an event came meanwhile.</summary>
    public Task ForgetAsync(BoundRead read, CancellationToken ct) => RunAsync(
        "delete from sync.bound_read where db_id = @DbId and order_id = @OrderId and attempts = @Attempts and wanted is not distinct from @Wanted",
        new { read.DbId, read.OrderId, read.Attempts, read.Wanted }, ct);

    /// <summary>Orders of a list, but for those that were read.</summary>
    public Task ReadAsync(long databaseId, string[] orders, CancellationToken ct) => RunAsync(
        """
        insert into sync.bound_read (db_id, order_id)
        select @databaseId, o from unnest(@orders) o where not exists (
            select from sync.bound_document d where d.db_id = @databaseId and d.order_id = o and d.version is not null)
        on conflict (db_id, order_id) do nothing
        """, new { databaseId, orders }, ct);

    /// <summary>The list is looked at a second time: what the first one left out was told by no event if it changed just before.</summary>
    public Task AgainAsync(BoundRead read, TimeSpan pause, CancellationToken ct) => RunAsync(
        "update sync.bound_read set wanted = 0, failures = 0, reason = null, due_at = now() + @pause where db_id = @DbId and order_id = @OrderId and attempts = @Attempts",
        new { read.DbId, read.OrderId, read.Attempts, pause }, ct);

    public Task PruneAsync(CancellationToken ct) => RunAsync(
        "delete from sync.bound_change where state in ('done', 'refused') and ended_at < now() - @keep", new { keep = TimeSpan.FromDays(options.Value.Integration.KeepDays) }, ct);

    private async Task<T?> ClaimAsync<T>(string sql, CancellationToken ct)
    {
        // Looking for work is not work: no trace of its own every second.
        using var quiet = SuppressInstrumentationScope.Begin();
        return await QueryAsync<T>(sql, new { lease = Lease }, ct);
    }

    private async Task<T?> QueryAsync<T>(string sql, object parameters, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        return await connection.QuerySingleOrDefaultAsync<T>(new CommandDefinition(sql, parameters, cancellationToken: ct));
    }

    private async Task RunAsync(string sql, object parameters, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(sql, parameters, cancellationToken: ct));
    }
}
