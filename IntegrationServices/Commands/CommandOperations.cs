using Dapper;
using MobileIntegration.Contracts;
using Npgsql;

namespace IntegrationServices.Commands;

/// <summary>What operators see and do; who did what when is in the command's history.</summary>
internal sealed class CommandOperations(NpgsqlDataSource database)
{
    /// <param name="before">The last one that the caller has seen; null for the newest.</param>
    /// <returns>The newest first.</returns>
    public async Task<List<OperatorCommand>> ListAsync(CommandStatusCode status, string? kind, Guid? before, int limit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = (await connection.QueryAsync<CommandRow>(new CommandDefinition(
            $"""
            select {CommandRow.Columns} from commands.command c
            where c.status = @status and (@kind::text is null or c.kind = @kind) and (@before::uuid is null or c.id < @before)
            order by c.id desc limit @limit
            """,
            new { status = CommandRow.Text(status), kind, before, limit }, cancellationToken: ct))).AsList();
        var history = (await connection.QueryAsync<EntryRow>(new CommandDefinition(
            $"select {Entries} from commands.history h where h.command_id = any(@ids) order by h.number",
            new { ids = rows.Select(row => row.Id).ToArray() }, cancellationToken: ct))).ToLookup(entry => entry.CommandId, entry => entry.ToEntry());
        return rows.ConvertAll(row => row.ToOperatorCommand([.. history[row.Id]]));
    }

    /// <returns>Null when there is none.</returns>
    public async Task<OperatorCommand?> FindAsync(Guid id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var results = await connection.QueryMultipleAsync(new CommandDefinition(
            $"""
            select {CommandRow.Columns} from commands.command c where c.id = @id;
            select {Entries} from commands.history h where h.command_id = @id order by h.number
            """,
            new { id }, cancellationToken: ct));
        var row = await results.ReadSingleOrDefaultAsync<CommandRow>();
        var history = (await results.ReadAsync<EntryRow>()).Select(entry => entry.ToEntry());
        return row?.ToOperatorCommand([.. history]);
    }

    /// <summary>A dead letter goes on with the step that failed, as if it had just been accepted. Others stay as they are.</summary>
    public Task ReplayAsync(Guid id, string who, CancellationToken ct) => ReviveAsync(id, "replayed", who, ct);

    /// <summary>A dead letter is given up: what its steps did is undone, the one that failed included, then it ends. Others stay as they are.</summary>
    public Task DiscardAsync(Guid id, string who, CancellationToken ct) => ReviveAsync(id, "discarded", who, ct);

    private async Task ReviveAsync(Guid id, string outcome, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(ReviveSql, new { id, outcome, who }, cancellationToken: ct));
    }

    private const string Entries = "h.command_id as CommandId, h.at as At, h.step as Step, h.outcome as Outcome, h.detail as Detail, h.who as Who";

    /// <summary>Of operators who do it at the same time, one finds it dead.</summary>
    private const string ReviveSql =
        $"""
        with revived as (
            update commands.command
            set status = 'running', undo_to = case when @outcome = 'discarded' then coalesce(undo_to, 'discarded') else undo_to end,
                problem = case when @outcome = 'replayed' and undo_to is null then null else problem end,
                failures = 0, due_at = now(), give_up_from = now(), ended_at = null
            where id = @id and status = 'dead'
            returning id)
        insert into commands.history (command_id, outcome, who) select id, @outcome, @who from revived returning pg_notify('{CommandStore.Channel}', '')
        """;
}
