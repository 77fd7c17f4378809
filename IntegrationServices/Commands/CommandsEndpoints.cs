using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Commands;

/// <summary>The operators' routes.</summary>
public static class CommandsEndpoints
{
    private const int MostCommands = 100;

    public static void MapCommands(this IEndpointRouteBuilder app)
    {
        var commands = app.MapGroup("/commands").WithTags("Commands");
        commands.MapGet("", ListAsync).WithSummary("Commands by status (dead unless asked for), newest first; filters: status, kind");
        commands.MapGet("/{id:guid}", GetAsync).WithSummary("One command with what was sent, its history and its trace").ProducesProblem(404);
        commands.MapPost("/{id:guid}/replay", ReplayAsync).WithSummary("A dead letter goes on with the step that failed; idempotent, audited").ProducesProblem(404).ProducesProblem(409);
        commands.MapPost("/{id:guid}/discard", DiscardAsync).WithSummary("A dead letter is given up and what it did is undone; idempotent, audited").ProducesProblem(404).ProducesProblem(409);
    }

    private static async Task<Results<Tagged<CommandPage>, ValidationProblem>> ListAsync(
        string? status, string? kind, Guid? cursor, int? limit, CommandOperations operations, CancellationToken ct)
    {
        if (limit is < 1 or > MostCommands)
        {
            return Invalid.Field("limit", $"Must be from 1 to {MostCommands}.");
        }
        if (!Text.IsName<CommandStatusCode>(status ?? nameof(CommandStatusCode.Dead), out var wanted))
        {
            return Invalid.Field("status", "Must be one of accepted, running, done, refused, dead, discarded.");
        }
        if (kind is not null && !Text.IsPlain(kind, 100))
        {
            return Invalid.Field("kind", "Must be a kind of command such as place-order.");
        }
        var most = limit ?? 50;
        var page = await operations.ListAsync(wanted, kind, cursor, most, ct);
        return Tagged.Ok(new CommandPage(page, page.Count == most ? page[^1].Command.Id : null));
    }

    private static async Task<Results<Tagged<OperatorCommand>, ProblemHttpResult>> GetAsync(Guid id, CommandOperations operations, CancellationToken ct) =>
        await operations.FindAsync(id, ct) is { } command ? Tagged.Ok(command) : Unknown(id);

    private static async Task<Results<Ok<OperatorCommand>, ProblemHttpResult>> ReplayAsync(
        Guid id, ClaimsPrincipal caller, CommandOperations operations, CancellationToken ct)
    {
        await operations.ReplayAsync(id, Who(caller), ct);
        return await operations.FindAsync(id, ct) switch
        {
            null => Unknown(id),
            { Command.Status: CommandStatusCode.Refused or CommandStatusCode.Discarded } ended => Ended(ended, "replayed"),
            var replayed => TypedResults.Ok(replayed),
        };
    }

    private static async Task<Results<Ok<OperatorCommand>, ProblemHttpResult>> DiscardAsync(
        Guid id, ClaimsPrincipal caller, CommandOperations operations, CancellationToken ct)
    {
        await operations.DiscardAsync(id, Who(caller), ct);
        return await operations.FindAsync(id, ct) switch
        {
            null => Unknown(id),
            { Command.History: var history } discarded when history.Any(entry => entry.Outcome is "discarded") => TypedResults.Ok(discarded),
            var other => Ended(other, "discarded"),
        };
    }

    /// <summary>A client that calls for itself is named by its own name.</summary>
    private static string Who(ClaimsPrincipal caller) => caller.FindFirstValue("sub") ?? caller.FindFirstValue("client_id") ?? "unknown";

    private static ProblemHttpResult Unknown(Guid id) =>
        TypedResults.Problem($"There is no command {id}.", statusCode: StatusCodes.Status404NotFound);

    private static ProblemHttpResult Ended(OperatorCommand command, string what) => TypedResults.Problem(
        $"The command {command.Command.Id} is {CommandRow.Text(command.Command.Status)}. Only dead ones are {what}.", statusCode: StatusCodes.Status409Conflict);
}

/// <param name="Next">The cursor of the next page; null on the last.</param>
internal sealed record CommandPage(IReadOnlyList<OperatorCommand> Items, Guid? Next);
