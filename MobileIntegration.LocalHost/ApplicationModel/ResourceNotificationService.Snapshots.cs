using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.ApplicationModel;

public partial class ResourceNotificationService
{
    // Who publishes under an id of its own is an instance from then on; what is said about the resource as a whole is said about all instances.
    private static void RegisterInstance(IResource resource, string id)
    {
        if (string.Equals(id, resource.Name, StringComparison.OrdinalIgnoreCase))
        {
            return;
        }

        var before = resource.Annotations.OfType<ResourceInstancesAnnotation>().LastOrDefault();
        if (before?.Ids.Contains(id, StringComparer.OrdinalIgnoreCase) == true)
        {
            return;
        }

        resource.Annotations.Add(new ResourceInstancesAnnotation([.. before?.Ids ?? [], id]));
        if (before is not null)
        {
            resource.Annotations.Remove(before);
        }
    }

    private static CustomResourceSnapshot InitialSnapshot(IResource resource)
    {
        var snapshot = resource.Annotations.OfType<ResourceSnapshotAnnotation>().LastOrDefault()?.InitialSnapshot
            ?? new CustomResourceSnapshot { ResourceType = resource.GetResourceType(), Properties = [] };
        var icon = resource.Annotations.OfType<ResourceIconAnnotation>().LastOrDefault();
        var relationships = resource.Annotations.OfType<ResourceRelationshipAnnotation>()
            .Select(relationship => new RelationshipSnapshot(relationship.Resource.Name, relationship.Type))
            .Concat(resource is IResourceWithParent { Parent: var parent } ? [new RelationshipSnapshot(parent.Name, KnownRelationshipTypes.Parent)] : []);
        return snapshot with
        {
            CreationTimeStamp = snapshot.CreationTimeStamp ?? DateTime.UtcNow,
            IconName = snapshot.IconName ?? icon?.IconName,
            IconVariant = snapshot.IconVariant ?? icon?.IconVariant,
            IsHidden = snapshot.IsHidden || resource.Annotations.OfType<HiddenAnnotation>().Any(hidden => hidden.Behavior == HiddenBehavior.Always),
            Relationships = [.. snapshot.Relationships.Concat(relationships).Distinct()],
        };
    }

    private CustomResourceSnapshot WithCommands(IResource resource, CustomResourceSnapshot snapshot)
    {
        if (resource.Annotations.OfType<HiddenAnnotation>().LastOrDefault() is { Behavior: HiddenBehavior.OnCompletion } hidden)
        {
            snapshot = snapshot with { IsHidden = snapshot.ExitCode is { } exitCode && hidden.SuccessfulExitCodes.Contains(exitCode) };
        }

        var commands = resource.Annotations.OfType<ResourceCommandAnnotation>().Select(command => new ResourceCommandSnapshot(
            command.Name, StateOf(command, resource, snapshot), command.DisplayName, command.DisplayDescription, null, command.ConfirmationMessage,
            command.IconName, command.IconVariant, command.IsHighlighted)
        { Arguments = command.Arguments, Visibility = command.Visibility });
        return snapshot with { Commands = [.. commands] };
    }

    [SuppressMessage("Design", "CA1031", Justification = "A faulty callback of one command must not keep the state of its resource from being known; the fault is logged.")]
    private ResourceCommandState StateOf(ResourceCommandAnnotation command, IResource resource, CustomResourceSnapshot snapshot)
    {
        try
        {
            return command.UpdateState(new() { ResourceSnapshot = snapshot, Services = serviceProvider });
        }
        catch (Exception fault)
        {
            logger.LogError(fault, "Whether command {Command} of {Resource} can be used is not known", command.Name, resource.Name);
            return ResourceCommandState.Disabled;
        }
    }
}
