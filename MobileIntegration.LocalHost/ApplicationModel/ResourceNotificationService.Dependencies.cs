using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.ApplicationModel;

public partial class ResourceNotificationService
{
    internal const string WaitingForProperty = "resource.waitingFor";

    /// <summary>
    /// Waits for everything a resource waits for: with a database also for its server, with a connection string for what it is made from.
    /// The resource is shown as waiting meanwhile.
    /// </summary>
    /// <exception cref="DistributedApplicationException">A dependency ended in a way the resource does not wait for.</exception>
    public async Task WaitForDependenciesAsync(IResource resource, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(resource);
        var waits = AllWaits(resource);
        if (waits.Count == 0)
        {
            return;
        }

        var pending = waits.Select(wait => wait.Resource.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        await ShowWaitingAsync(resource, pending).ConfigureAwait(false);
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var all = waits.Select(async wait =>
        {
            try
            {
                await WaitForDependencyAsync(resource, wait, failed.Token).ConfigureAwait(false);
            }
            catch (DistributedApplicationException)
            {
                await failed.CancelAsync().ConfigureAwait(false);
                throw;
            }

            lock (pending)
            {
                pending.Remove(wait.Resource.Name);
            }

            await ShowWaitingAsync(resource, pending).ConfigureAwait(false);
        }).ToList();

        try
        {
            await Task.WhenAll(all).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The other waits were cancelled because one failed: that one is the reason.
            await all.First(wait => wait.IsFaulted).ConfigureAwait(false);
            throw;
        }
    }

    private async Task WaitForDependencyAsync(IResource resource, WaitAnnotation wait, CancellationToken ct)
    {
        var log = resourceLoggerService.GetLogger(resource);
        var dependency = wait.Resource.Name;
        var behavior = wait.WaitBehavior ?? DefaultWaitBehavior;
        string? told = null;

        void TellOnce(string message)
        {
            if (told != message)
            {
                told = message;
                log.LogError("{Message} Waiting until it is started again.", message);
            }
        }

        switch (wait.WaitType)
        {
            case WaitType.WaitUntilHealthy:
                log.LogInformation("Waiting for '{Dependency}' to be healthy", dependency);
                await WaitUntilHealthyAsync(dependency, behavior, TellOnce, ct).ConfigureAwait(false);
                break;

            case WaitType.WaitUntilStarted:
                log.LogInformation("Waiting for '{Dependency}' to run", dependency);
                await WatchInstancesAsync(
                    dependency,
                    (_, instances) =>
                    {
                        ThrowIfUnavailable(dependency, instances, behavior, TellOnce, "running");
                        return AllInstances(instances, instance => instance.Snapshot.State?.Text == KnownResourceStates.Running);
                    },
                    ct).ConfigureAwait(false);
                break;

            case WaitType.WaitForCompletion:
                log.LogInformation("Waiting for '{Dependency}' to complete", dependency);
                await WatchInstancesAsync(
                    dependency,
                    (_, instances) => AllInstances(instances, instance => CompletedOrThrow(instance, wait.ExitCode)),
                    ct).ConfigureAwait(false);
                break;
        }

        log.LogInformation("Done waiting for '{Dependency}'", dependency);
    }

    private static bool CompletedOrThrow(ResourceEvent instance, int exitCode)
    {
        var (name, snapshot) = (instance.Resource.Name, instance.Snapshot);
        if (snapshot.State?.Text == KnownResourceStates.FailedToStart)
        {
            throw new DistributedApplicationException($"'{name}' should have completed but failed to start. Its console log says why.");
        }

        if (!KnownResourceStates.TerminalStates.Contains(snapshot.State?.Text ?? string.Empty))
        {
            return false;
        }

        return snapshot.ExitCode is not { } code || code == exitCode
            ? true
            : throw new DistributedApplicationException($"'{name}' should have completed with exit code {exitCode} but ended with {code}. Its console log says why.");
    }

    private static List<WaitAnnotation> AllWaits(IResource resource)
    {
        List<WaitAnnotation> waits = [];
        foreach (var wait in resource.Annotations.OfType<WaitAnnotation>())
        {
            Add(wait);
            for (var child = wait.Resource; child is IResourceWithParent { Parent: var parent }; child = parent)
            {
                Add(new(parent, wait.WaitType == WaitType.WaitUntilStarted ? WaitType.WaitUntilStarted : WaitType.WaitUntilHealthy) { WaitBehavior = wait.WaitBehavior });
            }

            if (wait.Resource is ConnectionStringResource source)
            {
                foreach (var referenced in source.ConnectionStringExpression.ReferencedResources())
                {
                    Add(new(referenced, wait.WaitType) { WaitBehavior = wait.WaitBehavior });
                }
            }
        }

        return waits;

        void Add(WaitAnnotation wait)
        {
            if (wait.Resource is not IResourceWithoutLifetime && !ReferenceEquals(wait.Resource, resource)
                && !waits.Exists(other => ReferenceEquals(other.Resource, wait.Resource) && other.WaitType == wait.WaitType && other.ExitCode == wait.ExitCode))
            {
                waits.Add(wait);
            }
        }
    }

    private Task ShowWaitingAsync(IResource resource, HashSet<string> pending)
    {
        string[] names;
        lock (pending)
        {
            names = [.. pending.Order(StringComparer.OrdinalIgnoreCase)];
        }

        return PublishUpdateAsync(resource, snapshot => snapshot with
        {
            // Another instance may run already.
            State = names.Length == 0 || snapshot.State?.Text == KnownResourceStates.Running ? snapshot.State : new ResourceStateSnapshot(KnownResourceStates.Waiting, null),
            Properties = [.. snapshot.Properties.Where(property => property.Name != WaitingForProperty),
                .. names.Length == 0 ? Array.Empty<ResourcePropertySnapshot>() : [new(WaitingForProperty, names)]],
        });
    }
}
