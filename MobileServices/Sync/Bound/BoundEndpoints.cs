using System.Text.Json;
using Dapper;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace MobileServices.Sync.Bound;

/// <summary>The operators' routes: what does not get on between bound databases and the back office, and why.</summary>
internal static class BoundEndpoints
{
    public static void MapBound(this RouteGroupBuilder sync)
    {
        var bound = sync.MapGroup("/_bound").RequireScope(Scopes.IntegrationAdmin);
        bound.MapGet("", ListAsync).WithSummary("Changes of bound databases by state (failing unless asked for), newest first, and reads that fail").Produces<BoundPage>().Produces<SyncRefusal>(400);
        bound.MapPost("/{id:long}/replay", ReplayAsync).WithSummary("A change that was refused, or waits, is tried anew at once").Produces<BoundRow>()
            .Produces<SyncRefusal>(404).Produces<SyncRefusal>(409);
    }

    private static async Task<IResult> ListAsync(HttpContext http, BoundOperations operations)
    {
        var call = SyncCall.OfServer(http);
        var state = call.Query.Text("state") ?? "failing";
        if (state is not ("failing" or "waiting" or "sent" or "done" or "refused"))
        {
            throw SyncException.Query("state must be one of failing, waiting, sent, done, refused.");
        }
        var limit = call.Query.Number("limit") ?? 50;
        if (limit is < 1 or > 100)
        {
            throw SyncException.Query("limit must be from 1 to 100.");
        }
        return TypedResults.Json(await operations.ListAsync(state, call.Query.Number("cursor"), (int)limit, call.Aborted), JsonSerializerOptions.Web);
    }

    private static async Task<IResult> ReplayAsync(long id, BoundOperations operations, CancellationToken ct) => await operations.ReplayAsync(id, ct) switch
    {
        null => throw new SyncException(404, "not_found", $"There is no change {id}."),
        { State: "done" } => throw new SyncException(409, "conflict", $"The change {id} is done."),
        var row => TypedResults.Json(row, JsonSerializerOptions.Web),
    };
}

/// <param name="Next">The cursor of the next page; null on the last.</param>
internal sealed record BoundPage(IReadOnlyList<BoundRow> Changes, IReadOnlyList<BoundReadRow> Reads, long? Next);

/// <param name="State">waiting, sent (integration has it), done, refused.</param>
/// <param name="Command">At integration: <c>GET /commands/{id}</c>.</param>
/// <param name="Reason">Why it was refused or does not get on.</param>
internal sealed record BoundRow(
    long Id, string App, string User, string Database, string Customer, string Document, string Rev, string State, Guid? Command, int Attempts, string? Reason,
    DateTime CreatedAt, DateTime DueAt, DateTime? EndedAt);

/// <param name="Order">Null for the list of all.</param>
internal sealed record BoundReadRow(string App, string User, string Database, string Customer, string? Order, int Failures, string Reason, DateTime DueAt);

internal sealed class BoundOperations(NpgsqlDataSource source, BoundBell bell)
{
    private const string Rows =
        """
        select c.id as Id, d.app as App, d.owner as User, d.name as Database, b.customer_id as Customer, c.doc_id as Document, c.rev as Rev, c.state as State, c.command_id as Command,
            c.attempts as Attempts, c.reason as Reason, c.created_at as CreatedAt, c.due_at as DueAt, c.ended_at as EndedAt
        from sync.bound_change c join sync.bound b on b.db_id = c.db_id join sync.database d on d.id = c.db_id
        """;

    public async Task<BoundPage> ListAsync(string state, long? cursor, int most, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        var changes = (await connection.QueryAsync<BoundRow>(new CommandDefinition(
            $"""
            {Rows} where (c.state = @state or (@state = 'failing' and c.state in ('waiting', 'sent') and c.reason is not null)) and (@cursor::bigint is null or c.id < @cursor)
            order by c.id desc limit @most
            """, new { state, cursor, most }, cancellationToken: ct))).AsList();
        var reads = (await connection.QueryAsync<BoundReadRow>(new CommandDefinition(
            """
            select d.app as App, d.owner as User, d.name as Database, b.customer_id as Customer, nullif(r.order_id, '') as Order, r.failures as Failures, r.reason as Reason, r.due_at as DueAt
            from sync.bound_read r join sync.bound b on b.db_id = r.db_id join sync.database d on d.id = r.db_id
            where r.reason is not null order by r.failures desc, r.db_id, r.order_id limit @most
            """, new { most }, cancellationToken: ct))).AsList();
        return new(changes, reads, changes.Count == most ? changes[^1].Id : null);
    }

    /// <returns>Null when there is none.</returns>
    public async Task<BoundRow?> ReplayAsync(long id, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        // One that was refused is another command; one that waits stays the same, which may have been taken already.
        await connection.ExecuteAsync(new CommandDefinition(
            """
            update sync.bound_change set due_at = now(), failures = 0, replays = replays + case when state = 'refused' then 1 else 0 end,
                command_id = case when state = 'refused' then null else command_id end, state = case when state = 'refused' then 'waiting' else state end, ended_at = null
            where id = @id and state <> 'done'
            """, new { id }, cancellationToken: ct));
        bell.Ring();
        return await connection.QuerySingleOrDefaultAsync<BoundRow>(new CommandDefinition($"{Rows} where c.id = @id", new { id }, cancellationToken: ct));
    }
}
