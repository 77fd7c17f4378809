using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>Runs the commands of resources. What goes wrong is a result, not an exception.</summary>
public class ResourceCommandService
{
    private readonly ResourceNotificationService _notifications;
    private readonly ResourceLoggerService _logs;
    private readonly DistributedApplicationModel _model;
    private readonly IServiceProvider _services;

    internal ResourceCommandService(ResourceNotificationService notifications, ResourceLoggerService logs, DistributedApplicationModel model, IServiceProvider services) =>
        (_notifications, _logs, _model, _services) = (notifications, logs, model, services);

    /// <summary>Runs a command of an instance, or of all instances if the resource's name is given.</summary>
    public Task<ExecuteCommandResult> ExecuteCommandAsync(string resourceId, string commandName, CancellationToken cancellationToken = default) =>
        ExecuteCommandAsync(resourceId, commandName, new InteractionInputCollection([]), cancellationToken);

    /// <inheritdoc cref="ExecuteCommandAsync(string, string, CancellationToken)"/>
    public Task<ExecuteCommandResult> ExecuteCommandAsync(string resourceId, string commandName, InteractionInputCollection arguments, CancellationToken cancellationToken = default)
    {
        if (_model.Resources.TryGetByName(resourceId, out var resource))
        {
            return ExecuteCommandAsync(resource, commandName, arguments, cancellationToken);
        }

        return _notifications.TryGetCurrentState(resourceId, out var instance)
            ? ExecuteAsync(instance.Resource, instance.ResourceId, commandName, arguments, cancellationToken)
            : Task.FromResult(CommandResults.Failure(
                $"There is no resource '{resourceId}'; there are: {string.Join(", ", _model.Resources.Select(other => other.Name))}."));
    }

    /// <summary>Runs a command for every instance of a resource; it fails if it fails for one.</summary>
    public Task<ExecuteCommandResult> ExecuteCommandAsync(IResource resource, string commandName, CancellationToken cancellationToken = default) =>
        ExecuteCommandAsync(resource, commandName, new InteractionInputCollection([]), cancellationToken);

    /// <inheritdoc cref="ExecuteCommandAsync(IResource, string, CancellationToken)"/>
    public async Task<ExecuteCommandResult> ExecuteCommandAsync(IResource resource, string commandName, InteractionInputCollection arguments, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(resource);
        var ids = resource.GetInstanceIds();
        var results = await Task.WhenAll(ids.Select(id => ExecuteAsync(resource, id, commandName, arguments, cancellationToken))).ConfigureAwait(false);
        if (results.Length == 1 || results.All(result => result.Success))
        {
            return results[0];
        }

        var failures = ids.Zip(results).Where(pair => pair.Second is { Success: false, Canceled: false }).ToList();
        return failures.Count == 0
            ? CommandResults.Canceled()
            : CommandResults.Failure(string.Join("; ", failures.Select(pair => $"{pair.First}: {pair.Second.Message ?? "failed"}")));
    }

    [SuppressMessage("Design", "CA1031", Justification = "A fault of a command is its result; it is written to the resource's log.")]
    private async Task<ExecuteCommandResult> ExecuteAsync(IResource resource, string id, string commandName, InteractionInputCollection arguments, CancellationToken ct)
    {
        var commands = resource.Annotations.OfType<ResourceCommandAnnotation>().ToList();
        var command = commands.LastOrDefault(known => known.Name == commandName)
            ?? commands.LastOrDefault(known => $"resource-{known.Name}" == commandName);
        if (command is null)
        {
            return CommandResults.Failure($"'{resource.Name}' has no command '{commandName}'; it has: {string.Join(", ", commands.Select(known => known.Name))}.");
        }

        if (_notifications.TryGetCurrentState(id, out var state)
            && command.UpdateState(new() { ResourceSnapshot = state.Snapshot, Services = _services }) == ResourceCommandState.Disabled)
        {
            return CommandResults.Failure($"'{command.Name}' cannot be used while '{id}' is {state.Snapshot.State?.Text ?? "not started"}.");
        }

        var log = _logs.GetLogger(id);
        try
        {
            var inputs = Bind(command.Arguments, arguments, out var problem);
            problem ??= await ValidateAsync(command, inputs, ct).ConfigureAwait(false);
            if (problem is not null)
            {
                return CommandResults.Failure(problem);
            }

            log.LogInformation("Running command '{Command}'", command.Name);
            var result = await command.ExecuteCommand(new()
            {
                Services = _services,
                ResourceName = id,
                CancellationToken = ct,
                Logger = log,
                Arguments = inputs,
            }).ConfigureAwait(false);
            if (result is { Success: false, Canceled: false })
            {
                log.LogError("Command '{Command}' failed: {Message}", command.Name, result.Message);
            }

            return result;
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            return CommandResults.Canceled();
        }
        catch (Exception fault)
        {
            log.LogError(fault, "Command '{Command}' failed", command.Name);
            return CommandResults.Failure(fault);
        }
    }

    private async Task<string?> ValidateAsync(ResourceCommandAnnotation command, InteractionInputCollection inputs, CancellationToken ct)
    {
        if (command.ValidateArguments is null)
        {
            return null;
        }

        var validation = new InputsDialogValidationContext { Inputs = inputs, CancellationToken = ct, Services = _services };
        await command.ValidateArguments(validation).ConfigureAwait(false);
        return validation.Errors.Count == 0 ? null : string.Join("; ", validation.Errors);
    }

    // The declared arguments with the given values; each run has its own copies.
    private static InteractionInputCollection Bind(IReadOnlyList<InteractionInput> declared, InteractionInputCollection given, out string? problem)
    {
        var known = new InteractionInputCollection(declared);
        var bound = new InteractionInputCollection([.. declared.Select(input => new InteractionInput
        {
            Name = input.Name,
            Label = input.Label,
            Description = input.Description,
            InputType = input.InputType,
            Required = input.Required,
            Options = input.Options,
            AllowCustomChoice = input.AllowCustomChoice,
            MaxLength = input.MaxLength,
            Value = given.TryGetByName(input.Name, out var value) ? value.Value : input.Value,
        })]);
        problem = given.Names.FirstOrDefault(name => !known.ContainsName(name)) is { } unknown
            ? $"There is no argument '{unknown}'{(declared.Count == 0 ? string.Empty : $"; there are: {string.Join(", ", known.Names)}")}."
            : bound.Select(Problem).FirstOrDefault(message => message is not null);
        return bound;
    }

    private static string? Problem(InteractionInput input) => input switch
    {
        { Value: null or "" } => input.Required ? $"Argument '{input.Name}' is needed." : null,
        { MaxLength: { } max, Value.Length: var length } when length > max => $"Argument '{input.Name}' has {length} characters; {max} are allowed.",
        { InputType: InputType.Number } when !double.TryParse(input.Value, CultureInfo.InvariantCulture, out _) => $"Argument '{input.Name}' must be a number.",
        { InputType: InputType.Boolean } when !bool.TryParse(input.Value, out _) => $"Argument '{input.Name}' must be true or false.",
        { InputType: InputType.Choice, AllowCustomChoice: false, Options: { } options } when options.All(option => option.Key != input.Value) =>
            $"Argument '{input.Name}' must be one of: {string.Join(", ", options.Select(option => option.Key))}.",
        _ => null,
    };
}
