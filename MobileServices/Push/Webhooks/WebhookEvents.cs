using Dapper;
using Npgsql;

namespace MobileServices.Push.Webhooks;

/// <summary>What an app's backend can be told. Each event is written in the transaction of what it tells of.</summary>
internal sealed class WebhookEvents(NpgsqlDataSource database)
{
    /// <summary>A network has said that an address is dead, and the registration is removed.</summary>
    public const string AddressDead = "push.address.dead";

    /// <summary>Every delivery of a message has come to its end.</summary>
    public const string MessageFinished = "push.message.finished";

    /// <summary>What became of the deliveries of a finished message, <see cref="Bundle"/> in an event.</summary>
    public const string Deliveries = "push.deliveries";

    public static readonly string[] All = [AddressDead, MessageFinished, Deliveries];

    /// <summary>How many messages are looked at in one transaction.</summary>
    public const int Most = 20;

    private const int Bundle = 500;
    private const int Patience = 300;

    /// <summary>A statement that writes an event for each row whose app wants it.</summary>
    /// <param name="source">Where the rows are, with a column app_id.</param>
    /// <param name="data">An expression over a row <c>e</c>.</param>
    public static string InsertSql(string type, string source, string data) =>
        $"""
        insert into push.webhook_event (app_id, type, data, state, problem)
        select w.app_id, '{type}', {data}, case when w.stopped_at is null then 'pending' else 'failed' end,
               case when w.stopped_at is not null then 'the webhook was switched off: ' || w.reason end
        from {source} e join push.webhook w on w.app_id = e.app_id and '{type}' = any (w.events)
        """;

    /// <summary>Finds messages that have come to their end, and writes the events about them.</summary>
    /// <returns>How many; fewer than <see cref="Most"/> when there are no more.</returns>
    public async Task<int> FinishAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<int>(new CommandDefinition(FinishSql, new { Most, Bundle }, commandTimeout: Patience, cancellationToken: ct));
    }

    /// <summary>Whether any message is on its way.</summary>
    public async Task<bool> AnyUnfinishedAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<bool>(new CommandDefinition(
            "select exists (select from push.message where finished_at is null and sender <> 'wakeups' and send_at <= now())", cancellationToken: ct));
    }

    private const string Results = "jsonb_build_object('app', e.app_id, 'messageId', e.id, 'part', e.part + 1, 'deliveries', e.deliveries)";

    private const string Finished =
        """
        jsonb_strip_nulls(jsonb_build_object(
            'app', e.app_id, 'messageId', e.id, 'state', case when e.recalled_at is null then 'completed' else 'recalled' end, 'category', e.category, 'createdAt', e.created_at,
            'problem', e.problem, 'devices', e.devices, 'counts', e.counts, 'delivered', e.delivered, 'opened', e.opened))
        """;

    // The subquery with its limit is one look into an index for each message on its way, whatever the planner believes of how many deliveries wait.
    private static readonly string FinishSql =
        $"""
        with done as (
            select m.id, m.app_id, m.category, m.created_at, m.recalled_at, m.problem from push.message m
            where m.finished_at is null and m.sender <> 'wakeups' and m.send_at <= now() and m.state = 'sending'
              and (select q.message_id from push.queue q where q.message_id = m.id limit 1) is null
              and (select c.message_id from push.chunk c where c.message_id = m.id limit 1) is null
              and not exists (select from push.batch b where m.id = any (b.messages))
            order by m.send_at limit @Most for update skip locked),
        marked as (
            update push.message m set finished_at = now() from done where m.id = done.id),
        counted as (
            select done.*, c.counts, c.devices, c.delivered, c.opened
            from done, lateral (
                select coalesce(jsonb_object_agg(s.state, s.count), jsonb_build_object()) as counts, coalesce(sum(s.count), 0) as devices, coalesce(sum(s.delivered), 0) as delivered,
                       coalesce(sum(s.opened), 0) as opened
                from (select state, count(*) as count, count(delivered_at) as delivered, count(opened_at) as opened from push.delivery where message_id = done.id group by state) s) c
            where exists (select from push.webhook w where w.app_id = done.app_id and '{MessageFinished}' = any (w.events))),
        bundles as (
            select done.app_id, done.id, b.part, b.deliveries
            from done, lateral (
                select n.part, jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                    'deviceId', n.device_id, 'network', n.network, 'state', n.state, 'attempts', n.attempts, 'networkId', n.network_id, 'finishedAt', n.finished_at,
                    'reason', n.decisions -> -1 ->> 'detail')) order by n.device_id) as deliveries
                from (select *, (row_number() over (order by device_id) - 1) / @Bundle as part from push.delivery where message_id = done.id) n
                group by n.part) b
            where exists (select from push.webhook w where w.app_id = done.app_id and '{Deliveries}' = any (w.events))),
        told_results as (
            {InsertSql(Deliveries, "(select * from bundles order by id, part)", Results)}),
        told as (
            {InsertSql(MessageFinished, "counted", Finished)})
        select count(*) from done
        """;
}
