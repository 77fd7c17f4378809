using Dapper;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;

namespace MobileServices.Sync.Checkpoints;

/// <summary>
/// Tells of the databases that changed (the event <c>DatabaseChanged</c>), so that devices are woken up. That a database changed stands in its row since the
/// transaction of the change; a second later it is told of with whatever changed meanwhile.
/// </summary>
internal sealed class WakeUps(NpgsqlDataSource database, IOptions<SyncOptions> options, TimeProvider time, ILogger<WakeUps> logger) : BackgroundService
{
    private const int Batch = 100;
    private const int MostUsers = 1000;
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>How often it looks for what other processes, that have ended, have left.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    /// <summary>Every how many looks it waits for locks.</summary>
    private const int Patient = 3;

    private long _changedAt;
    private int _looks;

    /// <summary>A database of this process has changed.</summary>
    public void Changed() => Interlocked.Exchange(ref _changedAt, time.GetTimestamp());

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!options.Value.WakeUp)
        {
            return;
        }
        using var timer = new PeriodicTimer(Every, time);
        var looked = 0L;
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                var changed = Interlocked.Read(ref _changedAt);
                var isBusy = changed > 0 && time.GetElapsedTime(changed) < LookEvery;
                if (isBusy || looked is 0 || time.GetElapsedTime(looked) > LookEvery)
                {
                    looked = time.GetTimestamp();
                    await TellAsync(stoppingToken);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // What is not told yet stands in the database.
        }
    }

    private async Task TellAsync(CancellationToken ct)
    {
        try
        {
            while (await TellSomeAsync(Batch, "1 second", "skip locked", ct) is Batch)
            {
            }
            // One that is written to all the time is hardly ever without a lock: it is waited for, alone, so that no other waits with it.
            while (++_looks % Patient is 0 && await TellSomeAsync(1, "3 seconds", "", ct) is 1)
            {
            }
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            logger.LogWarning(exception, "Devices could not be woken up now; it is done later");
        }
    }

    private async Task<int> TellSomeAsync(int most, string age, string locked, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var changed = (await connection.QueryAsync<ChangedDatabase>(new CommandDefinition($"""
            with due as (
                select id, wake_since, wake_device, wake_apps from sync.database where wake_since < now() - interval '{age}' order by wake_since limit @most for no key update {locked})
            update sync.database d set wake_since = null, wake_device = null, wake_apps = default from due where d.id = due.id
            returning d.id, d.owner, d.name, due.wake_since as Since, due.wake_device as Device, due.wake_apps as Apps
            """, new { most }, transaction, cancellationToken: ct))).AsList();
        if (changed.Count is 0)
        {
            return 0;
        }
        var known = (await connection.QueryAsync<KnownDevices>(new CommandDefinition("""
            select db_id as Id, array_agg(distinct user_id) as Users, coalesce(array_agg(distinct app_id) filter (where app_id is not null), '{}') as Apps
            from sync.device where db_id = any (@ids) and seen_at > now() - make_interval(days => @DeviceDays) group by db_id
            """, new { ids = changed.Select(one => one.Id).ToArray(), options.Value.DeviceDays }, transaction, cancellationToken: ct))).ToDictionary(one => one.Id);
        await transaction.PublishAsync([.. changed.SelectMany(one => EventsOf(one, known.GetValueOrDefault(one.Id)))], ct);
        await transaction.CommitAsync(ct);
        return changed.Count;
    }

    private static IEnumerable<NewEvent> EventsOf(ChangedDatabase changed, KnownDevices? known)
    {
        string[] apps = [.. changed.Apps.Union(known?.Apps ?? []).Order(StringComparer.Ordinal)];
        string[] users = changed.Owner.Length > 0 ? [changed.Owner] : known?.Users ?? [];
        return apps.Length is 0 ? [] : users.Chunk(MostUsers).Select(some => NewEvent.Of(
            DatabaseChanged.SubjectOf(changed.Id), null, new DateTimeOffset(changed.Since, TimeSpan.Zero), new DatabaseChanged(changed.Name, apps, some, changed.Device)));
    }

    private sealed class ChangedDatabase
    {
        public long Id { get; init; }

        public string Owner { get; init; } = "";

        public string Name { get; init; } = "";

        public DateTime Since { get; init; }

        public Guid? Device { get; init; }

        public string[] Apps { get; init; } = [];
    }

    private sealed class KnownDevices
    {
        public long Id { get; init; }

        public string[] Users { get; init; } = [];

        public string[] Apps { get; init; } = [];
    }
}
