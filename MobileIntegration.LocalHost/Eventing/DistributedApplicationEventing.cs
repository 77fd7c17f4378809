using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Eventing;

/// <summary>Something that happened in the application.</summary>
public interface IDistributedApplicationEvent;

/// <summary>Something that happened to one resource.</summary>
public interface IDistributedApplicationResourceEvent : IDistributedApplicationEvent
{
    IResource Resource { get; }
}

/// <summary>How the handlers of an event are called.</summary>
public enum EventDispatchBehavior
{
    /// <summary>One after another; publishing ends when all have.</summary>
    BlockingSequential = 0,

    /// <summary>All at once; publishing ends when all have.</summary>
    BlockingConcurrent = 1,

    /// <summary>One after another, without waiting for them.</summary>
    NonBlockingSequential = 2,

    /// <summary>All at once, without waiting for them.</summary>
    NonBlockingConcurrent = 3,
}

/// <summary>Brings events to those who asked for them.</summary>
public interface IDistributedApplicationEventing
{
    Task PublishAsync<T>(T @event, CancellationToken cancellationToken = default)
        where T : IDistributedApplicationEvent;

    Task PublishAsync<T>(T @event, EventDispatchBehavior dispatchBehavior, CancellationToken cancellationToken = default)
        where T : IDistributedApplicationEvent;

    DistributedApplicationEventSubscription Subscribe<T>(Func<T, CancellationToken, Task> callback)
        where T : IDistributedApplicationEvent;

    /// <summary>Asks for the events of one resource.</summary>
    DistributedApplicationEventSubscription Subscribe<T>(IResource resource, Func<T, CancellationToken, Task> callback)
        where T : IDistributedApplicationResourceEvent;

    void Unsubscribe(DistributedApplicationEventSubscription subscription);
}

/// <summary>A handler that was subscribed.</summary>
public class DistributedApplicationEventSubscription(Func<IDistributedApplicationEvent, CancellationToken, Task> callback)
{
    public Func<IDistributedApplicationEvent, CancellationToken, Task> Callback { get; } = callback;
}

/// <inheritdoc cref="IDistributedApplicationEventing"/>
/// <remarks>Handlers are called in the order of their subscriptions. A sequential handler that throws keeps those after it from being called.</remarks>
public class DistributedApplicationEventing : IDistributedApplicationEventing
{
    private readonly Dictionary<Type, List<DistributedApplicationEventSubscription>> _subscriptions = [];
    private readonly Lock _lock = new();

    /// <summary>Told about handlers that failed while nobody waited for them.</summary>
    internal Action<Type, Exception>? OnUnobservedFailure { get; set; }

    public Task PublishAsync<T>(T @event, CancellationToken cancellationToken = default)
        where T : IDistributedApplicationEvent => PublishAsync(@event, EventDispatchBehavior.BlockingSequential, cancellationToken);

    public async Task PublishAsync<T>(T @event, EventDispatchBehavior dispatchBehavior, CancellationToken cancellationToken = default)
        where T : IDistributedApplicationEvent
    {
        ArgumentNullException.ThrowIfNull(@event);
        List<DistributedApplicationEventSubscription> handlers;
        lock (_lock)
        {
            handlers = _subscriptions.TryGetValue(typeof(T), out var subscribed) ? [.. subscribed] : [];
        }

        if (handlers.Count == 0)
        {
            return;
        }

        var concurrent = dispatchBehavior is EventDispatchBehavior.BlockingConcurrent or EventDispatchBehavior.NonBlockingConcurrent;
        if (dispatchBehavior is EventDispatchBehavior.BlockingSequential or EventDispatchBehavior.BlockingConcurrent)
        {
            await DispatchAsync(handlers, @event, concurrent, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            _ = Task.Run(() => DispatchUnobservedAsync(handlers, @event, concurrent, cancellationToken), CancellationToken.None);
        }
    }

    public DistributedApplicationEventSubscription Subscribe<T>(Func<T, CancellationToken, Task> callback)
        where T : IDistributedApplicationEvent
    {
        ArgumentNullException.ThrowIfNull(callback);
        var subscription = new DistributedApplicationEventSubscription((published, ct) => callback((T)published, ct));
        lock (_lock)
        {
            if (!_subscriptions.TryGetValue(typeof(T), out var subscribed))
            {
                _subscriptions[typeof(T)] = subscribed = [];
            }

            subscribed.Add(subscription);
        }

        return subscription;
    }

    public DistributedApplicationEventSubscription Subscribe<T>(IResource resource, Func<T, CancellationToken, Task> callback)
        where T : IDistributedApplicationResourceEvent
    {
        ArgumentNullException.ThrowIfNull(resource);
        return Subscribe<T>((published, ct) => ReferenceEquals(published.Resource, resource) ? callback(published, ct) : Task.CompletedTask);
    }

    public void Unsubscribe(DistributedApplicationEventSubscription subscription)
    {
        lock (_lock)
        {
            foreach (var subscribed in _subscriptions.Values)
            {
                subscribed.Remove(subscription);
            }
        }
    }

    private static async Task DispatchAsync(List<DistributedApplicationEventSubscription> handlers, IDistributedApplicationEvent published, bool concurrent, CancellationToken ct)
    {
        if (concurrent)
        {
            await Task.WhenAll(handlers.Select(handler => Task.Run(() => handler.Callback(published, ct), ct))).ConfigureAwait(false);
            return;
        }

        foreach (var handler in handlers)
        {
            await handler.Callback(published, ct).ConfigureAwait(false);
        }
    }

    private async Task DispatchUnobservedAsync<T>(List<DistributedApplicationEventSubscription> handlers, T published, bool concurrent, CancellationToken ct)
        where T : IDistributedApplicationEvent
    {
        try
        {
            await DispatchAsync(handlers, published, concurrent, ct).ConfigureAwait(false);
        }
        catch (Exception failure) when (!ct.IsCancellationRequested)
        {
            OnUnobservedFailure?.Invoke(typeof(T), failure);
        }
    }
}
