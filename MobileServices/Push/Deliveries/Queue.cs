using Dapper;
using Npgsql;

namespace MobileServices.Push.Deliveries;

/// <summary>
/// What waits: fresh deliveries in chunks, and one by one those that something has been decided about, with a row in the ledger. What is here is locked by whoever
/// decides what becomes of it.
/// </summary>
internal static class Queue
{
    /// <summary>Takes those whose time has come, the earliest first: chunks, or rows of the queue.</summary>
    /// <param name="networks">The names of all.</param>
    /// <param name="most">How many; one chunk at least.</param>
    public static async Task<List<Due>> TakeAsync(NpgsqlTransaction transaction, string network, string[] networks, int most, DateTimeOffset now, CancellationToken ct)
    {
        // What others hold of the one does not keep the other waiting.
        foreach (var sql in (string[])[EarlierChunksSql, RowsSql, ChunksSql])
        {
            var command = new CommandDefinition($"{InOrder} {sql}", new { network, networks, most, now }, transaction, cancellationToken: ct);
            var taken = (await transaction.Connection!.QueryAsync<Due>(command)).AsList();
            if (taken.Count > 0)
            {
                return taken;
            }
        }
        return [];
    }

    /// <summary>A statement that lets deliveries that wait be looked at now (<c>@now</c>) instead of when their time comes.</summary>
    /// <param name="which">Of the delivery <c>d</c>.</param>
    /// <param name="more">What else is set.</param>
    /// <param name="queued">What else is set in the queue.</param>
    public static string LookAgainSql(string which, string more = "", string queued = "") =>
        $"""
        with again as (
            select q.message_id, q.device_id from push.queue q join push.ledger d using (message_id, device_id) where {which} order by 1, 2 for update of q),
        queued as (
            update push.queue q set due_at = least(q.due_at, @now){queued} from again a where q.message_id = a.message_id and q.device_id = a.device_id)
        update push.ledger d set due_at = least(d.due_at, @now){more} from again a where d.message_id = a.message_id and d.device_id = a.device_id
        """;

    /// <summary>
    /// A statement that gives the deliveries of a device (<c>@device</c>) that wait in chunks rows of their own, for something to be written down about them. A chunk
    /// that a process is taking stays as it is: to wait for it could be to wait for one that waits for this device.
    /// </summary>
    public const string SetApartSql =
        $"""
        with found as (
            select id, message_id, network, due_at, matched_at, size, devices, users, array_position(devices, @device) as place from push.chunk
            where @device between first_device and last_device and @device = any (devices) for update skip locked),
        gone as (
            delete from push.chunk c using found f where c.id = f.id and f.size = 1),
        others as (
            update push.chunk c set size = f.size - 1, devices = f.devices[:f.place - 1] || f.devices[f.place + 1:], users = f.users[:f.place - 1] || f.users[f.place + 1:]
            from found f where c.id = f.id and f.size > 1),
        queued as (
            insert into push.queue (message_id, device_id, network, due_at) select message_id, @device, network, due_at from found)
        insert into push.ledger (message_id, device_id, user_id, network, state, due_at, tracked, decisions)
        select f.message_id, @device, f.users[f.place], f.network, 'pending', f.due_at, m.category is not null or m.collapse_key is not null, jsonb_build_array({MatchedSql})
        from found f join push.message m on m.id = f.message_id
        """;

    /// <summary>The first decision about what is in a chunk; a column matched_at has its time.</summary>
    public const string MatchedSql = "jsonb_build_object('at', matched_at, 'what', 'matched')";

    // Without statistics of what has just been filled the planner would sort it, and read all that was taken before: in the order of the index it stops after a batch.
    // Guessing what is in arrays, it would also compile the statement, each time anew, which takes many times as long as the statement.
    internal const string InOrder = "set local enable_sort = off; set local enable_bitmapscan = off; set local jit = off;";

    private const string EarlierChunksSql = $"{ChunksBegin} and due_at < coalesce((select due_at from push.queue where network = @network order by due_at limit 1), 'infinity') {ChunksEnd}";

    internal const string ChunksSql = $"{ChunksBegin} {ChunksEnd}";

    // As many as the first lets expect to be a batch. A chunk that is more than what is left stays for the next claim.
    private const string ChunksBegin =
        """
        with first as (
            select size from push.chunk where network = @network and due_at <= @now order by due_at, id limit 1),
        due as materialized (
            select id, due_at, size from push.chunk where network = @network and due_at <= @now
        """;

    private const string ChunksEnd =
        $"""
            order by due_at, id limit (select greatest(1, @most / size) from first) for update skip locked),
        sums as (
            select id, size, sum(size) over (order by due_at, id) as total from due),
        taken as (
            delete from push.chunk c using sums s where c.id = s.id and (s.total <= @most or s.total = s.size)
            returning c.message_id, c.matched_at, c.devices, c.users),
        d as (
            select t.message_id, u.device_id, u.user_id, 0 as attempts, null::text[] as changed, t.matched_at, null as kept_as from taken t, unnest(t.devices, t.users) u (device_id, user_id))
        {Facts}
        """;

    internal const string RowsSql =
        $"""
        with taken as (
            delete from push.queue where ctid = any (array(
                select ctid from push.queue where network = @network and due_at <= @now order by due_at limit @most for update skip locked))
            returning message_id, device_id),
        d as (
            select l.message_id, l.device_id, l.user_id, l.attempts, l.changed, null::timestamptz as matched_at,
                   case when l.attempts > 0 then (select k.id from push.kept k where k.message_id = l.message_id and k.device_id = l.device_id) end as kept_as
            from taken join push.ledger l using (message_id, device_id))
        {Facts}
        """;

    private const string Facts =
        """
        select d.message_id as MessageId, d.device_id as DeviceId, d.user_id as UserId, d.matched_at as MatchedAt, d.attempts, d.changed, d.kept_as as KeptAs, m.recalled_at as RecalledAt,
               m.category is not null or m.collapse_key is not null as IsTracked,
               d.user_id is not null and d.user_id is distinct from r.user_id as IsOfAnother, r.customer_id is not null or r.user_id is not null as IsOfSomebody,
               -- By one that is for a later time, and has gone out or waits to: what ended otherwise, or waits for the device's clock, is not there in its place.
               m.collapse_key is not null and (
                   exists (
                       select from push.ledger later join push.message newer on newer.id = later.message_id
                       where later.device_id = d.device_id and later.tracked is not false and newer.app_id = m.app_id and newer.collapse_key = m.collapse_key
                         and newer.recalled_at is null and (newer.send_at, newer.number) > (m.send_at, m.number)
                         and (later.state in ('sending', 'accepted', 'unknown')
                              or (later.state = 'pending' and (newer.send_local is null or later.waits_for in ('quiet', 'retry', 'channel')))))
                   or exists (
                       select from push.message newer
                       where newer.app_id = m.app_id and newer.collapse_key = m.collapse_key and newer.in_chunks and newer.finished_at is null
                         and newer.recalled_at is null and (newer.send_at, newer.number) > (m.send_at, m.number)
                         and ((newer.send_local is null and exists (
                                  select from unnest(@networks::text[]) n (network), lateral (
                                      select c.first_device, c.devices from push.chunk c
                                      where c.message_id = newer.id and c.network = n.network and c.last_device >= d.device_id order by c.last_device limit 1) near
                                  where near.first_device <= d.device_id and d.device_id = any (near.devices)))
                              or (newer.id, d.device_id) in (
                                  select u.message_id, u.device_id from push.batch b, unnest(b.messages, b.devices, b.matched_at) u (message_id, device_id, matched_at)
                                  where b.matched_at is not null and not exists (select from push.ledger l where l.message_id = u.message_id and l.device_id = u.device_id))))) as IsReplaced,
               r.network, r.app_id as AppId, r.address, r.host, r.p256dh, r.auth, r.locale, r.time_zone as TimeZone,
               p.quiet_from::interval as QuietFrom, p.quiet_until::interval as QuietUntil, p.time_zone as QuietZone, p.muted,
               c.paused_until as PausedUntil, c.stopped_at as StoppedAt, c.reason as ChannelReason, k.saved_at as CredentialSavedAt
        from d
        join push.message m on m.id = d.message_id
        left join push.registration r on r.device_id = d.device_id
        left join push.preference p on p.user_id = r.user_id
        left join push.credential k on k.app_id = m.app_id and k.network = @network
        left join push.channel c on c.app_id = m.app_id and c.network = @network and c.host = r.host
        """;
}
