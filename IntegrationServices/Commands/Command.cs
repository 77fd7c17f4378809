using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;

namespace IntegrationServices.Commands;

/// <summary>A write that was promised to its caller, as a worker has it in hand.</summary>
/// <param name="Subject">What it is about; commands of one subject are worked on one after the other.</param>
/// <param name="Step">The number of the step that comes next.</param>
/// <param name="UndoTo">What it ends as once its steps are undone; null while it goes forward.</param>
/// <param name="Failures">How often the step failed.</param>
/// <param name="IsOld">It has been tried for as long as is worth it.</param>
internal sealed record Command(
    Guid Id, string Kind, string Subject, string CustomerId, string Body, int Step, CommandStatusCode? UndoTo, string State, int Failures, bool IsOld,
    string? Traceparent, string? Tracestate)
{
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>What its caller sent.</summary>
    /// <exception cref="JsonException">It is not what this version of the service writes.</exception>
    public T Read<T>() where T : class => JsonSerializer.Deserialize<T>(Body, Json) ?? throw new JsonException("The body is null.");

    /// <summary>What an earlier step found out; null when it did not run.</summary>
    public T? Found<T>(string name) where T : class => (T?)JsonNode.Parse(State)![name]?.Deserialize(typeof(T), Json);

    public Command With(string name, object found)
    {
        var state = JsonNode.Parse(State)!.AsObject();
        state[name] = JsonSerializer.SerializeToNode(found, Json);
        return this with { State = state.ToJsonString() };
    }
}

/// <summary>A kind of command: the steps of its saga, in order.</summary>
internal sealed record CommandKind(string Name, params IReadOnlyList<CommandStep> Steps);

/// <summary>
/// One effect on one backend system. It may run more than once, also at the same time as a former attempt whose worker was thought dead,
/// and must have its effect once all the same.
/// </summary>
/// <param name="RunAsync">Throws BackendException when the system gave no usable answer.</param>
/// <param name="UndoAsync">Takes the effect back, if there is any: it may not have come to it. Null when there is nothing to take back.</param>
internal sealed record CommandStep(
    string Name, Func<Command, CancellationToken, Task<StepOutcome>> RunAsync, Func<Command, CancellationToken, Task>? UndoAsync = null);

internal abstract record StepOutcome
{
    /// <param name="Name">Of what was found out, for the steps after it.</param>
    /// <param name="Event">What other services are told, when this was the last step.</param>
    public sealed record Done(string? Name = null, object? Found = null, NewEvent? Event = null) : StepOutcome;

    /// <summary>The system said no and will say so again.</summary>
    /// <param name="Code">For programs, such as <c>out-of-stock</c>.</param>
    /// <param name="Detail">For people.</param>
    public sealed record Refused(string Code, string Detail) : StepOutcome;
}
