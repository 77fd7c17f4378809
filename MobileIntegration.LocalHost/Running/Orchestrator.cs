using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Eventing;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Runs the model: gives out addresses, starts every resource as soon as what it waits for is there, and at the end stops all of them, those
/// that need others first.
/// </summary>
internal sealed class Orchestrator(
    DistributedApplicationModel model, RunningSettings settings, IConfiguration configuration, IHostEnvironment environment,
    DistributedApplicationExecutionContext context, ResourceNotificationService notifications, ResourceLoggerService loggers,
    IDistributedApplicationEventing eventing, HealthMonitor health, TimeProvider time, IServiceProvider services, ILogger<Orchestrator> log)
    : IHostedService, IAsyncDisposable
{
    private readonly Dictionary<IResource, ResourceRunner> _runners = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _followers = [];
    private DataFolder? _data;
    private Endpoints? _endpoints;
    private Processes? _processes;
    private Task? _stopped;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        _data = new DataFolder(settings.DataFolder, settings.ResetData, settings.TemporaryData);
        var ports = new Ports(configuration, _data.In("ports.json"), settings.RandomPorts);
        _endpoints = new Endpoints(ports, loggers);
        _processes = new Processes(configuration, environment, context, _data);
        DeleteSessionData();

        var selected = Dependencies.Select(model.Resources, settings.Only);
        await CheckParametersAsync(selected, cancellationToken);
        foreach (var resource in selected.Where(Processes.CanRun))
        {
            await _processes.PrepareAsync(resource, loggers.GetLogger(resource), cancellationToken);
        }

        await eventing.PublishAsync(new BeforeStartEvent(services, model), cancellationToken);
        foreach (var resource in model.Resources)
        {
            await InitializeAsync(resource, cancellationToken);
        }

        ports.Keep();
        foreach (var resource in model.Resources)
        {
            var start = selected.Contains(resource) && !resource.Annotations.OfType<ExplicitStartupAnnotation>().Any();
            if (_runners.TryGetValue(resource, out var runner))
            {
                if (start)
                {
                    await runner.StartAsync(null, ignoreWaits: false);
                }
            }
            else if (start)
            {
                _followers.Add(FollowAsync(resource));
            }
        }

        await eventing.PublishAsync(new AfterResourcesCreatedEvent(services, model), cancellationToken);
        _followers.Add(new StartReport(model, notifications, log).WriteAsync([.. selected], started, _stopping.Token));
    }

    public Task StopAsync(CancellationToken cancellationToken) => StopAllAsync();

    public async ValueTask DisposeAsync()
    {
        // After a start that failed half-way, the host disposes without stopping.
        await StopAllAsync();
        _stopping.Dispose();
    }

    private Task StopAllAsync() => _stopped ??= StopEverythingAsync();

    private async Task StopEverythingAsync()
    {
        await _stopping.CancelAsync();
        Dictionary<IResource, Task> stops = [];
        await Task.WhenAll(_runners.Keys.Select(StopInOrder).ToList());
        await Task.WhenAll(_followers);
        if (_endpoints is not null)
        {
            await _endpoints.DisposeAsync();
        }

        foreach (var runner in _runners.Values)
        {
            runner.Dispose();
        }

        DeleteSessionData();
        _data?.Dispose();

        Task StopInOrder(IResource resource)
        {
            if (!stops.TryGetValue(resource, out var stop))
            {
                var dependents = _runners.Keys.Where(other => other != resource && Dependencies.Of(other).Any(need => Root(need) == resource)).ToList();
                stops[resource] = stop = StopAfterAsync(dependents, resource);
            }

            return stop;
        }

        async Task StopAfterAsync(List<IResource> dependents, IResource resource)
        {
            await Task.WhenAll(dependents.Select(StopInOrder).ToList());
            await _runners[resource].StopAsync(null);
        }
    }

    private static IResource Root(IResource resource) => resource is IResourceWithParent child ? Root(child.Parent) : resource;

    private static async Task CheckParametersAsync(IEnumerable<IResource> selected, CancellationToken ct)
    {
        foreach (var parameter in selected.OfType<ParameterResource>())
        {
            await parameter.GetValueAsync(ct);
        }
    }

    private void DeleteSessionData()
    {
        if (_data?.In("session") is { } folder && Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task InitializeAsync(IResource resource, CancellationToken ct)
    {
        await eventing.PublishAsync(new InitializeResourceEvent(resource, eventing, loggers, notifications, services), ct);

        if (_processes!.IsExternal(resource))
        {
            ExternalServers.Use(resource, configuration);
        }
        else
        {
            _endpoints!.Allocate(resource);
        }

        await eventing.PublishAsync(new ResourceEndpointsAllocatedEvent(resource, services), ct);
        if (resource is IResourceWithConnectionString)
        {
            await eventing.PublishAsync(new ConnectionStringAvailableEvent(resource, services), ct);
        }

        if (Processes.CanRun(resource) && !_processes.IsExternal(resource))
        {
            var runner = CreateRunner(resource);
            _runners[resource] = runner;
            LifecycleCommands.Add(resource, runner, _processes);
        }

        var shown = await Snapshots.InitialAsync(resource, context, ct);
        await notifications.PublishUpdateAsync(resource, shown);
    }

    private ResourceRunner CreateRunner(IResource resource)
    {
        var replicas = resource.GetReplicaCount();
        List<string> ids = replicas == 1 ? [resource.Name] : [.. Enumerable.Range(1, replicas).Select(_ => $"{resource.Name}-{Suffix()}")];
        resource.Annotations.Add(new ResourceInstancesAnnotation(ids));
        var instances = ids.ConvertAll(id => new Instance(
            resource, id, _processes!, _endpoints!, new RestartPolicy(resource, configuration, settings.StopWaitingOnFailure),
            notifications, loggers.GetLogger(id), log, time));
        return new ResourceRunner(resource, instances, notifications, eventing, health, services);

        static string Suffix() => new(Random.Shared.GetItems<char>("abcdefghjkmnpqrstuvwxyz", 8));
    }

    /// <summary>Resources without a process of their own: a parameter has its value, a database is there with its server.</summary>
    private async Task FollowAsync(IResource resource)
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
                await notifications.WaitForResourceHealthyAsync(parent.Name, WaitBehavior.WaitOnResourceUnavailable, _stopping.Token);
            }

            if (resource is not (ParameterResource or IResourceWithConnectionString or ExternalServiceResource) && !_processes!.IsExternal(resource))
            {
                return;
            }

            await notifications.WaitForDependenciesAsync(resource, _stopping.Token);
            await eventing.PublishAsync(new BeforeResourceStartedEvent(resource, services), _stopping.Token);
            await notifications.PublishUpdateAsync(resource, snapshot => snapshot with
            {
                State = new ResourceStateSnapshot(KnownResourceStates.Running, KnownResourceStateStyles.Success),
                StartTimeStamp = time.GetUtcNow().UtcDateTime,
                HealthReports = HealthMonitor.Pending(resource),
                Urls = [.. snapshot.Urls.Select(url => url with { IsInactive = false })],
            });
            var ready = new Lazy<Task>(() => eventing.PublishAsync(new ResourceReadyEvent(resource, services), _stopping.Token));
            await health.WatchAsync(resource, resource.Name, ready, _stopping.Token);
        }
        catch (OperationCanceledException)
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
