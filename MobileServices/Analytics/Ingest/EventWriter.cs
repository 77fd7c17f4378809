using System.Threading.Channels;
using MobileServices.Analytics.Rollups;
using Npgsql;

namespace MobileServices.Analytics.Ingest;

/// <summary>
/// Writes what requests bring, those that wait together in one transaction: a commit costs the same for one event and for five thousand.
/// A request goes on when its events are durable.
/// </summary>
internal sealed class EventWriter(
    EventStore store, RollupWorker rollups, Microsoft.Extensions.Options.IOptions<AnalyticsOptions> options, AnalyticsMetrics metrics, TimeProvider time, ILogger<EventWriter> logger) : BackgroundService
{
    private const int MostEvents = 5000;
    private const int MostWaiting = 10_000;

    private readonly Channel<Parcel> _waiting = Channel.CreateBounded<Parcel>(MostWaiting);

    /// <summary>Returns when the events are durable, and the drops noted.</summary>
    /// <exception cref="NpgsqlException">They are not.</exception>
    public async Task WriteAsync(IReadOnlyList<TrackedEvent> events, IReadOnlyList<Drop> drops, CancellationToken ct)
    {
        Count(drops);
        if (events.Count is 0 && drops.Count is 0)
        {
            return;
        }
        var parcel = new Parcel(events, drops, new(TaskCreationOptions.RunContinuationsAsynchronously));
        await _waiting.Writer.WriteAsync(parcel, ct);
        // The events point into the body of the request, so it must not end before they are written.
        await parcel.Done.Task;
    }

    /// <summary>Notes what was refused, when there is room; nobody waits for it.</summary>
    public void Note(Drop drop)
    {
        Count([drop]);
        _waiting.Writer.TryWrite(new([], [drop], new()));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await Task.WhenAll(Enumerable.Range(0, options.Value.Writers).Select(_ => Task.Run(() => WriteAllAsync(stoppingToken), stoppingToken)));
        }
        finally
        {
            _waiting.Writer.TryComplete();
            while (_waiting.Reader.TryRead(out var left))
            {
                left.Done.TrySetException(new OperationCanceledException("The service stops."));
            }
        }
    }

    private async Task WriteAllAsync(CancellationToken stopping)
    {
        while (await _waiting.Reader.WaitToReadAsync(stopping))
        {
            List<Parcel> parcels = [];
            for (var events = 0; events < MostEvents && _waiting.Reader.TryRead(out var parcel); events += parcel.Events.Count)
            {
                parcels.Add(parcel);
            }
            if (parcels.Count is 0)
            {
                continue;
            }
            try
            {
                await StoreAsync(Once(parcels), [.. parcels.SelectMany(parcel => parcel.Drops)], stopping);
                parcels.ForEach(parcel => parcel.Done.TrySetResult());
                rollups.Wake();
            }
            catch (Exception exception)
            {
                logger.LogWarning("{Parcels} requests could not be stored and are refused: {Reason}", parcels.Count, exception.Message);
                parcels.ForEach(parcel => parcel.Done.TrySetException(exception));
            }
        }
    }

    /// <summary>What the database cannot hold is found by halves and left out; the rest is stored.</summary>
    private async Task StoreAsync(List<TrackedEvent> events, IReadOnlyList<Drop> drops, CancellationToken ct)
    {
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        try
        {
            await store.WriteAsync(events, drops, today, ct);
            metrics.Stored(events.Count);
        }
        catch (PostgresException exception) when (IsOfTheData(exception) && events.Count > 0)
        {
            if (events.Count is 1)
            {
                Drop[] poison = [new(events[0].App, "unstorable")];
                Count(poison);
                await store.WriteAsync([], [.. drops, .. poison], today, ct);
                return;
            }
            var half = events.Count / 2;
            await StoreAsync([.. events.Take(half)], drops, ct);
            await StoreAsync([.. events.Skip(half)], [], ct);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.CheckViolation)
        {
            await store.WriteAsync(events, drops, today, ct);
            metrics.Stored(events.Count);
        }
    }

    /// <summary>Classes 22, data exceptions, and 54, limits of the program.</summary>
    private static bool IsOfTheData(PostgresException exception) =>
        exception.SqlState.StartsWith("22", StringComparison.Ordinal) || exception.SqlState.StartsWith("54", StringComparison.Ordinal);

    /// <summary>Of a message that comes twice in one transaction the first.</summary>
    private static List<TrackedEvent> Once(List<Parcel> parcels)
    {
        HashSet<(int, Guid)> seen = [];
        return [.. parcels.SelectMany(parcel => parcel.Events).Where(one => seen.Add((one.App, one.MessageId)))];
    }

    private void Count(IEnumerable<Drop> drops)
    {
        foreach (var drop in drops)
        {
            metrics.Dropped(drop.Reason, drop.Events);
        }
    }

    private sealed record Parcel(IReadOnlyList<TrackedEvent> Events, IReadOnlyList<Drop> Drops, TaskCompletionSource Done);
}
