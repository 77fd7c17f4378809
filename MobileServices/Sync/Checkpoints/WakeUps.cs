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
    private const string EmptyArray = "{}";
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

    /// <summary>One statement, so that the lock of a database's row is held for no round trip that its writers would wait for.</summary>
    private async Task<int> TellSomeAsync(int most, string age, string locked, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<int>(new CommandDefinition($"""
            with due as (
                select id, owner, name, wake_since, wake_device, wake_apps from sync.database where wake_since < now() - interval '{age}' order by wake_since limit @most for no key update {locked}),
            told as (
                update sync.database d set wake_since = null, wake_device = null, wake_apps = default from due where d.id = due.id returning d.id),
            known as (
                select v.db_id, array_agg(distinct v.user_id) as users, array_agg(distinct v.app_id) filter (where v.app_id is not null) as apps
                from sync.device v join due on due.id = v.db_id where v.seen_at > now() - make_interval(days => @DeviceDays) group by v.db_id),
            news as (
                select due.id, due.name, due.wake_since, due.wake_device, array(select distinct unnest(due.wake_apps || coalesce(known.apps, '{EmptyArray}')) order by 1) as apps,
                    case when due.owner <> '' then array[due.owner] else coalesce(known.users, '{EmptyArray}') end as users
                from due left join known on known.db_id = due.id)
            select (select count(*) from told)::int, count({Outbox.Function}('{nameof(DatabaseChanged)}', e.subject, null, e.wake_since,
                jsonb_build_object('database', e.name, 'apps', e.apps, 'userIds', e.users, 'deviceId', e.wake_device), null, null))
            from (
                select n.name, n.wake_since, n.wake_device, n.apps, n.users[i:i + {MostUsers} - 1] as users, '{DatabaseChanged.SubjectPrefix}' || n.id as subject
                from news n, generate_series(1, cardinality(n.users), {MostUsers}) i where cardinality(n.apps) > 0 order by subject, i) e
            """, new { most, options.Value.DeviceDays }, cancellationToken: ct));
    }
}
