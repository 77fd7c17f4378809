using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>Which part of the blueprint each resource is.</summary>
internal static class BlueprintLanes
{
    internal sealed record Lane(string Title, bool IsBelow, List<string> Names);

    public static List<Lane> Sort(IEnumerable<IResource> resources, IReadOnlyList<Flow> calls)
    {
        var devices = new Lane("Mobile devices", false, [BlueprintPicture.Devices]);
        var gateway = new Lane("API gateway", false, []);
        var frontend = new Lane("Frontend microservices", false, []);
        var integration = new Lane("Integration microservices", false, []);
        var backend = new Lane("Backend systems", false, []);
        var mobile = new Lane("Mobile services", true, []);
        var storage = new Lane("Storage", true, []);
        List<IResource> others = [];
        foreach (var resource in resources)
        {
            var kind = resource is ProjectResource project ? Path.GetFileNameWithoutExtension(project.GetProjectMetadata().ProjectPath) : resource.Name;
            var lane = resource is IResourceWithConnectionString ? storage
                : Has(kind, "backend") || resource is ExternalServiceResource ? backend
                : Has(kind, "integration") ? integration
                : Has(kind, "frontend") ? frontend
                : Has(kind, "mobile") ? mobile
                : IsEntrance(resource) ? gateway
                : null;
            lane?.Names.Add(resource.Name);
            if (lane is null)
            {
                others.Add(resource);
            }
        }

        // One column after whoever calls it.
        List<Lane> columns = [gateway, frontend, integration, backend];
        foreach (var other in others)
        {
            var callers = calls.Where(call => call.To == other.Name).Select(call => columns.FindIndex(lane => lane.Names.Contains(call.From))).DefaultIfEmpty(0);
            columns[Math.Clamp(callers.Max() + 1, 1, 3)].Names.Add(other.Name);
        }

        return [devices, .. columns.Where(lane => lane.Names.Count > 0), mobile, storage];
    }

    public static bool IsEntrance(IResource resource) => resource.Annotations.OfType<EndpointAnnotation>().Any(endpoint => endpoint.IsExternal);

    private static bool Has(string kind, string part) => kind.Contains(part, StringComparison.OrdinalIgnoreCase);
}
