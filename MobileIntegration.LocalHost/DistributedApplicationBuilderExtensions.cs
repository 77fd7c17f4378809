using System.Diagnostics.CodeAnalysis;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>Finds resources of the model.</summary>
public static class DistributedApplicationBuilderExtensions
{
    /// <summary>A builder of a resource that is in the model.</summary>
    /// <exception cref="InvalidOperationException">There is no resource of that name, or it is of another type.</exception>
    public static IResourceBuilder<T> CreateResourceBuilder<T>(this IDistributedApplicationBuilder builder, string name)
        where T : IResource
    {
        if (!builder.Resources.TryGetByName(name, out var resource))
        {
            throw new InvalidOperationException(
                $"There is no resource '{name}'; there are: {string.Join(", ", builder.Resources.Select(other => other.Name))}.");
        }

        return resource is T wanted
            ? builder.CreateResourceBuilder(wanted)
            : throw new InvalidOperationException($"Resource '{name}' is a {resource.GetType().Name}, not a {typeof(T).Name}.");
    }

    public static bool TryCreateResourceBuilder<T>(this IDistributedApplicationBuilder builder, string name, [NotNullWhen(true)] out IResourceBuilder<T>? resourceBuilder)
        where T : IResource
    {
        resourceBuilder = builder.Resources.TryGetByName(name, out var resource) && resource is T wanted ? builder.CreateResourceBuilder(wanted) : null;
        return resourceBuilder is not null;
    }
}
