using Dapper;
using MobileIntegration.Contracts;
using MobileServices.Push.Events;
using MobileServices.Push.Webhooks;
using Npgsql;

namespace MobileServices.Push.Deliveries;

/// <summary>
/// The ledger and the queue: a delivery that is pending has a row in either, and the one in the queue is the one to lock. Whoever takes it out decides what becomes of the delivery.
/// </summary>
internal sealed class DeliveryStore(NpgsqlDataSource database)
{
    /// <summary>Takes those whose time has come out of the queue, the earliest first.</summary>
    public static async Task<List<Due>> ClaimAsync(NpgsqlTransaction transaction, string network, int most, DateTimeOffset now, CancellationToken ct) =>
        [.. await transaction.Connection!.QueryAsync<Due>(new CommandDefinition(ClaimSql, new { network, most, now }, transaction, cancellationToken: ct))];

    /// <summary>How many messages of the category each device has had, or is getting; nobody else counts for it until the transaction ends.</summary>
    public static async Task<Dictionary<Guid, long>> CountAsync(NpgsqlTransaction transaction, Guid[] devices, string app, string category, DateTimeOffset since, CancellationToken ct)
    {
        await transaction.Connection!.ExecuteAsync(new CommandDefinition(
            "select from push.registration where device_id = any (@devices) order by device_id for update", new { devices }, transaction, cancellationToken: ct));
        return (await transaction.Connection!.QueryAsync<(Guid Device, long Count)>(new CommandDefinition(
            """
            select d.device_id, count(*) from push.delivery d join push.message m on m.id = d.message_id
            where d.device_id = any (@devices) and m.app_id = @app and m.category = @category
              and ((d.state in ('accepted', 'unknown') and d.finished_at > @since) or d.state = 'sending' or (d.state = 'pending' and d.attempts > 0))
            group by 1
            """, new { devices, app, category, since }, transaction, cancellationToken: ct))).ToDictionary(row => row.Device, row => row.Count);
    }

    /// <param name="messages">Of the deliveries in the order of their places, and <paramref name="devices"/> likewise.</param>
    public static async Task<long> BeginBatchAsync(NpgsqlTransaction transaction, Guid[] messages, Guid[] devices, int leaseSeconds, CancellationToken ct) =>
        await transaction.Connection!.ExecuteScalarAsync<long>(new CommandDefinition(
            "insert into push.batch (messages, devices, lease_until) values (@messages, @devices, now() + make_interval(secs => @leaseSeconds)) returning id",
            new { messages, devices, leaseSeconds }, transaction, cancellationToken: ct));

    /// <summary>From here on the places up to that one may be written to the network.</summary>
    /// <param name="messages">Whose deliveries are let go by that.</param>
    /// <returns>Which of the messages were recalled; null when another process has taken the batch over: nothing more of it may be sent.</returns>
    public async Task<Guid[]?> MarkAsync(long batch, int started, Guid[] messages, int leaseSeconds, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<Guid[]>(new CommandDefinition(
            """
            update push.batch set started = greatest(started, @started), lease_until = now() + make_interval(secs => @leaseSeconds) where id = @batch
            returning array(select m.id from push.message m where m.id = any (@messages) and m.recalled_at is not null)
            """, new { batch, started, messages, leaseSeconds }, cancellationToken: ct));
    }

    public async Task EndBatchAsync(long batch, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("delete from push.batch where id = @batch", new { batch }, cancellationToken: ct));
    }

    /// <summary>The network says that an address is dead.</summary>
    /// <param name="since">Since when: who has registered it later knows better.</param>
    /// <param name="reason">The network's own word.</param>
    /// <returns>False when the device has another address by now, or the same one anew.</returns>
    public async Task<bool> RemoveAsync(Guid device, byte[] addressHash, DateTimeOffset? since, string reason, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<long>(new CommandDefinition(
            RemoveSql, new { device, addressHash, since = since?.ToUniversalTime(), reason }, cancellationToken: ct)) > 0;
    }

    /// <summary>When the next one of a network is due; null when none waits.</summary>
    public async Task<DateTime?> NextDueAsync(string network, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<DateTime?>(new CommandDefinition(
            "select due_at from push.queue where network = @network order by due_at limit 1", new { network }, cancellationToken: ct));
    }

    /// <summary>Writes down what became of deliveries.</summary>
    /// <param name="batch">Whose they are; what another process has put back or finished since stays as it is.</param>
    /// <param name="leaseSeconds">To keep the batch as well for that long; null to leave its lease as it is, which keeps nobody waiting who marks it.</param>
    public async Task WriteAsync(string network, IReadOnlyCollection<DeliveryChange> changes, long batch, int? leaseSeconds, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        // Both statements in one message, which is one transaction.
        await WriteAsync(connection, null, leaseSeconds is null ? FinishedSql : $"{FinishedSql}; {RenewSql}", changes, batch, leaseSeconds, ct, network);
    }

    /// <summary>Writes down what becomes of deliveries that the transaction has claimed.</summary>
    public static Task ClaimedAsync(NpgsqlTransaction transaction, IReadOnlyCollection<DeliveryChange> changes, long? batch, CancellationToken ct) =>
        WriteAsync(transaction.Connection!, transaction, ClaimedSql, changes, batch, null, ct);

    private static async Task WriteAsync(
        NpgsqlConnection connection, NpgsqlTransaction? transaction, string sql, IReadOnlyCollection<DeliveryChange> changes, long? batch, int? leaseSeconds, CancellationToken ct,
        string network = "")
    {
        var count = changes.Count;
        var (messages, devices, states, dues) = (new Guid[count], new Guid[count], new string[count], new DateTime?[count]);
        var (waits, ids, decisions, attempts) = (new string?[count], new string?[count], new string?[count], new int[count]);
        var at = 0;
        foreach (var change in changes)
        {
            (messages[at], devices[at], states[at], dues[at]) = (change.MessageId, change.DeviceId, change.State, change.DueAt?.UtcDateTime);
            (waits[at], ids[at], decisions[at], attempts[at]) = (change.WaitsFor, change.NetworkId, change.Decision, change.Attempt);
            at++;
        }
        await connection.ExecuteAsync(new CommandDefinition(
            sql, new { messages, devices, states, dues, waits, ids, decisions, attempts, batch, leaseSeconds, source = PushOutcomes.SubjectOf(network) }, transaction, cancellationToken: ct));
    }

    /// <summary>
    /// Takes over what processes have left that show no sign of life: what they have not begun to send is sent after all; of what they may have sent, only
    /// what is harmless twice.
    /// </summary>
    /// <param name="storesOnce">Networks that keep a message once, however often they get it.</param>
    /// <returns>How many deliveries.</returns>
    public async Task<int> RecoverAsync(DateTimeOffset now, string[] storesOnce, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<int>(new CommandDefinition(
            """
            with lost as (
                select id, started, messages, devices from push.batch where lease_until < now() order by id limit 100 for update skip locked),
            found as (
                select d.message_id, d.device_id, u.place > l.started as unsent, m.collapse_key is not null or d.network = any (@storesOnce) as harmless
                from lost l, unnest(l.messages, l.devices) with ordinality u (message_id, device_id, place), push.delivery d, push.message m
                where d.message_id = u.message_id and d.device_id = u.device_id and d.batch_id = l.id and d.state = 'sending' and m.id = d.message_id),
            changed as (
                update push.delivery d set
                    state = case when f.unsent or f.harmless then 'pending' else 'unknown' end,
                    due_at = @now,
                    network = coalesce((select r.network from push.registration r where r.device_id = d.device_id), d.network),
                    attempts = d.attempts - case when f.unsent then 1 else 0 end,
                    batch_id = case when f.unsent or f.harmless then null else d.batch_id end,
                    finished_at = case when f.unsent or f.harmless then null else @now end,
                    decisions = d.decisions || case when f.unsent then @unsent::jsonb when f.harmless then @again::jsonb else @unknown::jsonb end
                from found f where d.message_id = f.message_id and d.device_id = f.device_id
                returning d.message_id, d.device_id, d.network, d.state, d.due_at),
            queued as (
                insert into push.queue (message_id, device_id, network, due_at) select message_id, device_id, network, due_at from changed where state = 'pending'),
            gone as (
                delete from push.batch where id in (select id from lost))
            select count(*) from changed
            """,
            new
            {
                now,
                storesOnce,
                unsent = Decision.Of(now, "returned", "the process that had it ended before it was sent"),
                again = Decision.Of(now, "returned", "the process that sent it ended; sent again, it replaces itself"),
                unknown = Decision.Of(now, States.Unknown, "the process that sent it ended before the network answered"),
            }, cancellationToken: ct));
    }

    /// <summary>A statement that lets deliveries that wait be looked at now (<c>@now</c>) instead of when their time comes.</summary>
    /// <param name="which">Of the delivery <c>d</c>.</param>
    /// <param name="more">What else is set.</param>
    /// <param name="queued">What else is set in the queue.</param>
    public static string LookAgainSql(string which, string more = "", string queued = "") =>
        $"""
        with again as (
            select q.message_id, q.device_id from push.queue q join push.delivery d using (message_id, device_id) where {which} order by 1, 2 for update of q),
        queued as (
            update push.queue q set due_at = least(q.due_at, @now){queued} from again a where q.message_id = a.message_id and q.device_id = a.device_id)
        update push.delivery d set due_at = least(d.due_at, @now){more} from again a where d.message_id = a.message_id and d.device_id = a.device_id
        """;

    private const string Gone =
        """
        jsonb_strip_nulls(jsonb_build_object(
            'app', e.app_id, 'deviceId', e.device_id, 'userId', e.user_id, 'network', e.network, 'registeredAt', e.registered_at, 'deadSince', @since::timestamptz, 'reason', @reason::text))
        """;

    private static readonly string RemoveSql =
        $"""
        with gone as (
            delete from push.registration where device_id = @device and address_hash = @addressHash and (@since::timestamptz is null or registered_at <= @since)
            returning app_id, device_id, user_id, network, registered_at),
        told as (
            {WebhookEvents.InsertSql(WebhookEvents.AddressDead, "gone", Gone)}
            returning pg_notify('{PushWorker.Channel}', ''))
        select count(*) from gone
        """;

    // Without statistics of a queue that has just been filled the planner would sort it, and read all that was taken before: in the order of the index it stops after a batch.
    private const string ClaimSql =
        """
        set local enable_sort = off; set local enable_bitmapscan = off;
        with taken as (
            delete from push.queue where ctid = any (array(
                select ctid from push.queue where network = @network and due_at <= @now order by due_at limit @most for update skip locked))
            returning message_id, device_id, due_at)
        select d.message_id as MessageId, d.device_id as DeviceId, d.attempts, d.changed, m.recalled_at as RecalledAt, d.user_id is not null and d.user_id is distinct from r.user_id as IsOfAnother,
               -- By one that is for a later time, and has gone out or waits to: what ended otherwise, or waits for the device's clock, is not there in its place.
               m.collapse_key is not null and exists (
                   select from push.delivery later join push.message newer on newer.id = later.message_id
                   where later.device_id = d.device_id and newer.app_id = m.app_id and newer.collapse_key = m.collapse_key and newer.recalled_at is null
                     and (newer.send_at, newer.number) > (m.send_at, m.number)
                     and (later.state in ('sending', 'accepted', 'unknown')
                          or (later.state = 'pending' and (newer.send_local is null or later.waits_for in ('quiet', 'retry', 'channel'))))) as IsReplaced,
               r.network, r.app_id as AppId, r.address, r.host, r.p256dh, r.auth, r.locale, r.time_zone as TimeZone,
               p.quiet_from::interval as QuietFrom, p.quiet_until::interval as QuietUntil, p.time_zone as QuietZone, p.muted,
               c.paused_until as PausedUntil, c.stopped_at as StoppedAt, c.reason as ChannelReason, k.saved_at as CredentialSavedAt
        from taken join push.delivery d using (message_id, device_id)
        join push.message m on m.id = d.message_id
        left join push.registration r on r.device_id = d.device_id
        left join push.preference p on p.user_id = r.user_id
        left join push.credential k on k.app_id = m.app_id and k.network = d.network
        left join push.channel c on c.app_id = m.app_id and c.network = d.network and c.host = r.host
        """;

    private const string RenewSql = "update push.batch set lease_until = now() + make_interval(secs => @leaseSeconds) where id = @batch";

    private const string Rows =
        """
        from unnest(@messages::uuid[], @devices::uuid[], @states::text[], @dues::timestamptz[], @waits::text[], @ids::text[], @decisions::text[], @attempts::int[])
            as u (message_id, device_id, state, due_at, waits_for, network_id, decision, attempt)
        where d.message_id = u.message_id and d.device_id = u.device_id
        """;

    private const string Columns =
        """
        update push.delivery d set state = u.state,
            -- An attempt that fails may have been overtaken by a new address, of another network too.
            network = case when u.state = 'pending' then coalesce((select r.network from push.registration r where r.device_id = d.device_id), d.network) else d.network end,
            due_at = coalesce(u.due_at, d.due_at), waits_for = u.waits_for, attempts = d.attempts + u.attempt,
            network_id = coalesce(u.network_id, d.network_id),
            finished_at = case when u.state in ('pending', 'sending') then null else now() end,
            decisions = case when u.decision is null then d.decisions else d.decisions || u.decision::jsonb end,
        """;

    private const string Queued = "insert into push.queue (message_id, device_id, network, due_at) select message_id, device_id, network, due_at from changed where state = 'pending'";

    private const string ClaimedSql =
        $"""
        with changed as (
            {Columns} batch_id = case when u.state = 'sending' then @batch end {Rows}
            returning d.message_id, d.device_id, d.network, d.state, d.due_at)
        {Queued}
        """;

    private static readonly string FinishedSql =
        $"""
        with changed as (
            {Columns} batch_id = case when u.state = 'unknown' then d.batch_id end {Rows} and d.batch_id = @batch and d.state in ('sending', 'unknown')
            returning d.message_id, d.device_id, d.network, d.state, d.due_at),
        queued as (
            {Queued})
        {PushOutcomes.Tell(OutcomeStep.Sent, "(select * from changed where state = 'accepted')", "@source")}
        """;
}

/// <summary>What becomes of a delivery.</summary>
/// <param name="Attempt">What to add to its attempts.</param>
internal sealed record DeliveryChange(
    Guid MessageId, Guid DeviceId, string State, string? Decision, DateTimeOffset? DueAt = null, string? WaitsFor = null, string? NetworkId = null, int Attempt = 0);
