using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace MobileIntegration.LocalHost.ApplicationModel;

public partial class ResourceNotificationService
{
    /// <summary>Waits until an instance of a resource is in a state; running if none is given.</summary>
    /// <exception cref="ArgumentException">There is no such resource.</exception>
    public Task WaitForResourceAsync(string resourceName, string? targetState = null, CancellationToken cancellationToken = default) =>
        WaitForResourceAsync(resourceName, [targetState ?? KnownResourceStates.Running], cancellationToken);

    /// <summary>Waits until an instance of a resource is in one of some states, and tells which.</summary>
    /// <exception cref="ArgumentException">There is no such resource.</exception>
    public async Task<string> WaitForResourceAsync(string resourceName, IEnumerable<string> targetStates, CancellationToken cancellationToken = default)
    {
        var wanted = targetStates.ToHashSet(StringComparer.OrdinalIgnoreCase);
        var reached = await WaitForResourceAsync(resourceName, change => change.Snapshot.State is { Text: var state } && wanted.Contains(state), cancellationToken)
            .ConfigureAwait(false);
        return reached.Snapshot.State!.Text;
    }

    /// <summary>Waits until an instance of a resource is as asked.</summary>
    /// <exception cref="ArgumentException">There is no such resource.</exception>
    public async Task<ResourceEvent> WaitForResourceAsync(string resourceName, Func<ResourceEvent, bool> predicate, CancellationToken cancellationToken = default)
    {
        ThrowIfUnknown(resourceName);
        ResourceEvent? reached = null;
        await WatchInstancesAsync(
            resourceName,
            (change, _) => predicate(reached = change),
            cancellationToken).ConfigureAwait(false);
        return reached!;
    }

    /// <inheritdoc cref="WaitForResourceHealthyAsync(string, WaitBehavior, CancellationToken)"/>
    public Task<ResourceEvent> WaitForResourceHealthyAsync(string resourceName, CancellationToken cancellationToken = default) =>
        WaitForResourceHealthyAsync(resourceName, DefaultWaitBehavior, cancellationToken);

    /// <summary>Waits until all instances of a resource are running and healthy and the handlers of its ready event have ended.</summary>
    /// <exception cref="ArgumentException">There is no such resource.</exception>
    /// <exception cref="DistributedApplicationException">The resource ended, and the behaviour is to stop then.</exception>
    public Task<ResourceEvent> WaitForResourceHealthyAsync(string resourceName, WaitBehavior waitBehavior, CancellationToken cancellationToken = default)
    {
        ThrowIfUnknown(resourceName);
        return WaitUntilHealthyAsync(resourceName, waitBehavior, null, cancellationToken);
    }

    private async Task<ResourceEvent> WaitUntilHealthyAsync(string name, WaitBehavior behavior, Action<string>? onUnavailable, CancellationToken ct)
    {
        ResourceEvent? healthy = null;
        await WatchInstancesAsync(
            name,
            (_, instances) =>
            {
                ThrowIfUnavailable(name, instances, behavior, onUnavailable, "healthy");
                healthy = instances[0];
                return AllInstances(instances, instance => instance.Snapshot is { HealthStatus: HealthStatus.Healthy, ResourceReady: not null });
            },
            ct).ConfigureAwait(false);

        await healthy!.Snapshot.ResourceReady!.WaitAsync(ct).ConfigureAwait(false);
        return healthy;
    }

    private static bool AllInstances(IReadOnlyList<ResourceEvent> instances, Func<ResourceEvent, bool> condition) =>
        instances.Count >= instances[0].Resource.GetInstanceIds().Count && instances.All(condition);

    private static void ThrowIfUnavailable(string name, IReadOnlyList<ResourceEvent> instances, WaitBehavior behavior, Action<string>? onUnavailable, string wanted)
    {
        var ended = instances.FirstOrDefault(instance =>
            KnownResourceStates.TerminalStates.Contains(instance.Snapshot.State?.Text ?? string.Empty)
            || instance.Snapshot.State?.Text == KnownResourceStates.RuntimeUnhealthy);
        if (ended is null)
        {
            return;
        }

        var exit = ended.Snapshot.ExitCode is { } code ? $" with exit code {code}" : string.Empty;
        var message = $"'{name}' will not become {wanted}: it is {ended.Snapshot.State!.Text}{exit}. Its console log says why.";
        if (behavior == WaitBehavior.StopOnResourceUnavailable)
        {
            throw new DistributedApplicationException(message);
        }

        onUnavailable?.Invoke(message);
    }

    // Ends when the condition holds for the newest states of the instances of a resource.
    private async Task WatchInstancesAsync(string name, Func<ResourceEvent, IReadOnlyList<ResourceEvent>, bool> condition, CancellationToken ct)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(ct, hostApplicationLifetime.ApplicationStopping);
        var instances = new Dictionary<string, ResourceEvent>(StringComparer.OrdinalIgnoreCase);
        await foreach (var change in WatchAsync(stopping.Token).ConfigureAwait(false))
        {
            if (!string.Equals(change.Resource.Name, name, StringComparison.OrdinalIgnoreCase) && !string.Equals(change.ResourceId, name, StringComparison.OrdinalIgnoreCase))
            {
                continue;
            }

            instances[change.ResourceId] = change;
            if (condition(change, [.. instances.Values]))
            {
                return;
            }
        }

        throw new OperationCanceledException($"The application stopped while '{name}' was waited for.");
    }

    private void ThrowIfUnknown(string name)
    {
        if (serviceProvider.GetService<DistributedApplicationModel>() is { } model
            && !model.Resources.TryGetByName(name, out _)
            && !CurrentStates.Any(state => string.Equals(state.ResourceId, name, StringComparison.OrdinalIgnoreCase)
                || string.Equals(state.Resource.Name, name, StringComparison.OrdinalIgnoreCase)))
        {
            throw new ArgumentException(
                $"There is no resource '{name}' to wait for; there are: {string.Join(", ", model.Resources.Select(resource => resource.Name))}.", nameof(name));
        }
    }
}
