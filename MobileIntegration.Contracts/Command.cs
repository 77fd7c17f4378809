using System.Text.Json;

namespace MobileIntegration.Contracts;

/// <summary>What became of a write that was accepted; its address is the Location of the 202.</summary>
/// <param name="Kind">Such as <c>place-order</c>.</param>
/// <param name="OrderId">The order's number, as soon as it has one.</param>
/// <param name="Problem">Why it was refused or is dead; null otherwise.</param>
/// <param name="EndedAt">UTC; null until it is done, refused, dead or discarded.</param>
/// <param name="History">Everything that happened to it, oldest first.</param>
public sealed record CommandStatus(
    Guid Id,
    string Kind,
    CommandStatusCode Status,
    string CustomerId,
    string? OrderId,
    CommandProblem? Problem,
    DateTimeOffset AcceptedAt,
    DateTimeOffset? EndedAt,
    IReadOnlyList<CommandEntry> History);

public enum CommandStatusCode
{
    /// <summary>Written down; nothing was done yet.</summary>
    Accepted,

    /// <summary>Under way, or waiting for a backend system to come back.</summary>
    Running,

    /// <summary>It had its effect.</summary>
    Done,

    /// <summary>A backend system said no; what was done before that is undone.</summary>
    Refused,

    /// <summary>It cannot go on until an operator has mended something.</summary>
    Dead,

    /// <summary>An operator gave it up; what was done before that is undone.</summary>
    Discarded,
}

/// <param name="Code">For programs, such as <c>out-of-stock</c>.</param>
/// <param name="Detail">For people.</param>
public sealed record CommandProblem(string Code, string Detail);

/// <summary>A line of a command's history.</summary>
/// <param name="Step">The step of the command it is about; null when about the whole of it.</param>
/// <param name="Outcome">accepted, done, failed, refused, undone, dead, replayed, discarded.</param>
/// <param name="Who">The operator; null for the system's own doing.</param>
public sealed record CommandEntry(DateTimeOffset At, string? Step, string Outcome, string? Detail, string? Who);

/// <summary>A command as operators see it.</summary>
/// <param name="Body">What its caller sent.</param>
/// <param name="TraceId">Where its telemetry is; null when it was not traced.</param>
public sealed record OperatorCommand(CommandStatus Command, string Subject, JsonElement Body, string? TraceId);
