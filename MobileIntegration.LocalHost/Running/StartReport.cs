using System.Diagnostics;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>Tells in the terminal where the system is reached, and when all of it is healthy.</summary>
internal sealed class StartReport(DistributedApplicationModel model, ResourceNotificationService notifications, string? dashboard, ILogger log)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(20);

    public async Task WriteAsync(IReadOnlyList<IResource> selected, long started, CancellationToken ct)
    {
        try
        {
            if (dashboard is not null)
            {
                log.LogInformation("Login to the dashboard at {Url}", dashboard);
            }

            foreach (var resource in model.Resources.Where(selected.Contains))
            {
                foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>().Where(endpoint => endpoint.IsExternal))
                {
                    log.LogInformation("{Resource}: {Url}", resource.Name, endpoint.AllocatedEndpoint?.UriString);
                }
            }

            var waited = selected.Where(resource => Processes.CanRun(resource) && !resource.Annotations.OfType<ExplicitStartupAnnotation>().Any()).ToList();
            var healthy = waited.ToDictionary(
                resource => resource.Name, resource => notifications.WaitForResourceHealthyAsync(resource.Name, WaitBehavior.WaitOnResourceUnavailable, ct));
            var all = Task.WhenAll(healthy.Values);
            while (await Task.WhenAny(all, Task.Delay(Pause, ct)) != all)
            {
                log.LogInformation("Not healthy yet: {Resources}", string.Join("; ", healthy.Where(one => !one.Value.IsCompleted).Select(one => Describe(one.Key))));
            }

            await all;
            log.LogInformation("All {Count} resources are healthy after {Seconds:0.0} s.", waited.Count, Stopwatch.GetElapsedTime(started).TotalSeconds);
            // What the start has left behind would stay for as long as nothing happens.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Stopped before it was all there.
        }
        catch (Exception exception)
        {
            log.LogError("Whether all is healthy cannot be told: {Reason}", exception.Message);
        }
    }

    private string Describe(string name)
    {
        var instances = notifications.CurrentStates.Where(state => state.Resource.Name == name).Select(state => state.Snapshot).ToList();
        var states = string.Join(", ", instances.Select(instance => instance.State?.Text).Distinct());
        var reports = instances.SelectMany(instance => instance.HealthReports)
            .Where(report => report.Status is not HealthStatus.Healthy)
            .Select(report => report.ExceptionText ?? report.Description ?? $"{report.Name} has not answered")
            .Distinct();
        return $"{name} ({string.Join(", ", reports.Prepend(states))})";
    }
}
