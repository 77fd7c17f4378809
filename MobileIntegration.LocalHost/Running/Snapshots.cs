using System.Collections.Immutable;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>What is shown of a resource before it has done anything: its kind, source, addresses, relationships.</summary>
internal static class Snapshots
{
    /// <summary>Completes the snapshot that a resource begins with.</summary>
    public static async Task<Func<CustomResourceSnapshot, CustomResourceSnapshot>> InitialAsync(
        IResource resource, DistributedApplicationExecutionContext context, CancellationToken ct)
    {
        var urls = await UrlsAsync(resource, context, ct);
        return snapshot => snapshot with
        {
            State = snapshot.State ?? KnownResourceStates.NotStarted,
            Properties = [.. snapshot.Properties, .. Properties(resource)],
            Urls = [.. snapshot.Urls, .. urls],
            Relationships =
            [
                .. snapshot.Relationships,
                .. resource.Annotations.OfType<WaitAnnotation>().Select(wait => new RelationshipSnapshot(wait.Resource.Name, "WaitFor")),
            ],
            Volumes =
            [
                .. resource.Annotations.OfType<ContainerMountAnnotation>().Select(mount =>
                    new VolumeSnapshot(mount.Source, mount.Target, mount.Type.ToString(), mount.IsReadOnly)),
            ],
        };
    }

    /// <summary>The properties with one added or replaced.</summary>
    public static ImmutableArray<ResourcePropertySnapshot> With(this ImmutableArray<ResourcePropertySnapshot> properties, string name, object value) =>
        [.. properties.Where(property => property.Name != name), new ResourcePropertySnapshot(name, value)];

    private static IEnumerable<ResourcePropertySnapshot> Properties(IResource resource)
    {
        var source = resource switch
        {
            ProjectResource project => project.GetProjectMetadata().ProjectPath,
            ExecutableResource executable => executable.Command,
            _ => null,
        };
        return source is null ? [] : [new ResourcePropertySnapshot(CustomResourceKnownProperties.Source, source)];
    }

    private static async Task<ImmutableArray<UrlSnapshot>> UrlsAsync(
        IResource resource, DistributedApplicationExecutionContext context, CancellationToken ct)
    {
        List<ResourceUrlAnnotation> urls =
        [
            .. resource.Annotations.OfType<EndpointAnnotation>()
                .Where(endpoint => endpoint.AllocatedEndpoint is not null)
                .Select(endpoint => new ResourceUrlAnnotation
                {
                    Url = endpoint.AllocatedEndpoint!.UriString,
                    Endpoint = new EndpointReference((IResourceWithEndpoints)resource, endpoint),
                }),
            .. resource.Annotations.OfType<ResourceUrlAnnotation>(),
        ];

        var callbackContext = new ResourceUrlsCallbackContext(context, resource, urls, ct);
        foreach (var callback in resource.Annotations.OfType<ResourceUrlsCallbackAnnotation>())
        {
            await callback.Callback(callbackContext);
        }

        return
        [
            .. urls.Select(url => new UrlSnapshot(url.Endpoint?.EndpointName, url.Url, url.DisplayLocation == UrlDisplayLocation.DetailsOnly)
            {
                DisplayProperties = new UrlDisplayPropertiesSnapshot(url.DisplayText ?? ""),
                IsInactive = Processes.CanRun(resource),
            }),
        ];
    }
}
