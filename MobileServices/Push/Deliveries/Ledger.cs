using System.Text.Json;
using Dapper;
using MobileIntegration.Contracts;
using MobileServices.Push.Events;
using MobileServices.Push.Networks;
using MobileServices.Push.Registrations;
using Npgsql;

namespace MobileServices.Push.Deliveries;

/// <summary>What became of every message on every device.</summary>
internal sealed class Ledger(NpgsqlDataSource database, NetworkList networks, TimeProvider time)
{
    /// <param name="after">The last device of the page before.</param>
    public async Task<IReadOnlyList<DeliveryView>> ListAsync(Guid message, string? state, Guid? after, int most, CancellationToken ct)
    {
        var rows = await ReadAsync(PageSql, new { message, state, after, most, networks = networks.All.Select(one => one.Name).ToArray() }, ct);
        return [.. rows.Select(row => row.ToView(message))];
    }

    public async Task<DeliveryExplanation?> ExplainAsync(Guid message, Guid device, CancellationToken ct) =>
        await ReadAsync(OneSql, new { message, device, networks = networks.All.Select(one => one.Name).ToArray() }, ct) is [var row]
            ? new(row.ToView(message), JsonSerializer.Deserialize<List<Decision>>(row.Decisions, Messages.PushContent.Json)!)
            : null;

    private async Task<List<Row>> ReadAsync(string sql, object parameters, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        return (await connection.QueryAsync<Row>(new CommandDefinition($"{Queue.InOrder} {sql}", parameters, transaction, cancellationToken: ct))).AsList();
    }

    /// <summary>What an app says of messages that it has. Nobody speaks for another user's device.</summary>
    public Task ReceiveAsync(Guid device, string? user, IReadOnlyList<PushReceipt> receipts, CancellationToken ct) =>
        Deadlocks.AgainAsync(() => WriteAsync(device, user, receipts, ct));

    private async Task<bool> WriteAsync(Guid device, string? user, IReadOnlyList<PushReceipt> receipts, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        await using var connection = await database.OpenConnectionAsync(ct);
        // By itself: whoever writes down what the network said waits for it, and is not to wait for the reports of other devices with it.
        await connection.ExecuteAsync(new CommandDefinition(UnderWaySql, new { messages = receipts.Select(receipt => receipt.Id).Distinct().ToArray(), device, user }, cancellationToken: ct));
        await using var transaction = await connection.BeginTransactionAsync(ct);
        foreach (var state in new[] { "delivered", "opened" })
        {
            var messages = receipts.Where(receipt => receipt.State == state).Select(receipt => receipt.Id).Distinct().ToArray();
            if (messages.Length > 0)
            {
                await connection.ExecuteAsync(new CommandDefinition(
                    ReceivedSql,
                    new { messages, device, user, now, opened = state is "opened", decision = Decision.Of(now, state, "the app says so"), subject = PushOutcomes.SubjectOf("receipts") },
                    transaction, cancellationToken: ct));
            }
        }
        await transaction.CommitAsync(ct);
        return true;
    }

    /// <summary>A device may tell of a message before what the network said of it is written down.</summary>
    private const string UnderWaySql =
        $"""
        insert into push.ledger (message_id, device_id, user_id, network, state, due_at, attempts, batch_id, tracked, decisions)
        select d.message_id, d.device_id, d.user_id, d.network, 'sending', matched_at, 1, d.batch_id, m.category is not null or m.collapse_key is not null, jsonb_build_array({Queue.MatchedSql})
        from (
            select u.*, b.network, b.id as batch_id from push.batch b, unnest(b.messages, b.devices, b.users, b.matched_at) u (message_id, device_id, user_id, matched_at)
            where b.matched_at is not null and @device = any (b.devices) and b.messages && @messages and u.device_id = @device and u.message_id = any (@messages)) d
        join push.message m on m.id = d.message_id
        where exists (select from push.registration r where r.device_id = @device and (r.user_id is null or r.user_id = @user))
        order by d.message_id
        on conflict (message_id, device_id) do nothing
        """;

    /// <summary>In the order of the messages: two reports of a device wait for one another instead of for ever. What is opened was delivered too; the journey counts either once.</summary>
    private static readonly string ReceivedSql =
        $"""
        with mine as (
            select message_id, device_id from push.ledger
            where device_id = @device and message_id = any (@messages) and opened_at is null and (@opened or delivered_at is null)
              and exists (select from push.registration r where r.device_id = @device and (r.user_id is null or r.user_id = @user))
            order by message_id for update),
        changed as (
            update push.ledger d set
                delivered_at = coalesce(d.delivered_at, @now),
                opened_at = case when @opened then @now end,
                decisions = d.decisions || @decision::jsonb
            from mine where d.message_id = mine.message_id and d.device_id = mine.device_id
            returning d.message_id, d.device_id)
        select ({PushOutcomes.Tell(OutcomeStep.Delivered, "changed", "@subject")}), ({PushOutcomes.Tell(OutcomeStep.Opened, "(select * from changed where @opened)", "@subject")})
        """;

    private const string OfLedger =
        """
        select d.device_id as DeviceId, d.network as Network, d.state as State, d.waits_for as WaitsFor, d.due_at as DueAt, d.attempts as Attempts, d.network_id as NetworkId,
               d.finished_at as FinishedAt, d.delivered_at as DeliveredAt, d.opened_at as OpenedAt, d.decisions::text as Decisions
        from push.ledger d where d.message_id = @message
        """;

    private const string Fresh = $"null, null::timestamptz, null::timestamptz, null::timestamptz, jsonb_build_array({Queue.MatchedSql})::text";

    private const string OfBatches =
        $"""
        select device_id, network, 'sending', null, matched_at, 1, {Fresh}
        from (
            select b.network, u.* from push.batch b, unnest(b.messages, b.devices, b.matched_at) u (message_id, device_id, matched_at) where @message = any (b.messages)) b
        where message_id = @message and matched_at is not null and not exists (select from push.ledger l where l.message_id = b.message_id and l.device_id = b.device_id)
        """;

    /// <summary>
    /// The view <c>delivery</c> in the order of the devices, from one on: what comes after a page is not looked at. The chunks of a message for one network follow one another.
    /// </summary>
    internal const string PageSql =
        $"""
        select * from (
            ({OfLedger} and (@after::uuid is null or d.device_id > @after) and (@state::text is null or d.state = @state) order by d.device_id limit @most)
            union all
            select near.* from unnest(@networks::text[]) n (network), lateral (
                select device_id, network, 'pending', null, due_at, 0, {Fresh}
                from push.chunk c, unnest(c.devices) with ordinality u (device_id, place)
                where c.message_id = @message and c.network = n.network and (@after::uuid is null or (c.last_device > @after and u.device_id > @after))
                  and (@state::text is null or @state = 'pending')
                order by c.last_device, u.place limit @most) near
            union all
            ({OfBatches} and (@after::uuid is null or device_id > @after) and (@state::text is null or @state = 'sending') order by device_id limit @most)) d
        order by DeviceId limit @most
        """;

    /// <summary>One row of the view <c>delivery</c>.</summary>
    internal const string OneSql =
        $"""
        {OfLedger} and d.device_id = @device
        union all
        select @device, near.network, 'pending', null, near.due_at, 0, {Fresh}
        from unnest(@networks::text[]) n (network), lateral (
            select * from push.chunk c where c.message_id = @message and c.network = n.network and c.last_device >= @device order by c.last_device limit 1) near
        where near.first_device <= @device and @device = any (near.devices)
        union all
        {OfBatches} and device_id = @device
        """;

    private sealed class Row
    {
        public Guid DeviceId { get; init; }
        public required string Network { get; init; }
        public required string State { get; init; }
        public string? WaitsFor { get; init; }
        public DateTime DueAt { get; init; }
        public int Attempts { get; init; }
        public string? NetworkId { get; init; }
        public DateTime? FinishedAt { get; init; }
        public DateTime? DeliveredAt { get; init; }
        public DateTime? OpenedAt { get; init; }
        public required string Decisions { get; init; }

        public DeliveryView ToView(Guid message) => new(
            DeliveryId.Of(message, DeviceId), message, DeviceId, Network, State, State is States.Pending ? WaitsFor : null, State is States.Pending ? DueAt : null, Attempts, NetworkId,
            FinishedAt, DeliveredAt, OpenedAt);
    }
}

/// <summary>The name of a delivery: its message and its device.</summary>
internal static class DeliveryId
{
    public static string Of(Guid message, Guid device) => $"{message:N}-{device:N}";

    public static bool Read(string id, out Guid message, out Guid device)
    {
        device = Guid.Empty;
        message = Guid.Empty;
        return id.Length is 65 && id[32] is '-' && Guid.TryParseExact(id[..32], "N", out message) && Guid.TryParseExact(id[33..], "N", out device);
    }
}

/// <summary>How one message stands on one device.</summary>
/// <param name="State"><c>pending</c>, <c>sending</c>; ended: <c>accepted</c>, <c>unknown</c>, <c>dead</c>, <c>failed</c>, <c>expired</c>, <c>collapsed</c>, <c>muted</c>, <c>capped</c>, <c>recalled</c>.</param>
/// <param name="WaitsFor">Of a pending one: <c>quiet</c>, <c>local</c>, <c>retry</c> or <c>channel</c>.</param>
/// <param name="NetworkId">The network's name for it.</param>
internal sealed record DeliveryView(
    string Id, Guid MessageId, Guid DeviceId, string Network, string State, string? WaitsFor, DateTimeOffset? DueAt, int Attempts, string? NetworkId,
    DateTimeOffset? FinishedAt, DateTimeOffset? DeliveredAt, DateTimeOffset? OpenedAt);

/// <param name="Next">What to ask for the next page with; null on the last.</param>
internal sealed record DeliveryPage(IReadOnlyList<DeliveryView> Deliveries, string? Next);

/// <param name="Decisions">Every one, in its order.</param>
internal sealed record DeliveryExplanation(DeliveryView Delivery, IReadOnlyList<Decision> Decisions);
