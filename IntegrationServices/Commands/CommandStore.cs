using System.Text.Json;
using Dapper;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;

namespace IntegrationServices.Commands;

/// <summary>
/// The tables of the schema <c>commands</c> as callers and workers see them. Times are the database's own, which all replicas share.
/// </summary>
internal sealed class CommandStore(NpgsqlDataSource database, IOptions<CommandsOptions> options)
{
    public const string Channel = "commands";

    private readonly CommandsOptions _options = options.Value;

    /// <summary>Writes a command down, once for a caller and key.</summary>
    /// <returns>Its id, and whether a command that was there already is another one.</returns>
    public async Task<(Guid Id, bool IsOther)> AcceptAsync(NewCommand command, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var trace = TraceContext.Current;
        var parameters = new
        {
            command.Id,
            command.Kind,
            command.Subject,
            command.CustomerId,
            command.Caller,
            command.Key,
            command.Fingerprint,
            command.Body,
            trace.Traceparent,
            trace.Tracestate,
        };
        await connection.ExecuteAsync(new CommandDefinition(
            "select pg_advisory_xact_lock(hashtextextended('commands:' || @Subject, 0))", parameters, transaction, cancellationToken: ct));
        if (await connection.ExecuteScalarAsync<Guid?>(new CommandDefinition(AcceptSql, parameters, transaction, cancellationToken: ct)) is { } accepted)
        {
            await transaction.CommitAsync(ct);
            return (accepted, false);
        }
        var (id, fingerprint) = await connection.QuerySingleAsync<(Guid, byte[])>(new CommandDefinition(
            "select id, fingerprint from commands.command where caller = @Caller and idempotency_key = @Key", parameters, transaction, cancellationToken: ct));
        return (id, !fingerprint.AsSpan().SequenceEqual(command.Fingerprint));
    }

    /// <returns>Null when there is none.</returns>
    public async Task<CommandStatus?> FindAsync(Guid id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var results = await connection.QueryMultipleAsync(new CommandDefinition(
            $"""
            select {CommandRow.Columns} from commands.command c where c.id = @id;
            select at as At, step as Step, outcome as Outcome, detail as Detail, who as Who from commands.history where command_id = @id order by number
            """,
            new { id }, cancellationToken: ct));
        var row = await results.ReadSingleOrDefaultAsync<CommandRow>();
        var history = (await results.ReadAsync<EntryRow>()).Select(entry => entry.ToEntry());
        return row?.ToStatus([.. history]);
    }

    /// <summary>Takes commands that are due, each the first of its subject that has not ended.</summary>
    public async Task<List<Command>> ClaimAsync(Guid worker, string[] kinds, int most, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<ClaimedRow>(new CommandDefinition(
            ClaimSql, new { worker, kinds, most, lease = _options.Lease, giveUp = TimeSpan.FromHours(_options.GiveUpHours) }, cancellationToken: ct));
        return [.. rows.Select(row => row.ToCommand())];
    }

    /// <param name="since">How long ago commands were claimed: what fell due meanwhile counts as well.</param>
    /// <returns>How long until a command may be due of which no notification tells; below zero when it is.</returns>
    public async Task<TimeSpan?> NextDueAsync(string[] kinds, TimeSpan since, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<TimeSpan?>(new CommandDefinition(
            """
            select least(
                (select min(due_at) from commands.command where status in ('accepted', 'running') and due_at > now() - @since and kind = any(@kinds)),
                (select min(leased_until) from commands.command where status = 'running' and lease is not null and kind = any(@kinds))) - now()
            """,
            new { kinds, since }, cancellationToken: ct));
    }

    /// <summary>Writes down what became of a step, together with the event that tells of it.</summary>
    /// <returns>False when another worker has taken the command over: nothing was written.</returns>
    public async Task<bool> SaveAsync(Guid worker, Command command, Progress progress, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var parameters = new
        {
            command.Id,
            command.Subject,
            command.Step,
            command.State,
            command.Failures,
            worker,
            undoTo = command.UndoTo is { } undo ? CommandRow.Text(undo) : null,
            status = CommandRow.Text(progress.Status),
            problem = progress.Problem is null ? null : JsonSerializer.Serialize(progress.Problem, Command.Json),
            delay = progress.Delay ?? TimeSpan.Zero,
            goesOn = progress is { Status: CommandStatusCode.Running, Delay: null },
            ended = progress.Status is not CommandStatusCode.Running,
            lease = _options.Lease,
            entryStep = progress.Step,
            progress.Outcome,
            progress.Detail,
            eventType = progress.Event?.Type,
            eventSubject = progress.Event?.Subject,
            eventVersion = progress.Event?.Version,
            eventData = progress.Event?.Data,
            TraceContext.Current.Traceparent,
            TraceContext.Current.Tracestate,
        };
        return await connection.ExecuteAsync(new CommandDefinition(SaveSql, parameters, cancellationToken: ct)) > 0;
    }

    public async Task RenewAsync(Guid worker, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "update commands.command set leased_until = now() + @lease where status = 'running' and lease = @worker",
            new { worker, lease = _options.Lease }, cancellationToken: ct));
    }

    /// <summary>Gives back what a worker that stops has not ended.</summary>
    public async Task ReleaseAsync(Guid worker, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            $"""
            update commands.command set lease = null, leased_until = null where status = 'running' and lease = @worker;
            select pg_notify('{Channel}', '')
            """,
            new { worker }, cancellationToken: ct));
    }

    /// <returns>How many were forgotten.</returns>
    public async Task<int> PruneAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition(
            """
            delete from commands.command where id in (
                select id from commands.command where status in ('done', 'refused', 'discarded') and ended_at < now() - @keep limit 1000 for update skip locked)
            """,
            new { keep = TimeSpan.FromDays(_options.KeepDays) }, cancellationToken: ct));
    }

    private const string AcceptSql =
        $"""
        with accepted as (
            insert into commands.command (id, kind, subject, customer_id, caller, idempotency_key, fingerprint, body, traceparent, tracestate)
            values (@Id, @Kind, @Subject, @CustomerId, @Caller, @Key, @Fingerprint, @Body::jsonb, @Traceparent, @Tracestate)
            on conflict (caller, idempotency_key) do nothing
            returning id),
        noted as (insert into commands.history (command_id, outcome) select id, 'accepted' from accepted returning pg_notify('{Channel}', ''))
        select id from accepted
        """;

    private const string ClaimSql =
        """
        update commands.command c
        set status = 'running', lease = @worker, leased_until = now() + @lease
        where c.id in (
            select q.id from commands.command q
            where q.status in ('accepted', 'running') and q.due_at <= now() and (q.lease is null or q.leased_until < now()) and q.kind = any(@kinds)
                and not exists (
                    select from commands.command earlier
                    where earlier.subject = q.subject and earlier.number < q.number and earlier.status in ('accepted', 'running'))
            order by q.due_at, q.number
            limit @most
            for update skip locked)
        returning c.id, c.kind, c.subject, c.customer_id as CustomerId, c.body::text as Body, c.step, c.undo_to as UndoTo, c.state::text as State, c.failures,
            c.give_up_from < now() - @giveUp as IsOld, c.traceparent, c.tracestate
        """;

    private const string SaveSql =
        $"""
        with saved as (
            update commands.command
            set status = @status, step = @Step, undo_to = @undoTo, state = @State::jsonb, failures = @Failures, problem = coalesce(@problem::jsonb, problem),
                due_at = now() + @delay,
                lease = case when @goesOn then lease end,
                leased_until = case when @goesOn then now() + @lease end,
                ended_at = case when @ended then now() end
            where id = @Id and lease = @worker
            returning id),
        told as materialized (
            select {Outbox.Function}(@eventType, @eventSubject, @eventVersion, now(), @eventData::jsonb, @Traceparent, @Tracestate) as event_id
            from saved where @eventType::text is not null)
        insert into commands.history (command_id, step, outcome, detail)
        select saved.id, @entryStep, @Outcome, @Detail from saved left join told on true where told.event_id is null or told.event_id is not null;

        select pg_notify('{Channel}', '')
        where @ended and exists (select from commands.command where subject = @Subject and id <> @Id and status in ('accepted', 'running'))
        """;

    private sealed class ClaimedRow
    {
        public Guid Id { get; init; }

        public required string Kind { get; init; }

        public required string Subject { get; init; }

        public required string CustomerId { get; init; }

        public required string Body { get; init; }

        public int Step { get; init; }

        public string? UndoTo { get; init; }

        public required string State { get; init; }

        public int Failures { get; init; }

        public bool IsOld { get; init; }

        public string? Traceparent { get; init; }

        public string? Tracestate { get; init; }

        public Command ToCommand() => new(
            Id, Kind, Subject, CustomerId, Body, Step, UndoTo is null ? null : CommandRow.Code(UndoTo), State, Failures, IsOld, Traceparent, Tracestate);
    }
}

/// <param name="Caller">Who chose the key.</param>
/// <param name="Fingerprint">Of all that the caller asked for.</param>
internal sealed record NewCommand(
    Guid Id, string Kind, string Subject, string CustomerId, string Caller, string Key, byte[] Fingerprint, string Body);

/// <summary>What became of a step.</summary>
/// <param name="Delay">When the command goes on later; null for at once, or not at all.</param>
internal sealed record Progress(
    CommandStatusCode Status, string? Step, string Outcome, string? Detail = null, CommandProblem? Problem = null, TimeSpan? Delay = null, NewEvent? Event = null);
