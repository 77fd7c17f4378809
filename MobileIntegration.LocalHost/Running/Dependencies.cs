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
                    $"--only names '{name}', which is not in the model. Valid: {string.Join(", ", all.Where(Processes.CanRun).Select(one => one.Name))}. "
                    + "Single microservices have names of their own with Topology=split.");
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
