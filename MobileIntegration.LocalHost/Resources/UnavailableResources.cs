using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>Tools that Aspire runs in containers: shown, once a name, with the reason why they do not run here.</summary>
internal static class UnavailableResources
{
    public static void Add<T>(IResourceBuilder<IResource> owner, string name, Func<string, T> create, int port, string instead, Action<IResourceBuilder<T>>? configure)
        where T : ContainerResource
    {
        var builder = owner.ApplicationBuilder;
        if (builder.Resources.OfType<T>().FirstOrDefault() is { } there)
        {
            configure?.Invoke(builder.CreateResourceBuilder(there));
            return;
        }

        var tool = builder.AddResource(create(name))
            .WithHttpEndpoint(targetPort: port)
            .WithAnnotation(new UnavailableAnnotation($"Needs a container engine, which this host does without: use {instead}, or run with UseAspire=true."));
        tool.WithRelationship(owner.Resource, KnownRelationshipTypes.Parent);
        configure?.Invoke(tool);
    }
}
