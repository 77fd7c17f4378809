using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Eventing;

namespace MobileIntegration.LocalHost.Running;

/// <summary>The life of one resource and its replicas: waits for what it needs, starts, is watched, stops, and starts again when told.</summary>
internal sealed class ResourceRunner(
    IResource resource, IReadOnlyList<Instance> instances, ResourceNotificationService notifications,
    IDistributedApplicationEventing eventing, HealthMonitor health, IServiceProvider services, ILogger log) : IDisposable
{
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly Dictionary<Instance, Life> _lives = [];
    private bool _closed;

    public IResource Resource => resource;

    public IReadOnlyList<Instance> Instances => instances;

    /// <summary>Starts the instance with this id, or all of them; those that run go on. Returns when the start is under way.</summary>
    /// <param name="instanceId">Null for all.</param>
    /// <param name="ignoreWaits">Starts without waiting for what the resource waits for.</param>
    /// <exception cref="DistributedApplicationException">The application ends.</exception>
    public async Task StartAsync(string? instanceId, bool ignoreWaits)
    {
        await _gate.WaitAsync();
        try
        {
            if (_closed)
            {
                throw new DistributedApplicationException($"'{resource.Name}' is not started, for the application is ending.");
            }

            var starting = Which(instanceId).Where(instance =>
                !_lives.TryGetValue(instance, out var life) || life.Work.IsCompleted || life.IsWaiting || instance.IsBetweenStarts).ToList();
            foreach (var waiting in starting)
            {
                await EndAsync(waiting);
            }

            if (starting.Count > 0)
            {
                foreach (var instance in starting)
                {
                    await instance.PublishAsync(KnownResourceStates.Starting);
                }

                var preparing = new CancellationTokenSource();
                var prepared = PrepareAsync(starting, ignoreWaits, preparing.Token);
                var ready = new Lazy<Task>(() => eventing.PublishAsync(new ResourceReadyEvent(resource, services), preparing.Token));
                foreach (var instance in starting)
                {
                    var stopping = new CancellationTokenSource();
                    _lives[instance] = new Life(LiveAsync(instance, prepared, ready, stopping.Token), stopping, prepared, preparing);
                }
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Stops the instance with this id, or all of them, and returns when they have ended.</summary>
    public async Task StopAsync(string? instanceId)
    {
        await _gate.WaitAsync();
        try
        {
            await Task.WhenAll(Which(instanceId).Select(EndAsync));
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Dispose() => _gate.Dispose();

    /// <summary>Stops all instances for good.</summary>
    public async Task CloseAsync()
    {
        await _gate.WaitAsync();
        try
        {
            _closed = true;
            await Task.WhenAll(instances.Select(EndAsync));
        }
        finally
        {
            _gate.Release();
        }
    }

    private IEnumerable<Instance> Which(string? instanceId) =>
        instanceId is null || instanceId == resource.Name ? instances : instances.Where(instance => instance.Id == instanceId);

    private async Task EndAsync(Instance instance)
    {
        if (_lives.Remove(instance, out var life))
        {
            await life.Stopping.CancelAsync();
            if (!_lives.Values.Any(other => other.Preparing == life.Preparing))
            {
                await life.Preparing.CancelAsync();
            }

            await life.Work;
            life.Stopping.Dispose();
        }
    }

    /// <summary>False when what the resource waits for has failed.</summary>
    private async Task<bool> PrepareAsync(IReadOnlyList<Instance> starting, bool ignoreWaits, CancellationToken ct)
    {
        try
        {
            if (!ignoreWaits)
            {
                await notifications.WaitForDependenciesAsync(resource, ct);
            }

            await eventing.PublishAsync(new BeforeResourceStartedEvent(resource, services), ct);
            return true;
        }
        catch (Exception) when (ct.IsCancellationRequested)
        {
            // All its instances have been stopped, and say so themselves.
            return false;
        }
        catch (Exception exception)
        {
            foreach (var instance in starting)
            {
                await instance.FailAsync(exception);
            }

            return false;
        }
    }

    private async Task LiveAsync(Instance instance, Task<bool> prepared, Lazy<Task> ready, CancellationToken ct)
    {
        await Task.Yield();
        try
        {
            if (!await prepared.WaitAsync(ct))
            {
                ct.ThrowIfCancellationRequested();
                return;
            }

            await instance.RunAsync(running => health.WatchAsync(resource, instance.Id, ready, running), ct);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Stopped before a start, or between two.
            await instance.PublishAsync(prepared is { IsCompletedSuccessfully: true, Result: true } ? KnownResourceStates.Finished : KnownResourceStates.NotStarted);
        }
        catch (Exception exception)
        {
            await instance.FailAsync(exception);
        }

        if (notifications.TryGetCurrentState(instance.Id, out var last))
        {
            try
            {
                await eventing.PublishAsync(new ResourceStoppedEvent(resource, services, last), CancellationToken.None);
            }
            catch (Exception exception)
            {
                log.LogError(exception, "A handler of the stopped event of {Resource} failed.", resource.Name);
            }
        }
    }

    /// <param name="Preparing">Shared by the instances that were started together.</param>
    private sealed record Life(Task Work, CancellationTokenSource Stopping, Task<bool> Prepared, CancellationTokenSource Preparing)
    {
        public bool IsWaiting => !Prepared.IsCompleted;
    }
}
