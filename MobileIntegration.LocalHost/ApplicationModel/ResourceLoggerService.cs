using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>A line of a console log. Numbers start at 1 and rise by one for each line of the instance.</summary>
public readonly record struct LogLine(int LineNumber, string Content, bool IsErrorMessage);

/// <summary>Whether anyone reads the log of an instance.</summary>
public readonly record struct LogSubscriber(string Name, bool AnySubscribers);

/// <summary>
/// The console logs of all resources: what their processes wrote and what the application has to say about them, each line with its UTC time in front.
/// The newest <see cref="MaxBacklog"/> lines of each instance are kept. A reader gets every line from the time it began, however slow it is, and never
/// makes a writer wait.
/// </summary>
public class ResourceLoggerService : IDisposable
{
    /// <summary>The lines kept for an instance.</summary>
    internal const int MaxBacklog = 10_000;

    private readonly ConcurrentDictionary<string, ResourceLog> _logs = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<Channel<LogSubscriber>> _observers = [];
    private readonly Lock _lock = new();
    private bool _disposed;

    /// <summary>Called for every line, for those who write it elsewhere too.</summary>
    internal event Action<string, LogLine>? LineAdded;

    /// <summary>Writes to the console log of all instances of a resource.</summary>
    public ILogger GetLogger(IResource resource)
    {
        ArgumentNullException.ThrowIfNull(resource);
        return new ConsoleLogger(this, resource.GetInstanceIds);
    }

    /// <summary>Writes to the console log of an instance.</summary>
    public ILogger GetLogger(string resourceName) => new ConsoleLogger(this, () => [resourceName]);

    /// <summary>The kept lines of all instances of a resource, then every new one, until the log is completed.</summary>
    public IAsyncEnumerable<IReadOnlyList<LogLine>> WatchAsync(IResource resource)
    {
        ArgumentNullException.ThrowIfNull(resource);
        return ReadAsync(resource.GetInstanceIds(), follow: true);
    }

    /// <inheritdoc cref="WatchAsync(IResource)"/>
    public IAsyncEnumerable<IReadOnlyList<LogLine>> WatchAsync(string resourceName) => ReadAsync([resourceName], follow: true);

    /// <summary>The lines that are kept now.</summary>
    public IAsyncEnumerable<IReadOnlyList<LogLine>> GetAllAsync(IResource resource)
    {
        ArgumentNullException.ThrowIfNull(resource);
        return ReadAsync(resource.GetInstanceIds(), follow: false);
    }

    /// <inheritdoc cref="GetAllAsync(IResource)"/>
    public IAsyncEnumerable<IReadOnlyList<LogLine>> GetAllAsync(string resourceName) => ReadAsync([resourceName], follow: false);

    /// <summary>Tells whether anyone reads a log, for all that are read now and whenever it changes.</summary>
    public async IAsyncEnumerable<LogSubscriber> WatchAnySubscribersAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var channel = Channel.CreateUnbounded<LogSubscriber>();
        lock (_lock)
        {
            foreach (var (name, log) in _logs)
            {
                if (log.HasReaders)
                {
                    channel.Writer.TryWrite(new(name, true));
                }
            }

            _observers.Add(channel);
        }

        try
        {
            await foreach (var subscriber in channel.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return subscriber;
            }
        }
        finally
        {
            lock (_lock)
            {
                _observers.Remove(channel);
            }
        }
    }

    /// <summary>Nothing more will be written until the resource starts again: readers get what there is and end.</summary>
    public void Complete(IResource resource)
    {
        ArgumentNullException.ThrowIfNull(resource);
        foreach (var id in resource.GetInstanceIds())
        {
            Complete(id);
        }
    }

    /// <inheritdoc cref="Complete(IResource)"/>
    public void Complete(string name) => Log(name).Complete();

    /// <summary>Forgets the kept lines of an instance.</summary>
    public void ClearBacklog(string resourceName) => Log(resourceName).Clear();

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _observers.ForEach(observer => observer.Writer.TryComplete());
        }

        foreach (var log in _logs.Values)
        {
            log.Complete();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Adds a line that a process wrote.</summary>
    internal void Append(string resourceId, string text, bool isError)
    {
        var line = Log(resourceId).Add(text, isError);
        LineAdded?.Invoke(resourceId, line);
    }

    private ResourceLog Log(string name) => _logs.GetOrAdd(name, static _ => new());

    private async IAsyncEnumerable<IReadOnlyList<LogLine>> ReadAsync(IReadOnlyList<string> ids, bool follow, [EnumeratorCancellation] CancellationToken ct = default)
    {
        var channel = Channel.CreateUnbounded<LogLine>(new() { SingleReader = true });
        var open = ids.Count;
        var subscriptions = ids.Select(id => (Id: id, Log: Log(id))).ToList();
        void Ended()
        {
            if (Interlocked.Decrement(ref open) == 0)
            {
                channel.Writer.TryComplete();
            }
        }

        var readers = subscriptions.Select(subscription => new ResourceLog.Reader(line => channel.Writer.TryWrite(line), Ended)).ToList();
        try
        {
            for (var i = 0; i < readers.Count; i++)
            {
                if (subscriptions[i].Log.Subscribe(readers[i], follow && !_disposed))
                {
                    Tell(new(subscriptions[i].Id, true));
                }
            }

            while (await channel.Reader.WaitToReadAsync(ct).ConfigureAwait(false))
            {
                List<LogLine> batch = [];
                while (channel.Reader.TryRead(out var line))
                {
                    batch.Add(line);
                }

                yield return batch;
            }
        }
        finally
        {
            for (var i = 0; i < readers.Count; i++)
            {
                if (subscriptions[i].Log.Unsubscribe(readers[i]))
                {
                    Tell(new(subscriptions[i].Id, false));
                }
            }
        }
    }

    private void Tell(LogSubscriber subscriber)
    {
        lock (_lock)
        {
            _observers.ForEach(observer => observer.Writer.TryWrite(subscriber));
        }
    }
}
