using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>What needs what: for the order of stopping, and for starting a part of the system.</summary>
internal static class Dependencies
{
    private const string ReferenceRelationship = "Reference";

    /// <summary>
    /// What a resource cannot run without: what it waits for, its parent, and what it has the connection string of. The address of another
    /// service is no such need: services find each other whenever both are there.
    /// </summary>
    public static IEnumerable<IResource> Of(IResource resource)
    {
        var waits = resource.Annotations.OfType<WaitAnnotation>().Select(wait => wait.Resource);
        var references = resource.Annotations.OfType<ResourceRelationshipAnnotation>()
            .Where(relationship => relationship.Type == ReferenceRelationship && relationship.Resource is IResourceWithConnectionString)
            .Select(relationship => relationship.Resource);
        IEnumerable<IResource> parent = resource is IResourceWithParent child ? [child.Parent] : [];
        return waits.Concat(references).Concat(parent).Distinct();
    }

    /// <summary>
    /// Stops those that need others first, in parallel where neither needs the other. A need may lead over resources that do not run
    /// themselves, as a connection string made from a server's.
    /// </summary>
    public static async Task InReverseAsync(IReadOnlyCollection<IResource> running, Func<IResource, Task> stop)
    {
        var needs = running.ToDictionary(resource => resource, NeededRunning);
        Dictionary<IResource, Task> stops = [];
        await Task.WhenAll(running.Select(StopInOrder).ToList());

        Task StopInOrder(IResource resource)
        {
            if (stops.TryAdd(resource, Task.CompletedTask))
            {
                // It stands while those before it are asked, so that two that need each other do not wait for each other.
                var dependents = running.Where(other => other != resource && needs[other].Contains(resource)).Select(StopInOrder).ToList();
                stops[resource] = StopAfterAsync(dependents, resource);
            }

            return stops[resource];
        }

        async Task StopAfterAsync(List<Task> dependents, IResource resource)
        {
            await Task.WhenAll(dependents);
            await stop(resource);
        }

        HashSet<IResource> NeededRunning(IResource resource)
        {
            HashSet<IResource> seen = [];
            var pending = new Queue<IResource>(Of(resource));
            while (pending.TryDequeue(out var need))
            {
                if (seen.Add(need) && !running.Contains(need))
                {
                    foreach (var further in Of(need))
                    {
                        pending.Enqueue(further);
                    }
                }
            }

            return seen;
        }
    }

    /// <summary>The resources named, with all that they need; every resource when none is named.</summary>
    /// <exception cref="DistributedApplicationException">A name is unknown.</exception>
    public static HashSet<IResource> Select(IEnumerable<IResource> all, IReadOnlyList<string> only)
    {
        if (only.Count == 0)
        {
            return [.. all];
        }

        HashSet<IResource> selected = [];
        foreach (var name in only)
        {
            var resource = all.FirstOrDefault(one => string.Equals(one.Name, name, StringComparison.OrdinalIgnoreCase))
                ?? throw new DistributedApplicationException(
                    $"--only names '{name}', which is not in the model. Valid: {string.Join(", ", all.Where(Processes.CanRun).Select(one => one.Name))}.");
            Add(resource);
        }

        // A database is there as soon as its server is; the others of a selected server cost nothing.
        foreach (var child in all.Where(one => one is IResourceWithParent { Parent: var parent } && selected.Contains(parent)).ToList())
        {
            selected.Add(child);
        }

        return selected;

        void Add(IResource resource)
        {
            if (selected.Add(resource))
            {
                foreach (var need in Of(resource))
                {
                    Add(need);
                }
            }
        }
    }
}
