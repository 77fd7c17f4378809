using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>Finds programs of a model.</summary>
public static class ExecutableResourceExtensions
{
    public static IEnumerable<ExecutableResource> GetExecutableResources(this DistributedApplicationModel model) => model.Resources.OfType<ExecutableResource>();
}
