using Dapper;
using Npgsql;

namespace MobileIntegration.ServiceDefaults.Events.Inboxes;

/// <summary>
/// What has had its effect in the subscriber's own database, schema <c>inbox</c>: an event that is delivered again finds itself there and has none.
/// </summary>
internal sealed class Inbox(NpgsqlDataSource database, string subscription)
{
    /// <summary>Events come again within minutes, dead letters when an operator has found the time.</summary>
    private static readonly TimeSpan Keep = TimeSpan.FromDays(90);

    /// <summary>Runs the effect and notes the event in one transaction, unless it is noted already.</summary>
    public async Task OnceAsync(Guid eventId, Func<NpgsqlTransaction, Task> effectAsync, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var isNew = await connection.ExecuteAsync(new CommandDefinition(
            "insert into inbox.event (subscription, event_id) values (@subscription, @eventId) on conflict do nothing",
            new { subscription, eventId }, transaction, cancellationToken: ct)) > 0;
        if (isNew)
        {
            await effectAsync(transaction);
            await transaction.CommitAsync(ct);
        }
    }

    /// <returns>How many were forgotten.</returns>
    public async Task<int> PruneAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition(
            """
            delete from inbox.event where (subscription, event_id) in (
                select subscription, event_id from inbox.event where subscription = @subscription and at < now() - @Keep limit 1000)
            """,
            new { subscription, Keep }, cancellationToken: ct));
    }
}
