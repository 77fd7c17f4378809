using Dapper;
using Npgsql;

namespace MobileServices.Push.Networks.Own;

/// <summary>Receipts (RFC 8030, section 6.3): each is written in the transaction that ends its message.</summary>
internal sealed class ReceiptStore(NpgsqlDataSource database, TimeProvider time)
{
    public const int Acknowledged = 204;
    public const int Gone = 410;

    /// <summary>
    /// A statement that writes receipts and wakes their streams; it needs a parameter now. Those who write receipts for one subscription go side by side, and who reads
    /// them waits for all that have a number: it goes on after a number, and would never see one that was there later with a lower one.
    /// </summary>
    /// <param name="source">Rows of push.stored that have been deleted: id, receipt_id.</param>
    public static string InsertSql(string source, int status) =>
        $"""
        insert into push.receipt (receipt_id, message_id, status, created_at)
        select s.receipt_id, s.id, {status}, @now
        from {source} s, (
            select count(pg_advisory_xact_lock_shared(key)::text) from (select distinct {LockOf("receipt_id")} as key from {source} where receipt_id is not null order by 1) keys) locked
        where s.receipt_id is not null
        returning pg_notify('{OwnStreams.Channel}', receipt_id)
        """;

    private static string LockOf(string id) => $"hashtextextended('push receipt ' || {id}, 0)";

    public async Task<string> SubscribeAsync(CancellationToken ct)
    {
        var id = OwnStore.Unguessable();
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("insert into push.receipt_subscription (id, used_at) values (@id, @now)", new { id, now = time.GetUtcNow() }, cancellationToken: ct));
        return id;
    }

    /// <summary>Takes note that it is in use.</summary>
    /// <returns>False when there is none.</returns>
    public async Task<bool> UseAsync(string id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition("update push.receipt_subscription set used_at = @now where id = @id", new { id, now = time.GetUtcNow() }, cancellationToken: ct)) > 0;
    }

    public async Task UnsubscribeAsync(string id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("delete from push.receipt_subscription where id = @id", new { id }, cancellationToken: ct));
    }

    public async Task<IReadOnlyList<Receipt>> AfterAsync(string id, long number, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        // Two statements in one message are one transaction; the second sees what the first has waited for.
        await using var rows = await connection.QueryMultipleAsync(new CommandDefinition(
            $"""
            select 1 from pg_advisory_xact_lock({LockOf("@id")});
            select number, message_id as MessageId, status from push.receipt where receipt_id = @id and number > @number order by number limit 100;
            """, new { id, number }, cancellationToken: ct));
        await rows.ReadAsync<int>();
        return [.. await rows.ReadAsync<Receipt>()];
    }

    /// <summary>Ends messages whose time is over and whose sender wants to know.</summary>
    public async Task ExpireAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            $"""
            with gone as (delete from push.stored where receipt_id is not null and expires_at <= @now returning id, receipt_id)
            {InsertSql("gone", Gone)}
            """, new { now = time.GetUtcNow() }, cancellationToken: ct));
    }
}

internal sealed class Receipt
{
    public long Number { get; init; }
    public required string MessageId { get; init; }
    public int Status { get; init; }
}
