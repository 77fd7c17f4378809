using Dapper;
using MobileIntegration.Contracts;
using MobileServices.Push.Events;
using MobileServices.Push.Webhooks;
using Npgsql;

namespace MobileServices.Push.Deliveries;

/// <summary>
/// What becomes of deliveries that were taken. One that came from a chunk gets its row in the ledger here, once; one that came from the queue has a row, which changes.
/// </summary>
internal sealed class DeliveryStore([FromKeyedServices(PushSetup.Prepared)] NpgsqlDataSource database)
{
    /// <summary>How many messages of the category each device has had, or is getting; nobody else counts for it until the transaction ends.</summary>
    public static async Task<Dictionary<Guid, long>> CountAsync(NpgsqlTransaction transaction, Guid[] devices, string app, string category, DateTimeOffset since, CancellationToken ct)
    {
        await transaction.Connection!.ExecuteAsync(new CommandDefinition(
            "select from push.registration where device_id = any (@devices) order by device_id for update", new { devices }, transaction, cancellationToken: ct));
        return (await transaction.Connection!.QueryAsync<(Guid Device, long Count)>(new CommandDefinition(
            """
            select had.device_id, count(*) from (
                select d.device_id, d.message_id from push.ledger d
                where d.device_id = any (@devices) and d.tracked is not false
                  and ((d.state in ('accepted', 'unknown') and d.finished_at > @since) or d.state = 'sending' or (d.state = 'pending' and d.attempts > 0))
                union all
                select u.device_id, u.message_id from push.batch b, unnest(b.messages, b.devices, b.matched_at) u (message_id, device_id, matched_at)
                where u.matched_at is not null and u.device_id = any (@devices)
                  and not exists (select from push.ledger l where l.message_id = u.message_id and l.device_id = u.device_id)) had
            join push.message m on m.id = had.message_id where m.app_id = @app and m.category = @category
            group by 1
            """, new { devices, app, category, since }, transaction, cancellationToken: ct))).ToDictionary(row => row.Device, row => row.Count);
    }

    /// <summary>How long after a mark was asked for something may be begun by it: who recalls a message waits as long, and nothing of it is begun any more.</summary>
    public static readonly TimeSpan MarkHolds = TimeSpan.FromSeconds(1);

    /// <param name="sending">In the order of their places.</param>
    public static async Task<long> BeginBatchAsync(NpgsqlTransaction transaction, string network, IReadOnlyCollection<Due> sending, int leaseSeconds, CancellationToken ct) =>
        await transaction.Connection!.ExecuteScalarAsync<long>(new CommandDefinition(
            """
            insert into push.batch (network, messages, devices, users, matched_at, lease_until)
            values (@network, @messages, @devices, @users, @matched, now() + make_interval(secs => @leaseSeconds)) returning id
            """,
            new
            {
                network,
                messages = sending.Select(due => due.MessageId).ToArray(),
                devices = sending.Select(due => due.DeviceId).ToArray(),
                users = sending.Any(due => due.UserId is not null) ? sending.Select(due => due.UserId).ToArray() : null,
                matched = sending.Any(due => due.MatchedAt is not null) ? sending.Select(due => due.MatchedAt).ToArray() : null,
                leaseSeconds,
            }, transaction, cancellationToken: ct));

    /// <summary>From here on the places up to that one may be written to the network, for as long as <see cref="MarkHolds"/>.</summary>
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
            """
            select least(
                (select due_at from push.chunk where network = @network order by due_at limit 1), (select due_at from push.queue where network = @network order by due_at limit 1))
            """, new { network }, cancellationToken: ct));
    }

    /// <summary>Writes down what became of deliveries of a batch.</summary>
    /// <param name="batch">Whose they are; what another process has put back or finished since stays as it is.</param>
    /// <param name="leaseSeconds">To keep the batch as well for that long; null to leave its lease as it is, which keeps nobody waiting who marks it.</param>
    /// <param name="again">It was tried before, and failed: some of it may be there.</param>
    public async Task WriteAsync(string network, IReadOnlyList<DeliveryChange> changes, long batch, int? leaseSeconds, bool again, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var isFresh = changes[0].Due.MatchedAt is not null;
        var told = ToldOf(changes);
        // Two statements in one message are one transaction.
        var renewed = leaseSeconds is null ? "" : $"; {RenewSql}";
        if (!isFresh)
        {
            await WriteAsync(connection, null, $"{FinishedSql} select 1{told}{renewed}", changes, network, batch, leaseSeconds, begun: 0, ct);
        }
        else if (again || await WriteAsync(connection, null, $"{AddedSql} select (select count(*) from held){told}{renewed}", changes, network, batch, leaseSeconds, begun: 1, ct) is 0)
        {
            // A row that came while the first statement ran is seen by the second.
            await WriteAsync(connection, null, $"{AddedAgainSql} select 1{told}; {LeftSql} select 1{told}{renewed}", changes, network, batch, leaseSeconds, begun: 1, ct);
        }
    }

    /// <summary>Writes down what becomes of deliveries that the transaction has claimed.</summary>
    public static Task ClaimedAsync(NpgsqlTransaction transaction, string network, IReadOnlyList<DeliveryChange> changes, long? batch, CancellationToken ct) =>
        WriteAsync(
            transaction.Connection!, transaction, $"{(changes[0].Due.MatchedAt is null ? ClaimedSql : ClaimedFreshSql)} select 1{ToldOf(changes)}", changes, network, batch, null, begun: 0, ct);

    private static string ToldOf(IEnumerable<DeliveryChange> changes) => changes.Any(change => change.State is States.Accepted && change.Due.IsOfSomebody) ? SentSql : "";

    /// <param name="begun">How many attempts those have that the ledger had no row of.</param>
    private static async Task<long> WriteAsync(
        NpgsqlConnection connection, NpgsqlTransaction? transaction, string sql, IReadOnlyList<DeliveryChange> changes, string network, long? batch, int? leaseSeconds, int begun,
        CancellationToken ct)
    {
        var count = changes.Count;
        var (messages, devices, states, dues) = (new Guid[count], new Guid[count], new string[count], new DateTime?[count]);
        var (waits, ids, decisions, tries) = (new string?[count], new string?[count], new string?[count], new int[count]);
        var (users, matched, tracked) = (new string?[count], new DateTime?[count], new bool[count]);
        for (var at = 0; at < count; at++)
        {
            var change = changes[at];
            (messages[at], devices[at], states[at], dues[at]) = (change.Due.MessageId, change.Due.DeviceId, change.State, change.DueAt?.UtcDateTime);
            (waits[at], ids[at], decisions[at], tries[at]) = (change.WaitsFor, change.NetworkId, change.Decision, change.Attempt);
            (users[at], matched[at], tracked[at]) = (change.Due.UserId, change.Due.MatchedAt, change.Due.IsTracked);
        }
        return await connection.ExecuteScalarAsync<long>(new CommandDefinition(
            sql,
            new { messages, devices, states, dues, waits, ids, decisions, tries, users, matched, tracked, network, batch, begun, leaseSeconds, source = PushOutcomes.SubjectOf(network) },
            transaction, cancellationToken: ct));
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
            $"""
            with lost as (
                select id, started, network, messages, devices, users, matched_at from push.batch where lease_until < now() order by id limit 100 for update skip locked),
            places as (
                select l.id, l.network, u.message_id, u.device_id, u.user_id, u.matched_at, u.place > l.started as unsent
                from lost l, unnest(l.messages, l.devices, l.users, l.matched_at) with ordinality u (message_id, device_id, user_id, matched_at, place)),
            found as (
                select p.*, d.state is null as fresh, m.collapse_key is not null or coalesce(d.network, p.network) = any (@storesOnce) as harmless,
                       m.category is not null or m.collapse_key is not null as tracked,
                       coalesce((select r.network from push.registration r where r.device_id = p.device_id), d.network, p.network) as now_at
                from places p join push.message m on m.id = p.message_id left join push.ledger d on d.message_id = p.message_id and d.device_id = p.device_id
                where (d.batch_id = p.id and d.state = 'sending') or (d.state is null and p.matched_at is not null)),
            ends as (
                select f.*, case when unsent or harmless then 'pending' else 'unknown' end as state, case when unsent or harmless then null else id end as batch_id,
                       case when unsent or harmless then null else @now end as finished_at, case when unsent then @unsent::jsonb when harmless then @again::jsonb else @unknown::jsonb end as decision
                from found f),
            changed as (
                update push.ledger d set state = e.state, due_at = @now, network = e.now_at, attempts = d.attempts - case when e.unsent then 1 else 0 end,
                    batch_id = e.batch_id, finished_at = e.finished_at, decisions = d.decisions || e.decision
                from ends e where not e.fresh and d.message_id = e.message_id and d.device_id = e.device_id),
            added as (
                insert into push.ledger (message_id, device_id, user_id, network, state, due_at, attempts, batch_id, finished_at, tracked, decisions)
                select message_id, device_id, user_id, now_at, state, @now, case when unsent then 0 else 1 end, batch_id, finished_at, tracked, jsonb_build_array({Queue.MatchedSql}, decision)
                from ends where fresh),
            queued as (
                insert into push.queue (message_id, device_id, network, due_at) select message_id, device_id, now_at, @now from ends where state = 'pending'),
            gone as (
                delete from push.batch where id in (select id from lost))
            select count(*) from ends
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

    private const string RenewSql = "update push.batch set lease_until = now() + make_interval(secs => @leaseSeconds) where id = @batch";

    private const string Rows =
        """
        unnest(@messages::uuid[], @devices::uuid[], @states::text[], @dues::timestamptz[], @waits::text[], @ids::text[], @decisions::text[], @tries::int[], @users::text[], @matched::timestamptz[], @tracked::bool[])
            as u (message_id, device_id, state, due_at, waits_for, network_id, decision, attempt, user_id, matched_at, tracked)
        """;

    private const string Change =
        $"""
        update push.ledger d set state = u.state,
            -- An attempt that fails may have been overtaken by a new address, of another network too.
            network = case when u.state = 'pending' then coalesce((select r.network from push.registration r where r.device_id = d.device_id), d.network) else d.network end,
            due_at = coalesce(u.due_at, d.due_at), waits_for = u.waits_for, attempts = d.attempts + u.attempt,
            network_id = coalesce(u.network_id, d.network_id),
            finished_at = case when u.state in ('pending', 'sending') then null else now() end,
            -- Held for the same reason as before: only the time is another, which is in due_at.
            decisions = case
                when u.decision is null then d.decisions
                when u.waits_for is not null and d.decisions -> -1 ->> 'what' = 'held' and (d.decisions -> -1) - 'at' = u.decision::jsonb - 'at' then d.decisions
                else d.decisions || u.decision::jsonb end,
            batch_id = case when u.state in ('sending', 'unknown') then @batch end
        from {Rows}
        where d.message_id = u.message_id and d.device_id = u.device_id
        """;

    private const string Add =
        $"""
        insert into push.ledger as d (message_id, device_id, user_id, network, state, due_at, attempts, waits_for, batch_id, network_id, finished_at, tracked, decisions)
        select u.message_id, u.device_id, u.user_id,
               case when u.state = 'pending' then coalesce((select r.network from push.registration r where r.device_id = u.device_id), @network) else @network end,
               u.state, coalesce(u.due_at, u.matched_at), @begun + u.attempt, u.waits_for, case when u.state = 'unknown' then @batch end, u.network_id,
               case when u.state = 'pending' then null else now() end, u.tracked,
               case when u.decision is null then jsonb_build_array({Queue.MatchedSql}) else jsonb_build_array({Queue.MatchedSql}, u.decision::jsonb) end
        from {Rows}
        """;

    // As devices write theirs: who waits for a row that the other is writing holds none that the other comes to later.
    private const string InOrder = "order by u.message_id, u.device_id";

    private const string Returning = "returning d.message_id, d.device_id, d.network, d.state, d.due_at";

    // What waits of a message that has been recalled meanwhile is looked at now, and ends.
    private const string Queued =
        """
        insert into push.queue (message_id, device_id, network, due_at)
        select c.message_id, c.device_id, c.network, case when m.recalled_at is null then c.due_at else now() end
        from changed c join push.message m on m.id = c.message_id where c.state = 'pending'
        """;

    private const string ClaimedSql = $"with changed as ({Change} {Returning}), queued as ({Queued})";

    private const string ClaimedFreshSql = $"with changed as ({Add} {InOrder} {Returning}), queued as ({Queued})";

    private const string FinishedSql =
        $"""
        with changed as (
            {Change} and d.batch_id = @batch and d.state in ('sending', 'unknown') {Returning}),
        queued as ({Queued})
        """;

    private const string LeftSql =
        $"""
        with changed as (
            {Change} and d.batch_id = @batch and d.state = 'sending' {Returning}),
        queued as ({Queued})
        """;

    private static readonly string SentSql = $", ({PushOutcomes.Tell(OutcomeStep.Sent, "(select * from changed where state = 'accepted')", "@source")})";

    // Who takes the batch over locks its row and removes it: either all that is written here is there before, or nothing.
    private const string Held = "held as (select from push.batch where id = @batch for key share)";

    private const string AddedSql = $"with {Held}, changed as ({Add} where exists (select from held) {InOrder} {Returning}), queued as ({Queued})";

    // A row may be there: of what was written although the connection broke, of a device that told of the message before this, of a process that has taken the batch over.
    private const string AddedAgainSql =
        $"""
        with {Held},
        late as (
            {Change} and d.batch_id = @batch and d.state in ('sending', 'unknown') {Returning}),
        added as (
            {Add} where exists (select from held) {InOrder} on conflict (message_id, device_id) do nothing {Returning}),
        changed as (
            select * from late union all select * from added),
        queued as ({Queued})
        """;
}

/// <summary>What becomes of a delivery.</summary>
/// <param name="Attempt">What to add to its attempts; one that was to be sent has one more already.</param>
internal sealed record DeliveryChange(Due Due, string State, string? Decision, DateTimeOffset? DueAt = null, string? WaitsFor = null, string? NetworkId = null, int Attempt = 0);
