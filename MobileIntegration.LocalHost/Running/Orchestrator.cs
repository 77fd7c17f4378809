using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Dashboard;
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
    private readonly List<Task> _following = [];
    private DataFolder? _data;
    private DashboardHost? _dashboard;
    private Endpoints? _endpoints;
    private Processes? _processes;
    private Task? _stopped;

    /// <exception cref="DistributedApplicationException">The model cannot run here; the message says why and what to do.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        _data = new DataFolder(settings.DataFolder, settings.ResetData, settings.TemporaryData);
        var ports = new Ports(configuration, _data.In("ports.json"), settings.RandomPorts);
        _dashboard = services.GetService<DashboardHost>();
        var dashboard = _dashboard?.StartAsync(ports, cancellationToken) ?? Task.CompletedTask;
        _endpoints = new Endpoints(ports, loggers);
        _processes = new Processes(configuration, environment, context, _data);
        var followers = new Followers(_processes, notifications, loggers, eventing, health, time, services, log);

        var selected = await SelectAsync([], cancellationToken);
        await eventing.PublishAsync(new BeforeStartEvent(services, model), cancellationToken);

        // Its handlers may add resources.
        selected = await SelectAsync(selected, cancellationToken);
        health.ThrowIfUnknown(selected);
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
                _following.Add(followers.FollowAsync(resource, _stopping.Token));
            }
        }

        await eventing.PublishAsync(new AfterResourcesCreatedEvent(services, model), cancellationToken);
        await dashboard;
        _following.Add(new StartReport(model, notifications, _dashboard?.LoginUrl, log).WriteAsync([.. selected], started, _stopping.Token));
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
        await Dependencies.InReverseAsync(_runners.Keys, StopAsync);
        await Task.WhenAll(_following);
        if (_dashboard is { } dashboard)
        {
            await dashboard.StopAsync();
        }

        if (_endpoints is not null)
        {
            await _endpoints.DisposeAsync();
        }

        foreach (var runner in _runners.Values)
        {
            runner.Dispose();
        }

        _processes?.Dispose();
        try
        {
            _data?.Dispose();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            log.LogWarning("The data of this run could not be deleted: {Reason}", exception.Message);
        }
    }

    /// <summary>A failure to stop one must not keep the others from it.</summary>
    private async Task StopAsync(IResource resource)
    {
        try
        {
            await _runners[resource].CloseAsync();
        }
        catch (Exception exception)
        {
            log.LogError(exception, "{Resource} could not be stopped in order.", resource.Name);
        }
    }

    /// <summary>What is to start; what was not <paramref name="known"/> before is looked at for what it lacks.</summary>
    private async Task<HashSet<IResource>> SelectAsync(HashSet<IResource> known, CancellationToken ct)
    {
        var selected = Dependencies.Select(model.Resources, settings.Only);
        var awaits = configuration.GetValue<bool?>("Dashboard:AwaitParameters") ?? !Console.IsInputRedirected;
        foreach (var parameter in selected.Except(known).OfType<ParameterResource>())
        {
            // A missing value is waited for where there is a page to give it on, and somebody who reads so; a script gets an error.
            if (_dashboard is { } dashboard && awaits && parameter.AwaitIfMissing() is { } missing)
            {
                log.LogWarning("{Missing} Or give it on the page Parameters of the dashboard: {Url}", missing, dashboard.LoginUrl);
            }
            else
            {
                await parameter.GetValueAsync(ct);
            }
        }

        foreach (var resource in selected.Except(known).Where(Processes.CanRun))
        {
            await _processes!.PrepareAsync(resource, loggers.GetLogger(resource), ct);
        }

        return selected;
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
        return new ResourceRunner(resource, instances, notifications, eventing, health, services, log);

        static string Suffix() => new(Random.Shared.GetItems<char>("abcdefghjkmnpqrstuvwxyz", 8));
    }
}
