using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MobileIntegration.LocalHost.Eventing;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>How waiting behaves.</summary>
public sealed class ResourceNotificationServiceOptions
{
    /// <summary>What waiting does by default when a dependency fails. Without a dashboard nobody could start it again, so waiting stops.</summary>
    public WaitBehavior DefaultWaitBehavior { get; set; }
}

/// <summary>Knows the state of every resource and tells of changes. All members may be used from any thread.</summary>
public partial class ResourceNotificationService(
    ILogger<ResourceNotificationService> logger,
    IHostApplicationLifetime hostApplicationLifetime,
    IServiceProvider serviceProvider,
    ResourceLoggerService resourceLoggerService) : IDisposable
{
    private readonly Dictionary<string, ResourceEvent> _states = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<Channel<ResourceEvent>> _watchers = [];
    private readonly Lock _lock = new();
    private long _version;
    private bool _disposed;

    internal WaitBehavior DefaultWaitBehavior =>
        serviceProvider.GetService<IOptions<ResourceNotificationServiceOptions>>()?.Value.DefaultWaitBehavior ?? WaitBehavior.StopOnResourceUnavailable;

    /// <summary>The state of every instance of every resource.</summary>
    internal IReadOnlyList<ResourceEvent> CurrentStates
    {
        get
        {
            lock (_lock)
            {
                return [.. _states.Values];
            }
        }
    }

    /// <summary>Changes the state of all instances of a resource.</summary>
    public Task PublishUpdateAsync(IResource resource, Func<CustomResourceSnapshot, CustomResourceSnapshot> stateFactory)
    {
        ArgumentNullException.ThrowIfNull(resource);
        foreach (var id in resource.GetInstanceIds())
        {
            Publish(resource, id, stateFactory);
        }

        return Task.CompletedTask;
    }

    /// <summary>Changes the state of one instance of a resource. The factory is called with the newest state, one change at a time.</summary>
    public Task PublishUpdateAsync(IResource resource, string resourceId, Func<CustomResourceSnapshot, CustomResourceSnapshot> stateFactory)
    {
        ArgumentNullException.ThrowIfNull(resource);
        Publish(resource, resourceId, stateFactory);
        return Task.CompletedTask;
    }

    /// <summary>The state of an instance, by its id.</summary>
    public bool TryGetCurrentState(string resourceId, [NotNullWhen(true)] out ResourceEvent? resourceEvent)
    {
        lock (_lock)
        {
            return _states.TryGetValue(resourceId, out resourceEvent);
        }
    }

    /// <summary>The present state of every instance, then every change, in order; none is left out however slowly they are read.</summary>
    public async IAsyncEnumerable<ResourceEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var channel = Channel.CreateUnbounded<ResourceEvent>(new() { SingleReader = true });
        lock (_lock)
        {
            foreach (var state in _states.Values)
            {
                channel.Writer.TryWrite(state);
            }

            if (_disposed)
            {
                channel.Writer.Complete();
            }
            else
            {
                _watchers.Add(channel);
            }
        }

        try
        {
            await foreach (var change in channel.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return change;
            }
        }
        finally
        {
            lock (_lock)
            {
                _watchers.Remove(channel);
            }
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _watchers.ForEach(watcher => watcher.Writer.TryComplete());
            _watchers.Clear();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Publishes the ready event of a resource; waiting for the resource to be healthy ends when its handlers have.</summary>
    internal async Task PublishReadyAsync(IResource resource, IDistributedApplicationEventing eventing, CancellationToken ct)
    {
        var handlers = Task.Run(() => eventing.PublishAsync(new ResourceReadyEvent(resource, serviceProvider), ct), ct);
        await PublishUpdateAsync(resource, snapshot => snapshot with { ResourceReady = handlers }).ConfigureAwait(false);
        await handlers.ConfigureAwait(false);
    }

    private void Publish(IResource resource, string id, Func<CustomResourceSnapshot, CustomResourceSnapshot> change)
    {
        lock (_lock)
        {
            var before = _states.TryGetValue(id, out var known) ? known.Snapshot : InitialSnapshot(resource);
            var after = change(before);
            after = WithCommands(resource, after with { Version = ++_version });
            var published = new ResourceEvent(resource, id, after);
            if (_states.TryAdd(id, published))
            {
                RegisterInstance(resource, id);
            }

            _states[id] = published;
            _watchers.ForEach(watcher => watcher.Writer.TryWrite(published));

            if (before.State?.Text != after.State?.Text)
            {
                logger.LogDebug("Resource {Resource} is {State} (was {Before})", id, after.State?.Text, before.State?.Text);
            }
        }
    }
}
