using System.Diagnostics.Metrics;
using System.Runtime.InteropServices;
using StackExchange.Redis;

namespace Gateway;

/// <summary>
/// Counts calls, for all replicas together in Redis, by the clock of Redis. Calls that come while Redis counts others go there together, in one script
/// and one round trip. When Redis does not answer in time, each replica counts for itself until it does again; no call waits for it meanwhile.
/// </summary>
internal sealed class LimitCounters : IAsyncDisposable
{
    public const string RedisKey = "redis";
    public const string SharedGauge = "mobile.gateway.limits.shared";

    private const string Probe = "limits:probe";
    private const int MostAtOnce = 100;

    /// <summary>How long a call that nobody waits for may wait for others.</summary>
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan ProbePause = TimeSpan.FromMilliseconds(500);
    private static readonly Limit[] ProbeLimit = [new("probe", LimitPer.Client, LimitKind.Rate, 1000, 1, 1000)];

    private readonly IDatabase? _redis;
    private readonly LimitCounts _own;
    private readonly LimitForecast _forecast;
    private readonly LimitRefusals _refusals;
    private readonly Timer _due;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private List<Call> _waiting = [];
    private bool _asking;
    private bool _isDue;
    private int _shared;

    public LimitCounters(
        IServiceProvider services, LimitsOptions options, LimitRefusals refusals, IMeterFactory meters, TimeProvider time, ILogger<LimitCounters> logger)
    {
        _redis = services.GetKeyedService<IConnectionMultiplexer>(RedisKey)?.GetDatabase();
        _own = new(time);
        _forecast = new(time);
        _refusals = refusals;
        _due = new(_ => Ask());
        _patience = TimeSpan.FromMilliseconds(options.RedisMilliseconds);
        (_time, _logger) = (time, logger);
        _shared = _redis is null ? 0 : 1;
        if (_redis is null)
        {
            logger.LogWarning("There is no connection string 'redis': every replica of the gateway counts calls for itself");
        }
        meters.Create(Idempotency.MeterName).CreateObservableGauge(
            SharedGauge, () => Volatile.Read(ref _shared), "{1}", "1 while the replicas count calls together in Redis, 0 while each counts for itself");
    }

    /// <summary>
    /// What can be said without asking Redis. Where that is enough (<see cref="Outlook.Known"/>), the call is counted, and Redis is told within a moment.
    /// </summary>
    /// <param name="keys">One for each limit.</param>
    /// <param name="counts">Filled when known.</param>
    public Outlook Foresee(Limit[] limits, string[] keys, LimitCount[] counts)
    {
        if (_redis is null || Volatile.Read(ref _shared) is 0)
        {
            return Outlook.Tight;
        }
        var outlook = _forecast.Take(limits, keys, counts);
        if (outlook is Outlook.Known)
        {
            lock (_lock)
            {
                _waiting.Add(new(limits, keys, null));
                AskSoon();
            }
        }
        return outlook;
    }

    /// <summary>Counts the call at all limits, or at none when one refuses.</summary>
    /// <param name="keys">One for each limit.</param>
    public async ValueTask<LimitCount[]> TakeAsync(Limit[] limits, string[] keys)
    {
        if (_redis is not null && Volatile.Read(ref _shared) is 1)
        {
            try
            {
                return await AskAsync(limits, keys);
            }
            catch (Exception exception) when (exception is RedisException or TimeoutException)
            {
                FallBack(exception);
            }
        }
        return TakeAlone(limits, keys);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _due.DisposeAsync();
        _stopping.Dispose();
    }

    private LimitCount[] TakeAlone(Limit[] limits, string[] keys)
    {
        var counts = new LimitCount[limits.Length];
        _own.Take(limits, keys, counts);
        Refuse(limits, keys, counts);
        return counts;
    }

    private void Refuse(Limit[] limits, string[] keys, ReadOnlySpan<LimitCount> counts)
    {
        for (var i = 0; i < counts.Length; i++)
        {
            if (counts[i].Wait > 0)
            {
                _refusals.Add(limits[i], keys[i], counts[i].Wait);
            }
        }
    }

    private Task<LimitCount[]> AskAsync(Limit[] limits, string[] keys)
    {
        var answer = new TaskCompletionSource<LimitCount[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            _waiting.Add(new(limits, keys, answer));
        }
        Ask();
        return answer.Task;
    }

    /// <summary>Unless Redis is being asked: those that come meanwhile are next.</summary>
    private void Ask()
    {
        lock (_lock)
        {
            _isDue = false;
            if (_asking || _waiting.Count is 0)
            {
                return;
            }
            _asking = true;
        }
        // For all of them, so in the trace of none.
        ThreadPool.UnsafeQueueUserWorkItem(static counters => _ = counters.AskForAllAsync(), this, preferLocal: true);
    }

    private async Task AskForAllAsync()
    {
        do
        {
            List<Call> calls;
            lock (_lock)
            {
                calls = _waiting.Count > MostAtOnce ? _waiting[..MostAtOnce] : _waiting;
                _waiting = _waiting.Count > MostAtOnce ? _waiting[MostAtOnce..] : [];
            }
            await AskForAsync(calls);
        }
        while (GoesOn());
    }

    /// <summary>Those that nobody waits for may wait for more.</summary>
    private bool GoesOn()
    {
        lock (_lock)
        {
            if (_waiting.Count >= MostAtOnce || _waiting.Exists(call => call.Asker is not null))
            {
                return true;
            }
            _asking = false;
            AskSoon();
            return false;
        }
    }

    /// <summary>In the lock.</summary>
    private void AskSoon()
    {
        if (_waiting.Count > 0 && !_asking && !_isDue)
        {
            _isDue = true;
            _due.Change(Moment, Timeout.InfiniteTimeSpan);
        }
    }

    private async Task AskForAsync(List<Call> calls)
    {
        try
        {
            var (passed, asked) = (PassedOf(calls), calls.FindAll(call => call.Asker is not null));
            var counts = await LimitScript.RunAsync(_redis!, passed, asked.ConvertAll(call => (call.Limits, call.Keys)), _time.GetUtcNow()).WaitAsync(_patience);
            var at = 0;
            foreach (var one in passed)
            {
                Take(one.Limit, one.Key, counts[at++], one.Calls);
            }
            foreach (var call in asked)
            {
                var own = counts[at..(at += call.Limits.Length)];
                for (var i = 0; i < own.Length; i++)
                {
                    Take(call.Limits[i], call.Keys[i], own[i], taken: 0);
                }
                call.Asker!.TrySetResult(own);
            }
        }
        catch (Exception exception)
        {
            lock (_lock)
            {
                // They have waited once.
                calls.AddRange(_waiting);
                _waiting = [];
            }
            _forecast.Forget();
            FallBack(exception);
            foreach (var call in calls)
            {
                if (call.Asker is null)
                {
                    TakeAlone(call.Limits, call.Keys);
                }
                call.Asker?.TrySetException(exception);
            }
        }
    }

    /// <summary>Calls that were let through are counted together, those of each count.</summary>
    private static List<(Limit Limit, string Key, int Calls)> PassedOf(List<Call> calls)
    {
        List<(Limit Limit, string Key, int Calls)> passed = [];
        Dictionary<string, int> places = [];
        foreach (var call in calls)
        {
            for (var i = 0; i < call.Limits.Length && call.Asker is null; i++)
            {
                if (!places.TryAdd(call.Keys[i], passed.Count))
                {
                    ref var there = ref CollectionsMarshal.AsSpan(passed)[places[call.Keys[i]]];
                    there.Calls++;
                    continue;
                }
                passed.Add((call.Limits[i], call.Keys[i], 1));
            }
        }
        return passed;
    }

    private void Take(Limit limit, string key, LimitCount count, int taken)
    {
        _forecast.Told(limit, key, count, taken);
        if (count.Wait > 0)
        {
            _refusals.Add(limit, key, count.Wait);
        }
    }

    private void FallBack(Exception reason)
    {
        if (Interlocked.Exchange(ref _shared, 0) is 1)
        {
            _logger.LogWarning("Redis is away: every replica of the gateway counts calls for itself until it is back: {Reason}", reason.Message.Split(';')[0]);
            // Not in the trace of the call that happened to notice it.
            using (ExecutionContext.SuppressFlow())
            {
                _ = Task.Run(() => ReturnAsync(_stopping.Token));
            }
        }
    }

    /// <summary>Asks by the script itself: a server that answers may still not run it.</summary>
    private async Task ReturnAsync(CancellationToken stopping)
    {
        try
        {
            while (true)
            {
                await Task.Delay(ProbePause, _time, stopping);
                try
                {
                    await AskAsync(ProbeLimit, [Probe]);
                    Volatile.Write(ref _shared, 1);
                    _logger.LogInformation("Redis is back: the replicas of the gateway count calls together");
                    return;
                }
                catch (Exception exception) when (exception is RedisException or TimeoutException)
                {
                    // Still away, as the log says already.
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
        {
            // The gateway ends.
        }
    }

    /// <param name="Asker">Null for one that was let through on what was known.</param>
    private sealed record Call(Limit[] Limits, string[] Keys, TaskCompletionSource<LimitCount[]>? Asker);
}
