using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;

namespace MobileServices.Sync.Changes;

/// <summary>
/// Tells which users have their changes, for the journey from a push to an order: who asks for changes after a sequence has those up to it. They are gathered for
/// a second and told in bundles; a process that is killed forgets those of its last second, until their devices ask again after the next change.
/// </summary>
internal sealed class SyncOutcomes(NpgsqlDataSource database, TimeProvider time, ILogger<SyncOutcomes> logger) : BackgroundService
{
    private const int Bundle = 1000;

    /// <summary>How many users' sequences are remembered, so that one who only waits is not told again.</summary>
    private const int Remembered = 100_000;
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    private readonly string _subject = UserOutcomes.SubjectOf($"sync-{Guid.NewGuid():n}");
    private readonly Lock _lock = new();
    private readonly Dictionary<(long Database, string User), long> _told = [];
    private List<UserOutcome> _waiting = [];

    /// <param name="since">The sequence that the client named, 0 for none.</param>
    public void Note(SyncCall call, long databaseId, long since)
    {
        if (since is 0)
        {
            return;
        }
        lock (_lock)
        {
            var key = (databaseId, call.User);
            if (_told.TryGetValue(key, out var before) && before >= since)
            {
                return;
            }
            if (_told.Count >= Remembered)
            {
                _told.Clear();
            }
            _told[key] = since;
            if (_waiting.Count < Remembered)
            {
                _waiting.Add(new(call.Http.User.CustomerId() ?? call.User, $"sync:{databaseId}:{call.User}:{since}", time.GetUtcNow()));
            }
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await TellAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException)
        {
            await TellAsync(CancellationToken.None);
        }
    }

    private async Task TellAsync(CancellationToken ct)
    {
        List<UserOutcome> outcomes;
        lock (_lock)
        {
            (outcomes, _waiting) = (_waiting, []);
        }
        if (outcomes.Count is 0)
        {
            return;
        }
        try
        {
            await using var connection = await database.OpenConnectionAsync(ct);
            await using var transaction = await connection.BeginTransactionAsync(ct);
            var now = time.GetUtcNow();
            await transaction.PublishAsync([.. outcomes.Chunk(Bundle).Select(some => NewEvent.Of(_subject, null, now, new UserOutcomes(OutcomeStep.Synced, some)))], ct);
            await transaction.CommitAsync(ct);
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException or OperationCanceledException)
        {
            logger.LogWarning(exception, "{Count} users' sync could not be told to the journey now; it is told later", outcomes.Count);
            lock (_lock)
            {
                _waiting = [.. outcomes, .. _waiting.Take(Remembered - outcomes.Count)];
            }
        }
    }
}
