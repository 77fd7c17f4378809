using System.Diagnostics.CodeAnalysis;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>Reads what has been said about a resource.</summary>
public static class ResourceExtensions
{
    public static bool TryGetLastAnnotation<T>(this IResource resource, [NotNullWhen(true)] out T? annotation)
        where T : IResourceAnnotation
    {
        annotation = resource.Annotations.OfType<T>().LastOrDefault();
        return annotation is not null;
    }

    public static bool TryGetAnnotationsOfType<T>(this IResource resource, [NotNullWhen(true)] out IEnumerable<T>? result)
        where T : IResourceAnnotation
    {
        var found = resource.Annotations.OfType<T>().ToArray();
        result = found.Length == 0 ? null : found;
        return result is not null;
    }

    public static bool HasAnnotationOfType<T>(this IResource resource)
        where T : IResourceAnnotation => resource.Annotations.OfType<T>().Any();

    /// <summary>Looks at the resource and at those it belongs to.</summary>
    public static bool TryGetAnnotationsIncludingAncestorsOfType<T>(this IResource resource, [NotNullWhen(true)] out IEnumerable<T>? result)
        where T : IResourceAnnotation
    {
        List<T> found = [];
        for (var current = resource; current is not null; current = (current as IResourceWithParent)?.Parent)
        {
            found.AddRange(current.Annotations.OfType<T>());
        }

        result = found.Count == 0 ? null : found;
        return result is not null;
    }

    public static bool HasAnnotationIncludingAncestorsOfType<T>(this IResource resource)
        where T : IResourceAnnotation => resource.TryGetAnnotationsIncludingAncestorsOfType<T>(out _);

    public static bool TryGetEndpoints(this IResource resource, [NotNullWhen(true)] out IEnumerable<EndpointAnnotation>? endpoints) =>
        resource.TryGetAnnotationsOfType(out endpoints);

    public static bool TryGetEnvironmentVariables(this IResource resource, [NotNullWhen(true)] out IEnumerable<EnvironmentCallbackAnnotation>? environmentVariables) =>
        resource.TryGetAnnotationsOfType(out environmentVariables);

    public static bool TryGetUrls(this IResource resource, [NotNullWhen(true)] out IEnumerable<ResourceUrlAnnotation>? urls) =>
        resource.TryGetAnnotationsOfType(out urls);

    public static bool TryGetContainerMounts(this IResource resource, [NotNullWhen(true)] out IEnumerable<ContainerMountAnnotation>? volumeMounts) =>
        resource.TryGetAnnotationsOfType(out volumeMounts);

    /// <summary>An endpoint by its name, which need not exist yet.</summary>
    public static EndpointReference GetEndpoint(this IResourceWithEndpoints resource, string endpointName) => new(resource, endpointName);

    /// <summary>An endpoint as it is reached from a network; here all networks are the local one.</summary>
    public static EndpointReference GetEndpoint(this IResourceWithEndpoints resource, string endpointName, NetworkIdentifier contextNetworkId) =>
        new(resource, endpointName, contextNetworkId);

    public static IEnumerable<EndpointReference> GetEndpoints(this IResourceWithEndpoints resource) =>
        [.. resource.Annotations.OfType<EndpointAnnotation>().Select(endpoint => new EndpointReference(resource, endpoint))];

    /// <summary>The endpoints as they are reached from a network; here all networks are the local one.</summary>
    public static IEnumerable<EndpointReference> GetEndpoints(this IResourceWithEndpoints resource, NetworkIdentifier contextNetworkId) =>
        [.. resource.Annotations.OfType<EndpointAnnotation>().Select(endpoint => new EndpointReference(resource, endpoint, contextNetworkId))];

    public static int GetReplicaCount(this IResource resource) =>
        resource.Annotations.OfType<ReplicaAnnotation>().LastOrDefault()?.Replicas ?? 1;

    /// <summary>The ids of the instances of a resource; its name when it has only one.</summary>
    internal static IReadOnlyList<string> GetInstanceIds(this IResource resource) =>
        resource.Annotations.OfType<ResourceInstancesAnnotation>().LastOrDefault()?.Ids ?? [resource.Name];

    internal static string GetResourceType(this IResource resource)
    {
        var type = resource.GetType().Name;
        return type.EndsWith("Resource", StringComparison.Ordinal) && type.Length > "Resource".Length ? type[..^"Resource".Length] : type;
    }

    /// <summary>The resources that a value is made from, in the order met.</summary>
    internal static IEnumerable<IResource> ReferencedResources(this IValueWithReferences value) => value.AllReferences().OfType<IResource>();

    /// <summary>Everything a value is made from, itself included, in the order met.</summary>
    internal static IReadOnlyList<object> AllReferences(this IValueWithReferences value)
    {
        HashSet<object> seen = new(ReferenceEqualityComparer.Instance);
        List<object> met = [];
        Visit(value);
        return met;

        void Visit(object item)
        {
            if (!seen.Add(item))
            {
                return;
            }

            met.Add(item);
            foreach (var inner in (item as IValueWithReferences)?.References ?? [])
            {
                Visit(inner);
            }
        }
    }
}

/// <summary>The ids of the instances of a resource that has several.</summary>
internal sealed record ResourceInstancesAnnotation(IReadOnlyList<string> Ids) : IResourceAnnotation;

/// <summary>The relationships that have a meaning.</summary>
internal static class KnownRelationshipTypes
{
    public const string Parent = "Parent";
    public const string Reference = "Reference";
    public const string WaitFor = "WaitFor";
}
