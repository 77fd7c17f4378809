using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Eventing;

namespace MobileIntegration.LocalHost.Running;

/// <summary>Resources without a process of their own: a parameter has its value, a database is there with its server.</summary>
internal sealed class Followers(
    Processes processes, ResourceNotificationService notifications, ResourceLoggerService loggers, IDistributedApplicationEventing eventing,
    HealthMonitor health, TimeProvider time, IServiceProvider services, ILogger log)
{
    /// <summary>Shows the resource as running once it can be used, and watches it from then on.</summary>
    public async Task FollowAsync(IResource resource, CancellationToken ct)
    {
        try
        {
            if (resource.TryGetLastAnnotation<UnavailableAnnotation>(out var unavailable))
            {
                loggers.GetLogger(resource).LogWarning("{Reason}", unavailable.Reason);
                await notifications.PublishUpdateAsync(resource, snapshot => snapshot with
                {
                    State = new ResourceStateSnapshot("Not available here", KnownResourceStateStyles.Warn),
                    Properties = snapshot.Properties.With("resource.reason", unavailable.Reason),
                });
                return;
            }

            if (resource is IResourceWithParent { Parent: var parent } && parent is not IResourceWithoutLifetime)
            {
                // Only then has whoever creates it, on the parent's ready event, done so.
                await notifications.WaitForResourceHealthyAsync(parent.Name, WaitBehavior.WaitOnResourceUnavailable, ct);
            }

            if (resource is not (ParameterResource or IResourceWithConnectionString or ExternalServiceResource) && !processes.IsExternal(resource))
            {
                return;
            }

            if (resource is ParameterResource { IsMissing: true } parameter)
            {
                await notifications.PublishUpdateAsync(resource, snapshot => snapshot with
                {
                    State = new ResourceStateSnapshot(KnownResourceStates.ValueMissing, KnownResourceStateStyles.Warn),
                });
                await parameter.GetValueAsync(ct);
            }

            await notifications.WaitForDependenciesAsync(resource, ct);
            await eventing.PublishAsync(new BeforeResourceStartedEvent(resource, services), ct);
            await notifications.PublishUpdateAsync(resource, snapshot => snapshot with
            {
                State = new ResourceStateSnapshot(KnownResourceStates.Running, KnownResourceStateStyles.Success),
                StartTimeStamp = time.GetUtcNow().UtcDateTime,
                HealthReports = HealthMonitor.Pending(resource),
                Urls = [.. snapshot.Urls.Select(url => url with { IsInactive = false })],
            });
            var ready = new Lazy<Task>(() => eventing.PublishAsync(new ResourceReadyEvent(resource, services), ct));
            await health.WatchAsync(resource, resource.Name, ready, ct);
        }
        catch (Exception) when (ct.IsCancellationRequested)
        {
            // The application ends.
        }
        catch (Exception exception)
        {
            log.LogError("{Resource} could not be started: {Reason}", resource.Name, exception.Message);
            await notifications.PublishUpdateAsync(resource, snapshot => snapshot with
            {
                State = new ResourceStateSnapshot(KnownResourceStates.FailedToStart, KnownResourceStateStyles.Error),
            });
        }
    }
}
