using System.Diagnostics;
using System.Diagnostics.Metrics;
using IntegrationServices.Connectors;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Commands;

/// <summary>
/// Drives one command: step after step, each written down before the next begins; when a step is refused, back over the steps before it.
/// </summary>
internal sealed class CommandSaga
{
    private static readonly ActivitySource Source = new("mobile.commands");

    private readonly CommandStore _store;
    private readonly CommandsOptions _options;
    private readonly ILogger<CommandSaga> _logger;
    private readonly Dictionary<string, CommandKind> _kinds;
    private readonly Counter<long> _steps;

    public CommandSaga(
        CommandStore store, IEnumerable<CommandKind> kinds, IOptions<CommandsOptions> options, IMeterFactory meters, ILogger<CommandSaga> logger)
    {
        _store = store;
        _options = options.Value;
        _logger = logger;
        _kinds = kinds.ToDictionary(kind => kind.Name, StringComparer.Ordinal);
        Kinds = [.. _kinds.Keys];
        _steps = meters.Create("mobile.commands").CreateCounter<long>("mobile.commands.steps", "{step}", "Steps of commands, by kind, step and outcome");
    }

    /// <summary>Under this name the process holds commands.</summary>
    public Guid Worker { get; } = Guid.CreateVersion7();

    /// <summary>Those that this process can work on.</summary>
    public string[] Kinds { get; }

    public async Task ProcessAsync(Command command, CancellationToken ct)
    {
        using var activity = new TraceContext(command.Traceparent, command.Tracestate).StartConsumer(Source, "process commands");
        activity?.SetTag("mobile.command.id", command.Id);
        activity?.SetTag("mobile.command.kind", command.Kind);
        for (var next = command; next is not null;)
        {
            next = await StepAsync(next, ct);
        }
    }

    /// <returns>Null when there is nothing more to do now.</returns>
    private Task<Command?> StepAsync(Command command, CancellationToken ct)
    {
        var steps = _kinds[command.Kind].Steps;
        if (command.UndoTo is { } end)
        {
            return UndoAsync(command, steps, end, ct);
        }
        return command.Step < steps.Count
            ? RunAsync(command, steps, ct)
            : DieAsync(command, null, new("unreadable", $"It has no step {command.Step}: it was written by another version of the service."), ct);
    }

    private async Task<Command?> RunAsync(Command command, IReadOnlyList<CommandStep> steps, CancellationToken ct)
    {
        var step = steps[command.Step];
        StepOutcome outcome;
        try
        {
            outcome = await step.RunAsync(command, ct);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            return await FailAsync(command, step.Name, exception, ct);
        }
        if (outcome is StepOutcome.Refused refused)
        {
            var problem = new CommandProblem(refused.Code, refused.Detail);
            var back = command with { UndoTo = CommandStatusCode.Refused, Step = ToUndo(steps, command.Step - 1), Failures = 0 };
            var status = back.Step < 0 ? CommandStatusCode.Refused : CommandStatusCode.Running;
            return await SaveAsync(back, new(status, step.Name, "refused", refused.Detail, problem), ct);
        }
        var done = (StepOutcome.Done)outcome;
        var next = (done is { Name: { } name, Found: { } found } ? command.With(name, found) : command) with { Step = command.Step + 1, Failures = 0 };
        return await SaveAsync(
            next, new(next.Step < steps.Count ? CommandStatusCode.Running : CommandStatusCode.Done, step.Name, "done", Event: done.Event), ct);
    }

    private async Task<Command?> UndoAsync(Command command, IReadOnlyList<CommandStep> steps, CommandStatusCode end, CancellationToken ct)
    {
        var at = ToUndo(steps, command.Step);
        if (at < 0)
        {
            return await SaveAsync(command, new(end, null, CommandRow.Text(end)), ct);
        }
        try
        {
            await steps[at].UndoAsync!(command, ct);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            return await FailAsync(command, steps[at].Name, exception, ct);
        }
        var back = command with { Step = ToUndo(steps, at - 1), Failures = 0 };
        return await SaveAsync(back, new(back.Step < 0 ? end : CommandStatusCode.Running, steps[at].Name, "undone"), ct);
    }

    /// <returns>The nearest step from there back that has something to take back; -1 for none.</returns>
    private static int ToUndo(IReadOnlyList<CommandStep> steps, int from)
    {
        var at = Math.Min(from, steps.Count - 1);
        while (at >= 0 && steps[at].UndoAsync is null)
        {
            at--;
        }
        return at;
    }

    /// <summary>A system that is away comes back; anything else stays as it is until somebody mends it.</summary>
    private async Task<Command?> FailAsync(Command command, string step, Exception exception, CancellationToken ct)
    {
        Activity.Current?.SetStatus(ActivityStatusCode.Error, exception.Message);
        if (exception is not BackendException backend)
        {
            _logger.LogError(exception, "The command {Command} failed in its step {Step}", command.Id, step);
            return await DieAsync(command, step, new("failed", $"An unexpected {exception.GetType().Name}: the log of this time says more."), ct);
        }
        if (backend.NeedsMending)
        {
            return await DieAsync(command, step, new("needs-mending", backend.Message), ct);
        }
        if (command.IsOld)
        {
            return await DieAsync(command, step, new("given-up", $"{backend.Message} It was tried for {_options.GiveUpHours} h."), ct);
        }
        var pause = _options.Pause(command.Failures, Random.Shared.NextDouble());
        var delay = pause > backend.RetryAfter ? pause : backend.RetryAfter;
        return await SaveAsync(
            command with { Failures = command.Failures + 1 }, new(CommandStatusCode.Running, step, "failed", backend.Message, Delay: delay), ct);
    }

    private Task<Command?> DieAsync(Command command, string? step, CommandProblem problem, CancellationToken ct)
    {
        _logger.LogWarning("The command {Command} is a dead letter: {Reason}", command.Id, problem.Detail);
        return SaveAsync(command, new(CommandStatusCode.Dead, step, "dead", problem.Detail, problem), ct);
    }

    private async Task<Command?> SaveAsync(Command command, Progress progress, CancellationToken ct)
    {
        _steps.Add(1, new("kind", command.Kind), new("step", progress.Step), new("outcome", progress.Outcome));
        if (!await _store.SaveAsync(Worker, command, progress, ct))
        {
            _logger.LogWarning("The command {Command} was taken over by another process", command.Id);
            return null;
        }
        return progress is { Status: CommandStatusCode.Running, Delay: null } ? command : null;
    }
}
