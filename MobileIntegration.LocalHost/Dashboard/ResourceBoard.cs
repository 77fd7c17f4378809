using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>The resources as pages show them.</summary>
internal sealed class ResourceBoard(ResourceNotificationService notifications)
{
    /// <summary>The instances, each after the resource it belongs to, with its depth.</summary>
    public IReadOnlyList<(ResourceEvent Item, int Depth)> Tree()
    {
        var all = notifications.CurrentStates.Where(state => !state.Snapshot.IsHidden).ToList();
        List<(ResourceEvent, int)> rows = [];
        foreach (var root in all.Where(state => ParentOf(state) is null || !all.Exists(other => other.Resource.Name == ParentOf(state))))
        {
            Add(root, 0);
        }

        return rows;

        void Add(ResourceEvent item, int depth)
        {
            rows.Add((item, depth));
            if (depth < 8)
            {
                foreach (var child in all.Where(state => ParentOf(state) == item.Resource.Name && state.ResourceId != item.ResourceId))
                {
                    Add(child, depth + 1);
                }
            }
        }
    }

    /// <summary>good, bad, wait or off: how a resource looks, by its state and health.</summary>
    public static string LookOf(CustomResourceSnapshot snapshot) => snapshot.State?.Text switch
    {
        "Running" or "Active" => snapshot.HealthStatus is null or Microsoft.Extensions.Diagnostics.HealthChecks.HealthStatus.Healthy ? "good" : "bad",
        "FailedToStart" or "RuntimeUnhealthy" or "ValueMissing" => "bad",
        "Starting" or "Stopping" or "Waiting" or "Building" or "Restarting" => "wait",
        _ => snapshot.ExitCode is null or 0 ? "off" : "bad",
    };

    private static string? ParentOf(ResourceEvent state) => (state.Resource as IResourceWithParent)?.Parent.Name
        ?? state.Snapshot.Relationships.FirstOrDefault(relationship => relationship.Type == KnownRelationshipTypes.Parent)?.ResourceName;
}
