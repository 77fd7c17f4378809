using Dapper;
using Npgsql;
using OpenTelemetry;

namespace MobileIntegration.ServiceDefaults.Events;

/// <summary>
/// One subscription's rows in the outbox. What a worker has in hand it holds by row locks of its transaction, so that a process that dies gives it
/// back with its connection.
/// </summary>
internal sealed class SubscriptionStore(NpgsqlDataSource database, string name, string[] types, EventsOptions options)
{
    /// <summary>Events are told to it from now on. Publishers under way are waited for, so that none falls between.</summary>
    public async Task RegisterAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var known = await connection.ExecuteScalarAsync<bool>(new CommandDefinition(
            "select exists (select from events.subscription where name = @name and types @> @types and types <@ @types)", new { name, types }, transaction, cancellationToken: ct));
        if (known)
        {
            return;
        }
        await connection.ExecuteAsync(new CommandDefinition(
            """
            lock table events.event in share mode;
            insert into events.subscription (name, types) values (@name, @types) on conflict (name) do update set types = excluded.types;
            delete from events.delivery d using events.event e where d.subscription = @name and e.number = d.number and not e.type = any(@types)
            """,
            new { name, types }, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
    }

    /// <summary>Takes events that are due, each the first of its subject, until the transaction ends.</summary>
    public async Task<List<DeliveredEvent>> ClaimAsync(NpgsqlTransaction transaction, int most, CancellationToken ct)
    {
        // Looking for work is not work: no trace of its own every few seconds.
        using var quiet = SuppressInstrumentationScope.Begin();
        return (await transaction.Connection!.QueryAsync<DeliveredEvent>(new CommandDefinition(
            ClaimSql, new { name, types, most, giveUp = TimeSpan.FromHours(options.GiveUpHours) }, transaction, cancellationToken: ct))).AsList();
    }

    /// <summary>Writes down what became of what was claimed.</summary>
    public Task SettleAsync(NpgsqlTransaction transaction, IReadOnlyCollection<long> done, IReadOnlyCollection<FailedEvent> failed) =>
        transaction.Connection!.ExecuteAsync(new CommandDefinition(
            failed.Count is 0 ? DoneSql : DoneSql + FailedSql,
            new
            {
                name,
                done = done.ToArray(),
                numbers = failed.Select(one => one.Event.Number).ToArray(),
                ids = failed.Select(one => one.Event.Id).ToArray(),
                reasons = failed.Select(one => one.Reason).ToArray(),
                delays = failed.Select(one => one.Delay ?? TimeSpan.Zero).ToArray(),
                dead = failed.Select(one => one.Delay is null).ToArray(),
            },
            transaction));

    /// <returns>How long until an event is due of which no notification tells.</returns>
    public async Task<TimeSpan?> NextDueAsync(CancellationToken ct)
    {
        using var quiet = SuppressInstrumentationScope.Begin();
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<TimeSpan?>(new CommandDefinition(
            "select min(due_at) - now() from events.delivery where subscription = @name and status = 'due' and due_at > now()", new { name }, cancellationToken: ct));
    }

    /// <summary>Forgets events that everybody has had.</summary>
    /// <returns>How many were forgotten.</returns>
    public async Task<int> PruneAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition(
            """
            delete from events.event where number in (
                select e.number from events.event e
                where e.told_at < now() - @keep and not exists (select from events.delivery d where d.number = e.number)
                order by e.told_at limit 1000 for update skip locked)
            """,
            new { keep = TimeSpan.FromDays(options.KeepDays) }, cancellationToken: ct));
    }

    private const string ClaimSql =
        """
        select e.number as Number, e.id as Id, e.type as Type, e.subject as Subject, e.version as Version, e.occurred_at as OccurredAt, e.data::text as Data,
            e.traceparent as Traceparent, e.tracestate as Tracestate, d.failures as Failures, d.give_up_from < now() - @giveUp as IsOld
        from events.delivery d join events.event e on e.number = d.number
        where d.subscription = @name and d.status = 'due' and d.due_at <= now() and e.type = any(@types)
            and not exists (
                select from events.delivery earlier
                where earlier.subscription = d.subscription and earlier.subject = d.subject and earlier.status = 'due' and earlier.number < d.number)
        order by d.due_at, d.number
        limit @most
        for update of d skip locked
        """;

    private const string DoneSql = "delete from events.delivery where subscription = @name and number = any(@done);";

    private const string FailedSql =
        """

        update events.delivery d
        set failures = d.failures + 1, reason = f.reason, due_at = now() + f.delay, status = case when f.dead then 'dead' else 'due' end
        from unnest(@numbers, @reasons, @delays, @dead) as f(number, reason, delay, dead)
        where d.subscription = @name and d.number = f.number;

        insert into events.history (subscription, event_id, outcome, detail)
        select @name, f.id, 'dead', f.reason from unnest(@ids, @reasons, @dead) as f(id, reason, dead) where f.dead;
        """;
}

/// <param name="Delay">When it comes again; null makes it a dead letter.</param>
internal sealed record FailedEvent(DeliveredEvent Event, string Reason, TimeSpan? Delay);
