using System.Collections.Immutable;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Watches the health of a running resource: at once when it runs, then after 1, 2, 3, 4, 5, 5 ... seconds until it is healthy, then every
/// 30 seconds. The first time it is healthy, its ready event is published.
/// </summary>
internal sealed class HealthMonitor(
    HealthCheckService checks, IOptions<HealthCheckServiceOptions> registered, ResourceNotificationService notifications, TimeProvider time, ILogger<HealthMonitor> logger)
{
    private const int LongestDelaySeconds = 5;
    private static readonly TimeSpan HealthyDelay = TimeSpan.FromSeconds(30);

    /// <summary>The keys of the checks that decide over a resource: its own and those of its parents.</summary>
    public static HashSet<string> KeysOf(IResource resource)
    {
        HashSet<string> keys = [.. resource.Annotations.OfType<HealthCheckAnnotation>().Select(check => check.Key)];
        if (resource is IResourceWithParent child)
        {
            keys.UnionWith(KeysOf(child.Parent));
        }

        return keys;
    }

    /// <exception cref="DistributedApplicationException">A resource has a health check that is not there, and so would never fail.</exception>
    public void ThrowIfUnknown(IEnumerable<IResource> resources)
    {
        var known = registered.Value.Registrations.Select(registration => registration.Name).ToHashSet();
        foreach (var resource in resources)
        {
            if (KeysOf(resource).FirstOrDefault(key => !known.Contains(key)) is { } unknown)
            {
                throw new DistributedApplicationException(
                    $"'{resource.Name}' has the health check '{unknown}', which is not there. Register it with builder.Services.AddHealthChecks().AddCheck(\"{unknown}\", ..), or remove WithHealthCheck(\"{unknown}\").");
            }
        }
    }

    /// <summary>Reports that have not run yet, with which a resource begins.</summary>
    public static ImmutableArray<HealthReportSnapshot> Pending(IResource resource) =>
        [.. KeysOf(resource).Select(key => new HealthReportSnapshot(key, null, null, null))];

    /// <summary>Watches until <paramref name="ct"/> ends it, which is when the instance no longer runs.</summary>
    /// <param name="ready">Publishes the resource's ready event, once for all its replicas.</param>
    public async Task WatchAsync(IResource resource, string instanceId, Lazy<Task> ready, CancellationToken ct)
    {
        try
        {
            var keys = KeysOf(resource);
            if (keys.Count == 0)
            {
                await PublishReadyAsync(resource, instanceId, ready, ct);
                return;
            }

            var wasReady = false;
            for (var failures = 0; ;)
            {
                // Neither a check nor a handler that does not look at its token may hold up a stop.
                var report = await checks.CheckHealthAsync(check => keys.Contains(check.Name), ct).WaitAsync(ct);
                await PublishAsync(resource, instanceId, report);
                if (report.Status == HealthStatus.Healthy)
                {
                    failures = 0;
                    if (!wasReady)
                    {
                        wasReady = true;
                        await PublishReadyAsync(resource, instanceId, ready, ct);
                    }
                }
                else
                {
                    failures++;
                }

                var delay = failures == 0 ? HealthyDelay : TimeSpan.FromSeconds(Math.Min(failures, LongestDelaySeconds));
                await Task.Delay(delay, time, ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // The resource has ended.
        }
        catch (Exception exception)
        {
            logger.LogError(exception, "The health of {Resource} is no longer watched.", resource.Name);
        }
    }

    private Task PublishAsync(IResource resource, string instanceId, HealthReport report)
    {
        var now = time.GetUtcNow().UtcDateTime;
        ImmutableArray<HealthReportSnapshot> reports =
        [
            .. report.Entries.Select(entry =>
                new HealthReportSnapshot(entry.Key, entry.Value.Status, entry.Value.Description, entry.Value.Exception?.Message) { LastRunAt = now }),
        ];
        return notifications.PublishUpdateAsync(resource, instanceId, snapshot => snapshot.WithHealthReports(reports));
    }

    private async Task PublishReadyAsync(IResource resource, string instanceId, Lazy<Task> ready, CancellationToken ct)
    {
        await notifications.PublishUpdateAsync(resource, instanceId, snapshot => snapshot with { ResourceReady = ready.Value });
        try
        {
            await ready.Value.WaitAsync(ct);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            // Those that wait for the resource fail with it; the resource itself goes on.
            logger.LogError(exception, "A handler of the ready event of {Resource} failed.", resource.Name);
        }
    }
}
