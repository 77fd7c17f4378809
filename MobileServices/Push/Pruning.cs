using Dapper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileServices.Push;

/// <summary>Removes what is old: messages with their ledger, and what our own push service could not hand over in time.</summary>
internal sealed class Pruning(NpgsqlDataSource database, IOptions<PushOptions> options, TimeProvider time)
{
    private const int Part = 5000;

    public async Task RunAsync(CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var before = now.AddDays(-options.Value.KeepDays);
        await using var connection = await database.OpenConnectionAsync(ct);
        while (await DeleteAsync(
            """
            delete from push.ledger where ctid = any (array(
                select d.ctid from push.ledger d join push.message m on m.id = d.message_id
                where m.created_at < @before and m.send_at < @before and d.state not in ('pending', 'sending') limit @Part))
            """) == Part)
        {
        }
        await DeleteAsync(
            """
            delete from push.message m where created_at < @before and send_at < @before and state = 'sending'
              and not exists (select from push.ledger l where l.message_id = m.id) and not exists (select from push.chunk c where c.message_id = m.id)
              and not exists (select from push.batch b where m.id = any (b.messages))
            """);
        await DeleteAsync("delete from push.webhook_event where created_at < @before and state <> 'pending'");
        await DeleteAsync("delete from push.receipt where created_at < @before");
        await DeleteAsync("delete from push.receipt_subscription s where used_at < @before and not exists (select from push.stored m where m.receipt_id = s.id)");
        while (await DeleteAsync("delete from push.stored where id = any (array(select id from push.stored where expires_at < @now and receipt_id is null limit @Part))") == Part)
        {
        }
        while (await DeleteAsync("delete from push.kept where ctid = any (array(select ctid from push.kept where until < @now limit @Part))") == Part)
        {
        }

        Task<int> DeleteAsync(string sql) => connection.ExecuteAsync(new CommandDefinition(sql, new { now, before, Part }, commandTimeout: 120, cancellationToken: ct));
    }
}
