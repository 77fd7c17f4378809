using System.Text.Json;
using Dapper;
using Npgsql;

namespace IntegrationServices.Changes;

/// <summary>Events that a subscriber could not take, of all subscribers of this database's events.</summary>
internal sealed class DeadLetters(NpgsqlDataSource database)
{
    /// <param name="after">The number of the last one that the caller has seen; null for the oldest.</param>
    /// <returns>The oldest first.</returns>
    public async Task<List<DeadLetter>> ListAsync(string? subscription, long? after, int limit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<Row>(new CommandDefinition(
            $"""
            select {Columns} from events.delivery d join events.event e on e.number = d.number
            where d.status = 'dead' and (@subscription::text is null or d.subscription = @subscription) and (@after::bigint is null or d.number > @after)
            order by d.number limit @limit
            """,
            new { subscription, after, limit }, cancellationToken: ct));
        return [.. rows.Select(row => row.ToDeadLetter())];
    }

    /// <summary>The event goes to its subscriber again, as if it had just been told. Others stay as they are.</summary>
    /// <returns>False when it is no dead letter.</returns>
    public Task<bool> ReplayAsync(string subscription, Guid eventId, string who, CancellationToken ct) =>
        EndAsync("update events.delivery d set status = 'due', failures = 0, due_at = now(), give_up_from = now()", "replayed", subscription, eventId, who, ct);

    /// <summary>The subscriber never has it.</summary>
    /// <returns>False when it is no dead letter.</returns>
    public Task<bool> DiscardAsync(string subscription, Guid eventId, string who, CancellationToken ct) =>
        EndAsync("delete from events.delivery d", "discarded", subscription, eventId, who, ct);

    /// <returns>Whether an operator has done that already.</returns>
    public async Task<bool> WasAsync(string outcome, string subscription, Guid eventId, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<bool>(new CommandDefinition(
            """
            select coalesce((select outcome = @outcome from events.history where event_id = @eventId and subscription = @subscription order by id desc limit 1), false)
            """,
            new { outcome, subscription, eventId }, cancellationToken: ct));
    }

    /// <summary>Ends a subscription whose subscriber is no more, with all that it has not had.</summary>
    public async Task<bool> UnsubscribeAsync(string name, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition("delete from events.subscription where name = @name", new { name }, cancellationToken: ct)) > 0;
    }

    private async Task<bool> EndAsync(string change, string outcome, string subscription, Guid eventId, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var isUpdate = change.StartsWith("update", StringComparison.Ordinal);
        return await connection.ExecuteAsync(new CommandDefinition(
            $"""
            with ended as (
                {change} {(isUpdate ? "from" : "using")} events.event e
                where d.number = e.number and e.id = @eventId and d.subscription = @subscription and d.status = 'dead'
                returning e.id, e.type || ' ' || e.subject as told)
            insert into events.history (subscription, event_id, outcome, who)
            select @subscription, ended.id, @outcome, @who from ended returning pg_notify('events', (select told from ended))
            """,
            new { subscription, eventId, outcome, who }, cancellationToken: ct)) > 0;
    }

    private const string Columns =
        """
        d.number as Number, d.subscription as Subscription, e.id as Id, e.type as Type, e.subject as Subject, e.version as Version, e.occurred_at as OccurredAt,
        e.told_at as ToldAt, e.data::text as Data, d.reason as Reason, d.failures as Failures
        """;

    private sealed record Row(
        long Number, string Subscription, Guid Id, string Type, string Subject, long Version, DateTime OccurredAt, DateTime ToldAt, string Data, string? Reason, int Failures)
    {
        public DeadLetter ToDeadLetter() =>
            new(Number, Subscription, Id, Type, Subject, Version, OccurredAt, ToldAt, JsonElement.Parse(Data), Reason ?? "", Failures);
    }
}

/// <param name="Number">Its place among the events, for the cursor.</param>
/// <param name="Failures">How often the subscriber was given it.</param>
internal sealed record DeadLetter(
    long Number, string Subscription, Guid Id, string Type, string Subject, long Version, DateTime OccurredAt, DateTime ToldAt, JsonElement Data, string Reason, int Failures);
