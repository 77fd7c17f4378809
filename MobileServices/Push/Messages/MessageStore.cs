using System.Text.Json;
using Dapper;
using MobileIntegration.ServiceDefaults;
using MobileServices.Push.Deliveries;
using Npgsql;

namespace MobileServices.Push.Messages;

internal sealed class MessageStore(NpgsqlDataSource database, TimeProvider time)
{
    private readonly RecentlyUsed<Guid, ReadyMessage> _recent = new(200);

    /// <summary>Keeps a message; from here on it is not lost.</summary>
    /// <returns>Null when it is there; otherwise the one that its sender sent with the same key.</returns>
    public async Task<EarlierMessage?> AddAsync(ReadyMessage message, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await AddAsync(transaction, message, time.GetUtcNow(), ct))
        {
            return await EarlierAsync(connection, message.Sender, message.IdempotencyKey!, ct) ?? throw new InvalidOperationException("The message with that key was removed at this moment.");
        }
        await transaction.CommitAsync(ct);
        return null;
    }

    /// <returns>The message that the sender sent with that key; null when there is none.</returns>
    public async Task<EarlierMessage?> EarlierAsync(string sender, string key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await EarlierAsync(connection, sender, key, ct);
    }

    private static Task<EarlierMessage?> EarlierAsync(NpgsqlConnection connection, string sender, string key, CancellationToken ct) =>
        connection.QuerySingleOrDefaultAsync<EarlierMessage>(new CommandDefinition(
            "select id, body_hash as BodyHash, state, send_at as SendAt from push.message where sender = @sender and idempotency_key = @key", new { sender, key }, cancellationToken: ct));

    /// <summary>The same in the transaction of the change that it tells of.</summary>
    public static async Task<bool> AddAsync(NpgsqlTransaction transaction, ReadyMessage message, DateTimeOffset now, CancellationToken ct)
    {
        var trace = TraceContext.Current;
        return await transaction.Connection!.ExecuteAsync(new CommandDefinition(
            $"""
            insert into push.message (
                id, app_id, sender, idempotency_key, body_hash, audience, content, category, collapse_key, urgency, silent, ttl_seconds, send_at, send_local, expires_at,
                cap_count, cap_hours, state, created_at, traceparent, tracestate)
            values (
                @Id, @App, @Sender, @IdempotencyKey, @BodyHash, @Audience, @content::jsonb, @Category, @CollapseKey, @Urgency, @Silent, @TtlSeconds, @sendAt, @sendLocal::timestamp, @expiresAt,
                @CapCount, @CapHours, 'scheduled', @now, @Traceparent, @Tracestate)
            on conflict (sender, idempotency_key) where idempotency_key is not null do nothing;
            notify {PushWorker.Channel};
            """,
            new
            {
                message.Id,
                message.App,
                message.Sender,
                message.IdempotencyKey,
                message.BodyHash,
                message.Audience,
                content = JsonSerializer.Serialize(message.Content, PushContent.Json),
                message.Category,
                message.CollapseKey,
                message.Urgency,
                message.Silent,
                message.TtlSeconds,
                sendAt = message.SendAt.ToUniversalTime(),
                sendLocal = message.SendLocal?.ToString("s", System.Globalization.CultureInfo.InvariantCulture),
                expiresAt = message.ExpiresAt?.ToUniversalTime(),
                message.CapCount,
                message.CapHours,
                now,
                trace.Traceparent,
                trace.Tracestate,
            }, transaction, cancellationToken: ct)) > 0;
    }

    /// <summary>What never changes of a message.</summary>
    public async Task<ReadyMessage> ReadAsync(Guid id, CancellationToken ct)
    {
        if (_recent.TryGet(id, out var recent))
        {
            return recent;
        }
        await using var connection = await database.OpenConnectionAsync(ct);
        var row = await connection.QuerySingleAsync<MessageRow>(new CommandDefinition(
            """
            select id, app_id as App, sender, audience, content::text as Content, category, collapse_key as CollapseKey, urgency, silent, ttl_seconds as TtlSeconds, send_at as SendAt,
                   send_local as SendLocal, expires_at as ExpiresAt, cap_count as CapCount, cap_hours as CapHours
            from push.message where id = @id
            """, new { id }, cancellationToken: ct));
        var message = row.ToMessage();
        _recent.Set(id, message);
        return message;
    }

    public async Task<PushMessageState?> StateAsync(Guid id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        // One statement, one state of things: the counts are those of the rows, so they add up.
        var rows = (await connection.QueryAsync<StateRow>(new CommandDefinition(
            """
            select m.app_id as App, m.audience, m.state, m.created_at as CreatedAt, m.send_at as SendAt, m.expires_at as ExpiresAt, m.recalled_at as RecalledAt, m.problem,
                   d.state as DeliveryState, coalesce(d.count, 0) as Count, coalesce(d.delivered, 0) as Delivered, coalesce(d.opened, 0) as Opened
            from push.message m
            left join lateral (
                select state, count(*) as count, count(delivered_at) as delivered, count(opened_at) as opened from push.delivery where message_id = m.id group by state) d on true
            where m.id = @id
            """, new { id }, cancellationToken: ct))).ToList();
        if (rows is not [var first, ..])
        {
            return null;
        }
        var counts = rows.Where(row => row.DeliveryState is not null).ToDictionary(row => row.DeliveryState!, row => row.Count);
        var state = first.RecalledAt is not null ? "recalled"
            : first.State is "sending" && !counts.ContainsKey(States.Pending) && !counts.ContainsKey(States.Sending) ? "completed" : first.State;
        return new(
            id, first.App, first.Audience, state, first.CreatedAt, first.SendAt, first.ExpiresAt, first.RecalledAt, first.Problem, counts.Values.Sum(), counts,
            rows.Sum(row => row.Delivered), rows.Sum(row => row.Opened));
    }

    /// <summary>
    /// What has not gone out does not go out, from the return on. It waits for the part of the fan-out that is under way, so nothing is added afterwards; for claims that have not
    /// seen it; and, where some of the message is under way, for the marks by which more might be begun.
    /// </summary>
    /// <returns>False when there is no such message.</returns>
    public async Task<bool> RecallAsync(Guid id, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var now = time.GetUtcNow();
        if (await connection.ExecuteAsync(new CommandDefinition(
            "update push.message set recalled_at = coalesce(recalled_at, @now), state = 'sending' where id = @id", new { id, now }, cancellationToken: ct)) is 0)
        {
            return false;
        }
        var end = new CommandDefinition(EndSql, new { id, now, decision = Decision.Of(now, States.Recalled, $"by {who}") }, cancellationToken: ct);
        await connection.ExecuteAsync(end);
        if (await connection.ExecuteScalarAsync<bool>(new CommandDefinition("select exists (select from push.batch where @id = any (messages))", new { id }, cancellationToken: ct)))
        {
            await Task.Delay(DeliveryStore.MarkHolds, time, ct);
        }
        // What a claim held that had not seen it has been put back since the first look began, and those after it end what they take.
        await connection.ExecuteAsync(end);
        return true;
    }

    private const string EndSql =
        $"""
        with gone as (
            delete from push.queue where message_id = @id returning message_id, device_id),
        fresh as (
            delete from push.chunk where message_id = @id returning network, due_at, matched_at, devices, users),
        ended as (
            insert into push.ledger (message_id, device_id, user_id, network, state, due_at, finished_at, tracked, decisions)
            select m.id, u.device_id, u.user_id, f.network, 'recalled', f.due_at, @now, m.category is not null or m.collapse_key is not null,
                   jsonb_build_array({Queue.MatchedSql}, @decision::jsonb)
            from fresh f, unnest(f.devices, f.users) u (device_id, user_id), push.message m where m.id = @id)
        update push.ledger d set state = 'recalled', finished_at = @now, waits_for = null, decisions = d.decisions || @decision::jsonb
        from gone where d.message_id = gone.message_id and d.device_id = gone.device_id
        """;

    public async Task<AudienceSize> SizeAsync(string app, Audience audience, CancellationToken ct)
    {
        audience.Parameters.Add("app", app);
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = (await connection.QueryAsync<(string Network, long Devices, bool HasCredential)>(new CommandDefinition(
            $"""
            select r.network, count(*), r.network = 'own' or exists (select from push.credential k where k.app_id = @app and k.network = r.network)
            from push.registration r where r.app_id = @app and {audience.Sql} group by r.network
            """, audience.Parameters, cancellationToken: ct))).ToList();
        var users = await connection.ExecuteScalarAsync<long>(new CommandDefinition(
            $"select count(distinct r.user_id) from push.registration r where r.app_id = @app and {audience.Sql}", audience.Parameters, cancellationToken: ct));
        return new(rows.Sum(row => row.Devices), users, rows.ToDictionary(row => row.Network, row => row.Devices), rows.Where(row => !row.HasCredential).Sum(row => row.Devices));
    }

    private sealed class MessageRow
    {
        public Guid Id { get; init; }
        public required string App { get; init; }
        public required string Sender { get; init; }
        public required string Audience { get; init; }
        public required string Content { get; init; }
        public string? Category { get; init; }
        public string? CollapseKey { get; init; }
        public required string Urgency { get; init; }
        public bool Silent { get; init; }
        public int TtlSeconds { get; init; }
        public DateTime SendAt { get; init; }
        public DateTime? SendLocal { get; init; }
        public DateTime? ExpiresAt { get; init; }
        public int? CapCount { get; init; }
        public int? CapHours { get; init; }

        public ReadyMessage ToMessage() => new(
            Id, App, Sender, null, null, Audience, JsonSerializer.Deserialize<PushContent>(Content, PushContent.Json)!, Category, CollapseKey, Urgency, Silent, TtlSeconds,
            SendAt, SendLocal, ExpiresAt is { } expires ? new DateTimeOffset(expires) : null, CapCount, CapHours);
    }

    private sealed class StateRow
    {
        public required string App { get; init; }
        public required string Audience { get; init; }
        public required string State { get; init; }
        public DateTime CreatedAt { get; init; }
        public DateTime SendAt { get; init; }
        public DateTime? ExpiresAt { get; init; }
        public DateTime? RecalledAt { get; init; }
        public string? Problem { get; init; }
        public string? DeliveryState { get; init; }
        public long Count { get; init; }
        public long Delivered { get; init; }
        public long Opened { get; init; }
    }
}

internal sealed record EarlierMessage(Guid Id, byte[]? BodyHash, string State, DateTime SendAt);
