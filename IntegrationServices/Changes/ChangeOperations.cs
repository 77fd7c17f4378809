using Dapper;
using IntegrationServices.Connectors;
using Npgsql;

namespace IntegrationServices.Changes;

/// <summary>What operators see of changes and events, and do with what failed.</summary>
internal sealed class ChangeOperations(NpgsqlDataSource database, Sources sources, IServiceProvider services)
{
    public async Task<ChangesOverview> OverviewAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var results = await connection.QueryMultipleAsync(new CommandDefinition(OverviewSql, new { systems = BackendChange.Types.Keys.ToArray() }, cancellationToken: ct));
        return new(
            [.. (await results.ReadAsync<SystemChanges>()).Select(system => system with { Sources = sources.Of(system.System) })],
            (await results.ReadAsync<SubscriptionState>()).AsList());
    }

    /// <param name="after">The last one that the caller has seen; null for the oldest.</param>
    /// <returns>The oldest first.</returns>
    public async Task<List<SetAside>> ListSetAsideAsync(string status, string? system, Guid? after, int limit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await connection.QueryAsync<SetAside>(new CommandDefinition(
            $"""
            select {SetAsideColumns} from changes.set_aside
            where status = @status and (@system::text is null or system = @system) and (@after::uuid is null or id > @after)
            order by id limit @limit
            """,
            new { status, system, after, limit }, cancellationToken: ct))).AsList();
    }

    /// <summary>Reads it again.</summary>
    /// <returns>As it is now, null when there is none; and why it still cannot be understood.</returns>
    public async Task<(SetAside? Now, string? StillWrong)> ReplayAsync(Guid id, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (await LockAsync(transaction, id, ct) is not { Status: "open" } open)
        {
            return (await FindAsync(connection, transaction, id, ct), null);
        }
        if (open.Source is "file")
        {
            if (services.GetService<DropFolder>()?.Return(open.Reference) is not true)
            {
                return (open, "The file is not in the folder .failed of this process's drop folder. Drop it anew and discard this.");
            }
        }
        else if (Report.Of(open.System, open.Source, open.Reference, open.Content) is { Event: null } report)
        {
            return (open, report.Reason);
        }
        else
        {
            await ChangeStore.TakeAsync(transaction, [Report.Of(open.System, open.Source, open.Reference, open.Content)], ct);
        }
        await EndAsync(transaction, id, "replayed", who, ct);
        var now = await FindAsync(connection, transaction, id, ct);
        await transaction.CommitAsync(ct);
        return (now, null);
    }

    /// <returns>As it is now, null when there is none.</returns>
    public async Task<SetAside?> DiscardAsync(Guid id, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (await LockAsync(transaction, id, ct) is { Status: "open" })
        {
            await EndAsync(transaction, id, "discarded", who, ct);
        }
        var now = await FindAsync(connection, transaction, id, ct);
        await transaction.CommitAsync(ct);
        return now;
    }

    private static Task<SetAside?> LockAsync(NpgsqlTransaction transaction, Guid id, CancellationToken ct) =>
        transaction.Connection!.QuerySingleOrDefaultAsync<SetAside>(new CommandDefinition(
            $"select {SetAsideColumns} from changes.set_aside where id = @id for update", new { id }, transaction, cancellationToken: ct));

    private static Task<SetAside?> FindAsync(NpgsqlConnection connection, NpgsqlTransaction transaction, Guid id, CancellationToken ct) =>
        connection.QuerySingleOrDefaultAsync<SetAside>(new CommandDefinition(
            $"select {SetAsideColumns} from changes.set_aside where id = @id", new { id }, transaction, cancellationToken: ct));

    private static Task<int> EndAsync(NpgsqlTransaction transaction, Guid id, string status, string who, CancellationToken ct) =>
        transaction.Connection!.ExecuteAsync(new CommandDefinition(
            "update changes.set_aside set status = @status, ended_at = now(), who = @who where id = @id", new { id, status, who }, transaction, cancellationToken: ct));

    private const string SetAsideColumns =
        """
        id as Id, system as System, source as Source, reference as Reference, reason as Reason, content as Content, received_at as ReceivedAt, status as Status,
        ended_at as EndedAt, who as Who
        """;

    private const string OverviewSql =
        """
        select s.system as System,
            (select max(w.received_at) from changes.webhook w where w.system = s.system) as LastWebhookAt,
            (select max(q.received_at) from changes.message q where q.system = s.system) as LastMessageAt,
            m.at as PolledAt,
            (select count(*) from changes.set_aside a where a.system = s.system and a.status = 'open') as SetAside
        from unnest(@systems) as s(system) left join changes.mark m on m.system = s.system
        order by s.system;

        select s.name as Name, s.types as Types,
            count(*) filter (where d.status = 'due') as Due,
            count(*) filter (where d.status = 'due' and d.failures > 0) as Failing,
            count(*) filter (where d.status = 'dead') as Dead,
            min(e.told_at) filter (where d.status = 'due') as OldestDueAt
        from events.subscription s
        left join events.delivery d on d.subscription = s.name
        left join events.event e on e.number = d.number
        group by s.name
        order by s.name
        """;
}

internal sealed record ChangesOverview(IReadOnlyList<SystemChanges> Systems, IReadOnlyList<SubscriptionState> Subscriptions);

/// <param name="LastMessageAt">When its queue last had a message with an id; null for a system without one.</param>
/// <param name="PolledAt">When it last told something new on being asked; null for a system that cannot be asked.</param>
/// <param name="SetAside">What could not be understood and nobody has ended yet.</param>
internal sealed record SystemChanges(string System, DateTime? LastWebhookAt, DateTime? LastMessageAt, DateTime? PolledAt, long SetAside)
{
    /// <summary>The ways on which it tells of changes, those that are set up.</summary>
    public IReadOnlyList<SourceState> Sources { get; init; } = [];
}

internal sealed class SubscriptionState
{
    public required string Name { get; init; }

    public required string[] Types { get; init; }

    /// <summary>Events that it has not had yet.</summary>
    public long Due { get; init; }

    /// <summary>Those of them that it was given and failed.</summary>
    public long Failing { get; init; }

    public long Dead { get; init; }

    /// <summary>When the oldest of those that are due was told.</summary>
    public DateTime? OldestDueAt { get; init; }
}

/// <param name="Source">webhook, message, poll, line or file.</param>
/// <param name="Reference">The message, record, line or file.</param>
/// <param name="Status">open, replayed or discarded.</param>
/// <param name="Who">The operator who ended it.</param>
internal sealed record SetAside(
    Guid Id, string System, string Source, string Reference, string Reason, string Content, DateTime ReceivedAt, string Status, DateTime? EndedAt, string? Who);
