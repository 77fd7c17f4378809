using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;

namespace MobileServices.Sync.Changes;

/// <summary>
/// Wakes the feeds of a database that changed: those of this process at once, those of other replicas over LISTEN/NOTIFY. One connection listens for
/// the whole process, from its first feed on. What is told is never needed: a feed looks into the database from time to time in any case.
/// </summary>
internal sealed class ChangeNews(NpgsqlDataSource source, IHostApplicationLifetime lifetime, ILogger<ChangeNews> logger)
{
    private const string Channel = "sync_changed";
    private const int MostTogether = 500;
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(15);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly string _self = Guid.NewGuid().ToString("n")[..12];
    private readonly ConcurrentDictionary<long, Bell> _bells = new();
    private readonly HashSet<long> _untold = [];
    private bool _isTelling;
    private int _isListening;

    /// <summary>Committed changes of that database can be read.</summary>
    public void Tell(long databaseId)
    {
        Ring(databaseId);
        lock (_untold)
        {
            _untold.Add(databaseId);
            if (_isTelling)
            {
                return;
            }
            _isTelling = true;
        }
        _ = Task.Run(TellOthersAsync);
    }

    public Watch Open(long databaseId)
    {
        if (Interlocked.Exchange(ref _isListening, 1) is 0)
        {
            _ = Task.Run(ListenAsync);
        }
        while (true)
        {
            var bell = _bells.GetOrAdd(databaseId, static _ => new());
            if (bell.TryEnter())
            {
                return new(this, databaseId, bell);
            }
        }
    }

    private void Ring(long databaseId)
    {
        if (_bells.TryGetValue(databaseId, out var bell))
        {
            bell.Ring();
        }
    }

    private async Task TellOthersAsync()
    {
        while (true)
        {
            await Task.Delay(Gathering);
            List<long> some;
            lock (_untold)
            {
                some = [.. _untold.Take(MostTogether)];
                _untold.ExceptWith(some);
                if (some.Count is 0)
                {
                    _isTelling = false;
                    return;
                }
            }
            try
            {
                // It may be lost, so it waits for no disk.
                await using var command = source.CreateCommand($"select set_config('synchronous_commit', 'off', true), pg_notify('{Channel}', $1)");
                command.Parameters.Add(new() { Value = $"{_self}:{string.Join(',', some)}" });
                await command.ExecuteNonQueryAsync();
            }
            catch (Exception exception)
            {
                logger.LogWarning("Other replicas were not told of changes; their feeds find them later: {Reason}", exception.Message);
            }
        }
    }

    private async Task ListenAsync()
    {
        var ct = lifetime.ApplicationStopping;
        while (!ct.IsCancellationRequested)
        {
            try
            {
                await using var connection = await source.OpenConnectionAsync(ct);
                connection.Notification += (_, told) => Heard(told.Payload);
                await using (var command = new NpgsqlCommand($"listen {Channel}", connection))
                {
                    await command.ExecuteNonQueryAsync(ct);
                }
                // Whatever was told before is not known.
                foreach (var bell in _bells.Values)
                {
                    bell.Ring();
                }
                while (true)
                {
                    await connection.WaitAsync(ct);
                }
            }
            catch (Exception exception) when (!ct.IsCancellationRequested)
            {
                logger.LogWarning("Changes of other replicas are not told of; feeds find them later: {Reason}", exception.Message);
                await Task.Delay(Retry, CancellationToken.None);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private void Heard(string payload)
    {
        var colon = payload.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0 || payload.AsSpan(0, colon).SequenceEqual(_self))
        {
            return;
        }
        foreach (var range in payload.AsSpan(colon + 1).Split(','))
        {
            if (long.TryParse(payload.AsSpan(colon + 1)[range], NumberStyles.None, CultureInfo.InvariantCulture, out var id))
            {
                Ring(id);
            }
        }
    }

    /// <summary>A feed's interest in a database.</summary>
    internal sealed class Watch(ChangeNews news, long databaseId, Bell bell) : IDisposable
    {
        /// <summary>Ends with the next change. Take it before reading, so that none is missed in between.</summary>
        public Task Next => bell.Next;

        public void Dispose()
        {
            if (bell.Leave())
            {
                news._bells.TryRemove(new(databaseId, bell));
            }
        }
    }

    internal sealed class Bell
    {
        private readonly Lock _lock = new();
        private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _listeners;
        private bool _isGone;

        public Task Next
        {
            get
            {
                lock (_lock)
                {
                    return _next.Task;
                }
            }
        }

        public bool TryEnter()
        {
            lock (_lock)
            {
                _listeners += _isGone ? 0 : 1;
                return !_isGone;
            }
        }

        /// <returns>True for the last.</returns>
        public bool Leave()
        {
            lock (_lock)
            {
                return _isGone = --_listeners is 0;
            }
        }

        public void Ring()
        {
            TaskCompletionSource rung;
            lock (_lock)
            {
                rung = _next;
                _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }
            rung.TrySetResult();
        }
    }
}
