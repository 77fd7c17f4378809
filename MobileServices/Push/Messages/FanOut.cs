using Dapper;
using Microsoft.Extensions.Options;
using MobileServices.Push.Deliveries;
using Npgsql;

namespace MobileServices.Push.Messages;

/// <summary>
/// Makes the deliveries of a message whose time has come, in chunks. The audience is read as a stream and written in parts; a process that ends on the way leaves what it
/// has written, and the next one goes on from there.
/// </summary>
internal sealed class FanOut(NpgsqlDataSource database, PushMetrics metrics, IOptions<PushOptions> options, TimeProvider time, ILogger<FanOut> logger)
{
    private const int Part = 5000;

    /// <summary>Fewer than this part of a batch are no chunk.</summary>
    private const int FewPart = 30;
    private const int Patience = 300;
    private static readonly TimeSpan Again = TimeSpan.FromMinutes(1);

    /// <summary>Messages whose audience took too long to find, and when it is tried again: others go first.</summary>
    private readonly Dictionary<Guid, DateTimeOffset> _slow = [];

    /// <returns>False when there is none to work on.</returns>
    public async Task<bool> StepAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (await ClaimAsync(transaction, ct) is not { } message)
        {
            return false;
        }
        using var activity = metrics.StartFanOut(new(message.Traceparent, message.Tracestate));
        try
        {
            await SpreadAsync(transaction, message, ct);
            await transaction.CommitAsync(ct);
        }
        catch (Exception exception) when (IsTimeout(exception))
        {
            // It may go better later, until the message is worth nothing any more.
            var now = time.GetUtcNow();
            logger.LogError(exception, "The audience of the message {Message} could not be found in time", message.Id);
            _slow[message.Id] = now + Again;
            if (message.ExpiresAt < now.UtcDateTime)
            {
                await EndAsync(message.Id, "Its audience could not be found before its time was over", ct);
            }
        }
        catch (Exception exception) when (exception is AudienceException or PostgresException { IsTransient: false })
        {
            // It will not go better later.
            logger.LogError(exception, "The audience of the message {Message} cannot be found", message.Id);
            await EndAsync(message.Id, $"Its audience could not be found: {(exception as PostgresException)?.MessageText ?? exception.Message}", ct);
        }
        return true;
    }

    private static bool IsTimeout(Exception exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.QueryCanceled } or NpgsqlException { InnerException: TimeoutException };

    public async Task<DateTime?> NextAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var next = await connection.ExecuteScalarAsync<DateTime?>(new CommandDefinition(
            "select send_at from push.message where state in ('scheduled', 'resolving') and id <> all (@slow) order by send_at limit 1", new { slow = Slow() }, cancellationToken: ct));
        var again = _slow.Count is 0 ? (DateTime?)null : _slow.Values.Min().UtcDateTime;
        return next is null || again < next ? again : next;
    }

    private Guid[] Slow()
    {
        var now = time.GetUtcNow();
        foreach (var (id, _) in _slow.Where(slow => slow.Value <= now).ToList())
        {
            _slow.Remove(id);
        }
        return [.. _slow.Keys];
    }

    /// <summary>The lock is not that of the row: whoever recalls the message has to get that.</summary>
    private async Task<Spreading?> ClaimAsync(NpgsqlTransaction transaction, CancellationToken ct) =>
        await transaction.Connection!.QueryFirstOrDefaultAsync<Spreading>(new CommandDefinition(
            """
            select id, app_id as App, audience, urgency, send_at as SendAt, expires_at as ExpiresAt, created_at as CreatedAt, traceparent, tracestate
            from (select * from push.message where state in ('scheduled', 'resolving') and send_at <= @now and id <> all (@slow) order by send_at limit 20) due
            where pg_try_advisory_xact_lock(hashtextextended('push ' || id, 0)) limit 1
            """, new { now = time.GetUtcNow(), slow = Slow() }, transaction, cancellationToken: ct));

    private async Task SpreadAsync(NpgsqlTransaction transaction, Spreading message, CancellationToken ct)
    {
        // Whoever had the lock before may have finished it in between.
        var before = await transaction.Connection!.QuerySingleAsync<(string State, Guid? ResolvedTo)>(new CommandDefinition(
            "select state, resolved_to from push.message where id = @Id", new { message.Id }, transaction, cancellationToken: ct));
        if (before.State is not ("scheduled" or "resolving"))
        {
            return;
        }
        var audience = Audience.Parse(message.Audience, message.CreatedAt);
        audience.Parameters.Add("app", message.App);
        audience.Parameters.Add("message", message.Id);
        audience.Parameters.Add("after", before.ResolvedTo);
        await using var writer = await database.OpenConnectionAsync(ct);
        await writer.ExecuteAsync(new CommandDefinition("update push.message set state = 'resolving' where id = @Id and state = 'scheduled'", new { message.Id }, cancellationToken: ct));
        // Nothing tells the planner how many a tag has; a plan for these values does.
        await transaction.Connection!.ExecuteAsync(new CommandDefinition("set local plan_cache_mode = force_custom_plan", transaction: transaction, cancellationToken: ct));
        // What is for users is for those who have the devices now. In the order of the devices, so that where it stopped is known; what was begun before there were
        // chunks has rows instead.
        var devices = transaction.Connection!.QueryUnbufferedAsync<Matched>(
            $"""
            select r.device_id as Device, r.network, {(audience.IsOfUsers ? "r.user_id" : "null")}::text as "User" from push.registration r
            where r.app_id = @app and {audience.Sql}
              {(before.State is "resolving" ? "and not exists (select from push.ledger l where l.message_id = @message and l.device_id = r.device_id)" : "")}
              {(before.ResolvedTo is null ? "" : "and r.device_id > @after")}
            order by r.device_id
            """, audience.Parameters, transaction, commandTimeout: Patience);
        var resolvedTo = before.ResolvedTo;
        var part = new List<Matched>(Part);
        await foreach (var device in devices.WithCancellation(ct))
        {
            part.Add(device);
            if (part.Count is Part)
            {
                if (!await WriteAsync(writer, message, part, resolvedTo, ct))
                {
                    return;
                }
                resolvedTo = part[^1].Device;
                part.Clear();
            }
        }
        if (part.Count is 0 || await WriteAsync(writer, message, part, resolvedTo, ct))
        {
            await EndAsync(message.Id, null, ct);
        }
    }

    /// <returns>False when the message has been recalled, or another process goes on with it.</returns>
    private async Task<bool> WriteAsync(NpgsqlConnection writer, Spreading message, List<Matched> part, Guid? resolvedTo, CancellationToken ct)
    {
        await using var transaction = await writer.BeginTransactionAsync(ct);
        var chunks = part.GroupBy(device => device.Network).SelectMany(network => network.Chunk(options.Value.Batch)).ToLookup(chunk => chunk.Length >= options.Value.Batch / FewPart);
        // Who recalls it waits for this part, and finds it.
        if (await writer.ExecuteAsync(new CommandDefinition(
            """
            update push.message set resolved_to = @to, in_chunks = in_chunks or @inChunks
            where id = @Id and recalled_at is null and resolved_to is not distinct from @resolvedTo
            """, new { message.Id, resolvedTo, to = part[^1].Device, inChunks = chunks[true].Any() }, transaction, cancellationToken: ct)) is 0)
        {
            return false;
        }
        // Urgent ones stand before all others that are due.
        var due = message.Urgency is "high" ? message.SendAt.AddHours(-1) : message.SendAt;
        var now = time.GetUtcNow();
        foreach (var (sql, devices) in chunks[true].Select(chunk => (ChunkSql, chunk)).Concat(chunks[false].Select(few => (RowsSql, few))))
        {
            await writer.ExecuteAsync(new CommandDefinition(
                sql,
                new
                {
                    message.Id,
                    network = devices[0].Network,
                    due,
                    now,
                    size = devices.Length,
                    first = devices[0].Device,
                    last = devices[^1].Device,
                    devices = devices.Select(device => device.Device).ToArray(),
                    users = devices.Any(device => device.User is not null) ? devices.Select(device => device.User).ToArray() : null,
                    matched = Decision.Of(now, "matched"),
                }, transaction, Patience, cancellationToken: ct));
        }
        await writer.ExecuteAsync(new CommandDefinition($"notify {PushWorker.Channel}", transaction: transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        return true;
    }

    private const string ChunkSql =
        """
        insert into push.chunk (message_id, network, due_at, matched_at, size, first_device, last_device, devices, users)
        values (@Id, @network, @due, @now, @size, @first, @last, @devices, @users)
        """;

    /// <summary>Few have rows of their own at once: a claim of chunks of one would be a claim of one, and what asks for a device would look through them all.</summary>
    private const string RowsSql =
        """
        with added as (
            insert into push.ledger (message_id, device_id, user_id, network, state, due_at, tracked, decisions)
            select m.id, u.device_id, u.user_id, @network, 'pending', @due, m.category is not null or m.collapse_key is not null, jsonb_build_array(@matched::jsonb)
            from push.message m, unnest(@devices::uuid[], @users::text[]) u (device_id, user_id) where m.id = @Id
            returning message_id, device_id)
        insert into push.queue (message_id, device_id, network, due_at) select message_id, device_id, @network, @due from added
        """;

    private async Task EndAsync(Guid id, string? problem, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("update push.message set state = 'sending', problem = @problem where id = @id", new { id, problem }, cancellationToken: ct));
    }

    /// <param name="User">Whom the message is for there; null where it is for whoever has the device.</param>
    private sealed record Matched(Guid Device, string Network, string? User);

    private sealed class Spreading
    {
        public Guid Id { get; init; }
        public required string App { get; init; }
        public required string Audience { get; init; }
        public required string Urgency { get; init; }
        public DateTime SendAt { get; init; }
        public DateTime? ExpiresAt { get; init; }
        public DateTime CreatedAt { get; init; }
        public string? Traceparent { get; init; }
        public string? Tracestate { get; init; }
    }
}
