using Dapper;
using Npgsql;

namespace BackendSystems.Webhooks;

internal sealed record WebhookSubscription
{
    public required Guid Id { get; init; }

    public required string Url { get; init; }

    public required string[] Events { get; init; }

    public required DateTime CreatedAt { get; init; }
}

internal sealed record WebhookDelivery(
    long Id, string MessageId, Guid SubscriptionId, string Event, string Record, string Status, int Attempts,
    DateTime CreatedAt, DateTime? NextAttemptAt, DateTime? DeliveredAt, int? LastStatus, string? LastError);

/// <summary>A delivery that this process has taken, with all it takes to send it.</summary>
internal sealed record DueWebhook(
    long Id, string MessageId, string Body, int Attempts, DateTime RetryUntil, string? Traceparent, string? Tracestate, string Url, string Secret);

/// <summary>All SQL on subscriptions and deliveries but the outbox insert. Each method serves one system.</summary>
internal sealed class WebhookStore(NpgsqlDataSource database, string system)
{
    /// <returns>The subscription, and whether it is new.</returns>
    public async Task<(WebhookSubscription Subscription, bool Created)> SubscribeAsync(
        string url, string secret, string[] events, DateTimeOffset now, CancellationToken ct)
    {
        const string Sql = """
            insert into webhooks.subscriptions (id, system, url, secret, events, created_at)
            values (@id, @system, @url, @secret, @events, @now)
            on conflict (system, url) do update set secret = excluded.secret, events = excluded.events
            returning id, url, events, created_at
            """;
        var id = Guid.CreateVersion7();
        await using var connection = await database.OpenConnectionAsync(ct);
        var row = await connection.QuerySingleAsync<WebhookSubscription>(
            new CommandDefinition(Sql, new { id, system, url, secret, events, now }, cancellationToken: ct));
        return (row, row.Id == id);
    }

    public async Task<IReadOnlyList<WebhookSubscription>> SubscriptionsAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await connection.QueryAsync<WebhookSubscription>(new CommandDefinition(
            "select id, url, events, created_at from webhooks.subscriptions where system = @system order by id",
            new { system }, cancellationToken: ct))).AsList();
    }

    public async Task<bool> UnsubscribeAsync(Guid id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition(
            "delete from webhooks.subscriptions where system = @system and id = @id", new { system, id }, cancellationToken: ct)) > 0;
    }

    public async Task<IReadOnlyList<WebhookDelivery>> DeliveriesAsync(string? status, int limit, CancellationToken ct)
    {
        const string Sql = """
            select id, message_id, subscription_id, event, record, status, attempts, created_at,
                case when status = 'pending' then next_attempt_at end as next_attempt_at, delivered_at, last_status, last_error
            from webhooks.deliveries
            where system = @system and (@status::text is null or status = @status)
            order by id desc limit @limit
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await connection.QueryAsync<WebhookDelivery>(
            new CommandDefinition(Sql, new { system, status, limit }, cancellationToken: ct))).AsList();
    }

    public async Task<bool> ReplayAsync(long id, DateTimeOffset now, DateTimeOffset until, CancellationToken ct)
    {
        const string Sql = """
            update webhooks.deliveries
            set status = 'pending', attempts = 0, next_attempt_at = @now, retry_until = @until, delivered_at = null
            where system = @system and id = @id
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition(Sql, new { system, id, now, until }, cancellationToken: ct)) > 0;
    }

    /// <summary>Takes what is due until <paramref name="leaseUntil"/>: of each record and subscription only the oldest that is undelivered.</summary>
    public async Task<IReadOnlyList<DueWebhook>> TakeDueAsync(DateTimeOffset now, DateTimeOffset leaseUntil, int limit, CancellationToken ct)
    {
        const string Sql = """
            with due as (
                select d.id from webhooks.deliveries d
                where d.system = @system and d.status = 'pending' and d.next_attempt_at <= @now
                    and not exists (
                        select from webhooks.deliveries earlier
                        where earlier.subscription_id = d.subscription_id and earlier.record = d.record
                            and earlier.status = 'pending' and earlier.id < d.id)
                order by d.next_attempt_at, d.id limit @limit
                for update skip locked)
            update webhooks.deliveries d set next_attempt_at = @leaseUntil, attempts = d.attempts + 1
            from due, webhooks.subscriptions s
            where d.id = due.id and s.id = d.subscription_id
            returning d.id, d.message_id, d.body, d.attempts, d.retry_until, d.traceparent, d.tracestate, s.url, s.secret
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await connection.QueryAsync<DueWebhook>(
            new CommandDefinition(Sql, new { system, now, leaseUntil, limit }, cancellationToken: ct))).AsList();
    }

    public async Task DeliveredAsync(long id, int httpStatus, DateTimeOffset now, CancellationToken ct)
    {
        const string Sql = """
            update webhooks.deliveries set status = 'delivered', delivered_at = @now, last_status = @httpStatus, last_error = null where id = @id
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(Sql, new { id, httpStatus, now }, cancellationToken: ct));
    }

    /// <param name="retryAt">When to try again; null gives up.</param>
    public async Task RefusedAsync(long id, int? httpStatus, string error, DateTimeOffset? retryAt, CancellationToken ct)
    {
        const string Sql = """
            update webhooks.deliveries
            set last_status = @httpStatus, last_error = @error, next_attempt_at = coalesce(@retryAt, next_attempt_at),
                status = case when @retryAt::timestamptz is null then 'failed' else status end
            where id = @id and status = 'pending'
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(Sql, new { id, httpStatus, error, retryAt }, cancellationToken: ct));
    }

    /// <summary>Forgets what was delivered before <paramref name="before"/>, so that the table stays small.</summary>
    public async Task ForgetDeliveredAsync(DateTimeOffset before, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "delete from webhooks.deliveries where system = @system and status = 'delivered' and delivered_at < @before",
            new { system, before }, cancellationToken: ct));
    }
}
