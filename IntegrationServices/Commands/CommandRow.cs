using System.Diagnostics;
using System.Text.Json;
using MobileIntegration.Contracts;

namespace IntegrationServices.Commands;

/// <summary>A command as it is shown.</summary>
internal sealed class CommandRow
{
    public const string Columns =
        """
        c.id as Id, c.kind as Kind, c.status as Status, c.subject as Subject, c.customer_id as CustomerId, c.state -> 'order' ->> 'id' as OrderId,
        c.problem::text as Problem, c.body::text as Body, c.traceparent as Traceparent, c.accepted_at as AcceptedAt, c.ended_at as EndedAt
        """;

    public Guid Id { get; init; }

    public required string Kind { get; init; }

    public required string Status { get; init; }

    public required string Subject { get; init; }

    public required string CustomerId { get; init; }

    public string? OrderId { get; init; }

    public string? Problem { get; init; }

    public required string Body { get; init; }

    public string? Traceparent { get; init; }

    public DateTime AcceptedAt { get; init; }

    public DateTime? EndedAt { get; init; }

    public static CommandStatusCode Code(string text) => Enum.Parse<CommandStatusCode>(text, ignoreCase: true);

    public static string Text(CommandStatusCode code) => code.ToString().ToLowerInvariant();

    public CommandStatus ToStatus(IReadOnlyList<CommandEntry> history) => new(
        Id, Kind, Code(Status), CustomerId, OrderId, Problem is null ? null : JsonSerializer.Deserialize<CommandProblem>(Problem, Command.Json),
        AcceptedAt, EndedAt, history);

    public OperatorCommand ToOperatorCommand(IReadOnlyList<CommandEntry> history) => new(
        ToStatus(history), Subject, JsonElement.Parse(Body), ActivityContext.TryParse(Traceparent, null, out var trace) ? trace.TraceId.ToString() : null);
}

internal sealed class EntryRow
{
    public Guid CommandId { get; init; }

    public DateTime At { get; init; }

    public string? Step { get; init; }

    public required string Outcome { get; init; }

    public string? Detail { get; init; }

    public string? Who { get; init; }

    public CommandEntry ToEntry() => new(At, Step, Outcome, Detail, Who);
}
