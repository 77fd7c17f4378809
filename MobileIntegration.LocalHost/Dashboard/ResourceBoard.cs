using Microsoft.Extensions.Diagnostics.HealthChecks;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Running;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>The resources as pages show them.</summary>
internal sealed class ResourceBoard(ResourceNotificationService notifications, DistributedApplicationModel model)
{
    private static readonly string[] Moving =
        [KnownResourceStates.Starting, KnownResourceStates.Stopping, KnownResourceStates.Waiting, KnownResourceStates.Building, LifecycleCommands.Restarting];

    private static readonly string[] Failed = [KnownResourceStates.FailedToStart, KnownResourceStates.RuntimeUnhealthy, KnownResourceStates.ValueMissing];

    public DistributedApplicationModel Model => model;

    /// <summary>The instances, each after the resource it belongs to, with its depth. Parameters are not among them.</summary>
    public IReadOnlyList<(ResourceEvent Item, int Depth)> Tree()
    {
        var all = notifications.CurrentStates.Where(state => !state.Snapshot.IsHidden && state.Resource is not ParameterResource).ToList();
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

    public IReadOnlyList<(ParameterResource Parameter, CustomResourceSnapshot Snapshot)> Parameters() =>
        [.. notifications.CurrentStates.Where(state => state.Resource is ParameterResource && !state.Snapshot.IsHidden)
            .Select(state => ((ParameterResource)state.Resource, state.Snapshot)).OrderBy(one => one.Item1.Name, StringComparer.Ordinal)];

    /// <summary>The instance with this id, or the first one of the resource with this name.</summary>
    public ResourceEvent? Find(string? id)
    {
        var all = notifications.CurrentStates;
        return all.FirstOrDefault(state => state.ResourceId == id) ?? all.FirstOrDefault(state => state.Resource.Name == id);
    }

    /// <summary>The resource whose endpoint has this port, or, if none is said, whose name the host is.</summary>
    public string? ListeningAt(string host, int port) => model.Resources
        .FirstOrDefault(resource => port == 0
            ? string.Equals(resource.Name, host, StringComparison.OrdinalIgnoreCase)
            : resource.Annotations.OfType<EndpointAnnotation>().Any(endpoint => endpoint.AllocatedEndpoint?.Port == port))?.Name;

    public string? PeerOf(TelemetrySpan span) => SpanFields.Address(span) is { } address ? ListeningAt(address.Host, address.Port) : null;

    /// <summary>good, bad, wait or off: how a resource looks, by its state and health.</summary>
    public static string LookOf(CustomResourceSnapshot snapshot)
    {
        var state = snapshot.State?.Text;
        return state == KnownResourceStates.Running || state == KnownResourceStates.Active
            ? snapshot.HealthStatus is null or HealthStatus.Healthy ? "good" : snapshot.HealthReports.All(report => report.LastRunAt is null) ? "wait" : "bad"
            : Failed.Contains(state) ? "bad"
            : Moving.Contains(state) ? "wait"
            : snapshot.ExitCode is null or 0 ? "off" : "bad";
    }

    private static string? ParentOf(ResourceEvent state) => (state.Resource as IResourceWithParent)?.Parent.Name
        ?? state.Snapshot.Relationships.FirstOrDefault(relationship => relationship.Type == KnownRelationshipTypes.Parent)?.ResourceName;
}
