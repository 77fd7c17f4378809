using System.Text;
using Dapper;
using Npgsql;

namespace MobileServices.Push.Webhooks;

/// <summary>The webhooks of apps, and the queue of what they are told.</summary>
internal sealed class WebhookStore(NpgsqlDataSource database, KeySeal seal)
{
    private const string EventColumns = "id, number, type, state, attempts, data::text as Data, last_status as LastStatus, problem, created_at as CreatedAt, due_at as DueAt, delivered_at as DeliveredAt";

    /// <summary>Makes a webhook or replaces it; one that was switched off is on again.</summary>
    /// <param name="secret">Null: the one that is there stays, and one is made when there is none.</param>
    /// <param name="keepOld">For how long the secret before signs as well, when it is another.</param>
    /// <returns>The secret when it was made here.</returns>
    public async Task<string?> PutAsync(string app, string url, string[] events, string? secret, bool rotate, TimeSpan keepOld, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // One after the other, so that what is made is made once.
        await connection.ExecuteAsync(new CommandDefinition("select pg_advisory_xact_lock(hashtextextended('push webhook ' || @app, 0))", new { app }, transaction, cancellationToken: ct));
        var kept = await connection.ExecuteScalarAsync<byte[]>(new CommandDefinition("select secret from push.webhook where app_id = @app", new { app }, transaction, cancellationToken: ct));
        var made = secret is null && (rotate || kept is null) ? MobileIntegration.ServiceDefaults.WebhookSignature.NewSecret() : null;
        var isOther = kept is not null && (secret ?? made) is { } other && Open(app, kept) != other;
        await connection.ExecuteAsync(new CommandDefinition(
            $"""
            insert into push.webhook as w (app_id, url, events, secret, saved_at, saved_by) values (@app, @url, @events, @sealed, now(), @who)
            on conflict (app_id) do update set url = @url, events = @events, saved_at = now(), saved_by = @who, stopped_at = null, reason = null, paused_until = null,
                secret = @sealed,
                old_secret = case when @isOther then w.secret else w.old_secret end,
                old_secret_until = case when @isOther then now() + make_interval(secs => @keep) else w.old_secret_until end;
            notify {PushWorker.Channel};
            """,
            new { app, url, events, @sealed = (secret ?? made) is { } given ? seal.Close(SealName(app), Encoding.ASCII.GetBytes(given)) : kept, isOther, keep = keepOld.TotalSeconds, who },
            transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        return made;
    }

    public async Task<WebhookState?> StateAsync(string app, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.QuerySingleOrDefaultAsync<WebhookState>(new CommandDefinition(
            """
            select url, events, saved_at as SavedAt, saved_by as SavedBy, case when old_secret_until > now() then old_secret_until end as OldSecretUntil,
                   stopped_at as StoppedAt, case when paused_until > now() then paused_until end as PausedUntil, reason,
                   (select count(*) from push.webhook_event e where e.app_id = w.app_id and e.state = 'pending') as Pending,
                   (select count(*) from push.webhook_event e where e.app_id = w.app_id and e.state = 'failed') as Failed
            from push.webhook w where app_id = @app
            """, new { app }, cancellationToken: ct));
    }

    /// <summary>With all its events.</summary>
    public async Task<bool> DeleteAsync(string app, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition("delete from push.webhook where app_id = @app", new { app }, cancellationToken: ct)) > 0;
    }

    /// <summary>Where to send, and with which secrets to sign; null when there is no webhook.</summary>
    public async Task<WebhookTarget?> TargetAsync(string app, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var row = await connection.QuerySingleOrDefaultAsync<(string Url, byte[] Secret, byte[]? Old, DateTime SavedAt)?>(new CommandDefinition(
            "select url, secret, case when old_secret_until > now() then old_secret end, saved_at from push.webhook where app_id = @app", new { app }, cancellationToken: ct));
        return row is { } found ? new(found.Url, found.Old is null ? [Open(app, found.Secret)] : [Open(app, found.Secret), Open(app, found.Old)], found.SavedAt) : null;
    }

    /// <param name="before">The number that a page ends before.</param>
    public async Task<IReadOnlyList<WebhookEventView>> ListAsync(string app, string? state, long? before, int most, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return [.. await connection.QueryAsync<WebhookEventView>(new CommandDefinition(
            $"""
            select {EventColumns} from push.webhook_event
            where app_id = @app and (@state::text is null or state = @state) and (@before::bigint is null or number < @before) order by number desc limit @most
            """, new { app, state, before, most }, cancellationToken: ct))];
    }

    /// <param name="id">Null for all that have failed.</param>
    /// <returns>How many are sent again.</returns>
    public async Task<int> ReplayAsync(string app, string? id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition(
            $"""
            update push.webhook_event set state = 'pending', attempts = 0, due_at = now(), delivered_at = null
            where app_id = @app and ((@id::text is null and state = 'failed') or (id = @id and state <> 'pending'));
            notify {PushWorker.Channel};
            """, new { app, id }, cancellationToken: ct));
    }

    /// <summary>Takes what is due, of each app so many at most; another process has it again when the lease is over.</summary>
    /// <param name="busy">Apps to leave out.</param>
    public async Task<IReadOnlyList<DueEvent>> ClaimAsync(string[] busy, int most, int leaseSeconds, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return [.. await connection.QueryAsync<DueEvent>(new CommandDefinition(
            """
            with due as (
                select e.id from push.webhook w, lateral (
                    select id from push.webhook_event where app_id = w.app_id and state = 'pending' and due_at <= now() order by due_at limit @most for update skip locked) e
                where w.stopped_at is null and (w.paused_until is null or w.paused_until <= now()) and w.app_id <> all (@busy))
            update push.webhook_event e set due_at = now() + make_interval(secs => @leaseSeconds), attempts = e.attempts + 1
            from due where e.id = due.id
            returning e.id, e.app_id as AppId, e.type, e.created_at as CreatedAt, e.data::text as Data, e.attempts
            """, new { busy, most, leaseSeconds }, cancellationToken: ct))];
    }

    /// <returns>How long until the next one of those apps is due; null when none waits.</returns>
    public async Task<TimeSpan?> NextDueAsync(string[] busy, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<double?>(new CommandDefinition(
            """
            select extract(epoch from min(greatest(e.due_at, w.paused_until)) - now())::float8 from push.webhook w, lateral (
                select due_at from push.webhook_event where app_id = w.app_id and state = 'pending' order by due_at limit 1) e
            where w.stopped_at is null and w.app_id <> all (@busy)
            """, new { busy }, cancellationToken: ct)) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
    }

    public async Task DeliveredAsync(DueEvent sent, int status, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "update push.webhook_event set state = 'delivered', delivered_at = now(), last_status = @status, problem = null where id = @Id", new { sent.Id, status }, cancellationToken: ct));
    }

    /// <param name="status">Null when there was no answer.</param>
    /// <param name="retryIn">Null when it is given up.</param>
    /// <param name="pause">How long nothing is sent to the webhook at all.</param>
    public async Task FailedAsync(DueEvent sent, int? status, string problem, TimeSpan? retryIn, TimeSpan? pause, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        // One that another process has taken over meanwhile is its own.
        await connection.ExecuteAsync(new CommandDefinition(
            """
            update push.webhook_event set
                last_status = @status, problem = @problem, state = case when @retry::float8 is null then 'failed' else state end,
                due_at = case when @retry::float8 is null then due_at else now() + make_interval(secs => @retry) end
            where id = @Id and state = 'pending' and attempts = @Attempts;
            update push.webhook set paused_until = greatest(paused_until, now() + make_interval(secs => @pause)) where app_id = @AppId and @pause::float8 is not null;
            """,
            new { sent.Id, sent.AppId, sent.Attempts, status, problem, retry = retryIn?.TotalSeconds, pause = pause?.TotalSeconds }, cancellationToken: ct));
    }

    /// <summary>Switches a webhook off; what waits for it has failed. Not when it was saved anew since.</summary>
    public async Task<bool> StopAsync(string app, DateTime savedAt, string reason, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<bool>(new CommandDefinition(
            """
            with stopped as (
                update push.webhook set stopped_at = now(), reason = @reason where app_id = @app and saved_at = @savedAt and stopped_at is null returning app_id),
            failed as (
                update push.webhook_event e set state = 'failed', problem = 'the webhook was switched off: ' || @reason from stopped where e.app_id = stopped.app_id and e.state = 'pending')
            select exists (select from stopped)
            """, new { app, savedAt, reason }, cancellationToken: ct));
    }

    private string Open(string app, byte[] kept) => Encoding.ASCII.GetString(seal.Open(SealName(app), kept));

    private static string SealName(string app) => $"push webhook {app}";
}

/// <param name="Secrets">The newest first.</param>
internal sealed record WebhookTarget(string Url, IReadOnlyList<string> Secrets, DateTime SavedAt);

internal sealed class DueEvent
{
    public required string Id { get; init; }
    public required string AppId { get; init; }
    public required string Type { get; init; }
    public DateTime CreatedAt { get; init; }
    public required string Data { get; init; }
    public int Attempts { get; init; }
}
