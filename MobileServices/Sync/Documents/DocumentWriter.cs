using System.Collections.Concurrent;
using System.Diagnostics;
using MobileServices.Sync.Changes;
using MobileServices.Sync.Checkpoints;
using MobileServices.Sync.Databases;

namespace MobileServices.Sync.Documents;

/// <summary>
/// Writes to one database come one after the other in any case, as their order is that of the commits. What is waiting meanwhile shares the next
/// transaction, and so one flush of the disk.
/// </summary>
internal sealed class DocumentWriter(EditTransaction transaction, ChangeNews news, WakeUps wakeUps, SyncMetrics metrics)
{
    /// <summary>Documents in a transaction that more are not added to.</summary>
    private const int Enough = 500;

    private readonly ConcurrentDictionary<DatabaseKey, Queue> _queues = new();

    /// <summary>Writes them; what came of each stands in it.</summary>
    /// <exception cref="SyncException">The database is not there.</exception>
    public async Task WriteAsync(DatabaseKey key, IReadOnlyList<Edit> edits)
    {
        if (edits.Count is 0)
        {
            return;
        }
        var work = new Work(edits);
        var (queue, isFirst) = Enter(key, work);
        if (isFirst)
        {
            // No other thread is needed for it. Those that came meanwhile are not on the time of this client, which may go.
            await WriteAsync(key, [work]);
            _ = RunAsync(key, queue);
        }
        await work.Done.Task;
    }

    /// <returns>Whether it is to be written at once; somebody else is writing otherwise, and takes it from the queue.</returns>
    private (Queue Queue, bool IsFirst) Enter(DatabaseKey key, Work work)
    {
        while (true)
        {
            var queue = _queues.GetOrAdd(key, static _ => new());
            lock (queue)
            {
                if (queue.IsClosed)
                {
                    continue;
                }
                if (queue.IsRunning)
                {
                    queue.Waiting.Enqueue(work);
                    return (queue, false);
                }
                queue.IsRunning = true;
                return (queue, true);
            }
        }
    }

    private async Task RunAsync(DatabaseKey key, Queue queue)
    {
        while (true)
        {
            var together = new List<Work>();
            lock (queue)
            {
                for (var count = 0; count < Enough && queue.Waiting.TryDequeue(out var next); count += next.Edits.Count)
                {
                    together.Add(next);
                }
                if (together.Count is 0)
                {
                    queue.IsClosed = true;
                    _queues.TryRemove(new(key, queue));
                    return;
                }
            }
            await WriteAsync(key, together);
        }
    }

    private async Task WriteAsync(DatabaseKey key, List<Work> together)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            var changed = await transaction.RunAsync(key, [.. together.SelectMany(work => work.Edits)], CancellationToken.None);
            metrics.Written(together.Sum(work => work.Edits.Count), Stopwatch.GetElapsedTime(began));
            if (changed is { } id)
            {
                news.Tell(id);
                wakeUps.Changed();
            }
            together.ForEach(work => work.Done.TrySetResult());
        }
        catch (Exception exception) when (together.Count is 1 || exception is SyncException)
        {
            together.ForEach(work => work.Done.TrySetException(exception));
        }
        catch (Exception)
        {
            // What one of them cannot have written is not to fail the others.
            foreach (var work in together)
            {
                await WriteAsync(key, [work]);
            }
        }
    }

    private sealed class Queue
    {
        public Queue<Work> Waiting { get; } = [];

        public bool IsRunning { get; set; }

        public bool IsClosed { get; set; }
    }

    private sealed record Work(IReadOnlyList<Edit> Edits)
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
