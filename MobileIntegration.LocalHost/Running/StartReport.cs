using System.Diagnostics;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>Tells in the terminal where the system is reached, and when all of it is healthy.</summary>
internal sealed class StartReport(DistributedApplicationModel model, ResourceNotificationService notifications, ILogger log)
{
    public async Task WriteAsync(IReadOnlyList<IResource> selected, long started, CancellationToken ct)
    {
        try
        {
            foreach (var resource in model.Resources.Where(selected.Contains))
            {
                foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>().Where(endpoint => endpoint.IsExternal))
                {
                    log.LogInformation("{Resource}: {Url}", resource.Name, endpoint.AllocatedEndpoint?.UriString);
                }
            }

            var waited = selected.Where(resource => Processes.CanRun(resource) && !resource.Annotations.OfType<ExplicitStartupAnnotation>().Any()).ToList();
            await Task.WhenAll(waited.Select(resource =>
                notifications.WaitForResourceHealthyAsync(resource.Name, WaitBehavior.WaitOnResourceUnavailable, ct)));
            log.LogInformation("All {Count} resources are healthy after {Seconds:0.0} s.", waited.Count, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Stopped before it was all there.
        }
    }
}
