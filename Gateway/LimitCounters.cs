using System.Diagnostics.Metrics;
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
    private static readonly TimeSpan ProbePause = TimeSpan.FromMilliseconds(500);
    private static readonly Limit[] ProbeLimit = [new("probe", LimitPer.Client, LimitKind.Rate, 1000, 1, 1000)];

    /// <summary>
    /// A rate is kept as the time at which it is full again (the generic cell rate algorithm, in whole microseconds), a quota as its count, which
    /// ends with its time. Of a call that one limit refuses nothing is counted. Keys: those of all calls. Arguments: the ends of three months, then for
    /// each call the number of its limits and of each limit kind, capacity and emission. Answer: of each limit wait, left and reset.
    /// </summary>
    private const string Script = """
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local answer, first, at = {}, 1, 4
        while first <= #KEYS do
          local last = first + ARGV[at] - 1
          local refused = false
          for i = first, last do
            local arg = at + 3 * (i - first)
            local kind, capacity, emission = ARGV[arg + 1], tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3])
            local there = tonumber(redis.call('GET', KEYS[i]) or 0)
            local wait, left, reset
            if kind == 'r' then
              local full = math.max(there, now) + emission
              wait = full - emission * capacity - now
              reset = full - now
              left = math.floor(-wait / emission)
              if wait > 0 then reset = reset - emission end
            else
              local rest = -1
              if there > 0 then rest = redis.call('PTTL', KEYS[i]) end
              if rest > 0 then
                reset = rest * 1000
              else
                there = 0
                local ends = (math.floor(now / 86400000000) + 1) * 86400000000
                if kind == 'm' then
                  ends = ARGV[3] * 1000000
                  for month = 2, 1, -1 do
                    if ARGV[month] * 1000000 > now then ends = ARGV[month] * 1000000 end
                  end
                end
                reset = ends - now
              end
              wait = 0
              left = capacity - there - 1
              if there >= capacity then wait = reset end
            end
            if wait > 0 then
              refused = true
              left = 0
            else
              wait = 0
            end
            answer[3 * i - 2], answer[3 * i - 1], answer[3 * i] = wait, left, reset
          end
          if not refused then
            for i = first, last do
              local arg = at + 3 * (i - first)
              local reset = answer[3 * i]
              local rest = string.format('%.0f', math.max(1, math.ceil(reset / 1000)))
              if ARGV[arg + 1] == 'r' then
                redis.call('SET', KEYS[i], string.format('%.0f', now + reset), 'PX', rest)
              elseif tonumber(ARGV[arg + 2]) - answer[3 * i - 1] > 1 then
                redis.call('INCR', KEYS[i])
              else
                redis.call('SET', KEYS[i], '1', 'PX', rest)
              end
            end
          end
          at = at + 1 + 3 * (last - first + 1)
          first = last + 1
        end
        return answer
        """;

    private readonly IDatabase? _redis;
    private readonly LimitCounts _own;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private List<Call> _waiting = [];
    private bool _asking;
    private int _shared;

    public LimitCounters(IServiceProvider services, LimitsOptions options, IMeterFactory meters, TimeProvider time, ILogger<LimitCounters> logger)
    {
        _redis = services.GetKeyedService<IConnectionMultiplexer>(RedisKey)?.GetDatabase();
        _own = new(time);
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

    /// <summary>Counts the call at all limits, or at none when one refuses.</summary>
    /// <param name="keys">One for each limit.</param>
    public async ValueTask<LimitCount[]> TakeAsync(Limit[] limits, string[] keys)
    {
        if (_redis is not null && Volatile.Read(ref _shared) is 1)
        {
            try
            {
                return await AskAsync(_redis, limits, keys);
            }
            catch (Exception exception) when (exception is RedisException or TimeoutException)
            {
                FallBack(_redis, exception);
            }
        }
        var counts = new LimitCount[limits.Length];
        _own.Take(limits, keys, counts);
        return counts;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _stopping.Dispose();
    }

    private Task<LimitCount[]> AskAsync(IDatabase redis, Limit[] limits, string[] keys)
    {
        var call = new Call(limits, keys);
        lock (_lock)
        {
            _waiting.Add(call);
            if (_asking)
            {
                return call.Task;
            }
            _asking = true;
        }
        // For all of them, so in the trace of none.
        ThreadPool.UnsafeQueueUserWorkItem(counters => _ = counters.Self.AskForAllAsync(counters.Redis), (Self: this, Redis: redis), preferLocal: true);
        return call.Task;
    }

    private async Task AskForAllAsync(IDatabase redis)
    {
        while (true)
        {
            List<Call> calls;
            lock (_lock)
            {
                if (_waiting.Count is 0)
                {
                    _asking = false;
                    return;
                }
                calls = _waiting.Count > MostAtOnce ? _waiting[..MostAtOnce] : _waiting;
                _waiting = _waiting.Count > MostAtOnce ? _waiting[MostAtOnce..] : [];
            }
            try
            {
                var answer = (RedisResult[])(await AskForAsync(redis, calls).WaitAsync(_patience))!;
                var at = 0;
                foreach (var call in calls)
                {
                    call.Answer(answer, ref at);
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
                foreach (var call in calls)
                {
                    call.TrySetException(exception);
                }
            }
        }
    }

    private Task<RedisResult> AskForAsync(IDatabase redis, List<Call> calls)
    {
        var limits = calls.Sum(call => call.Limits.Length);
        var names = new RedisKey[limits];
        var values = new RedisValue[3 + calls.Count + (3 * limits)];
        var now = _time.GetUtcNow();
        for (var month = 0; month < 3; month++)
        {
            // Which of them is next, Redis knows by its own clock.
            values[month] = LimitCounts.NextMonth(now, month);
        }
        var (name, value) = (0, 3);
        foreach (var call in calls)
        {
            values[value++] = call.Limits.Length;
            for (var i = 0; i < call.Limits.Length; i++)
            {
                names[name++] = call.Keys[i];
                var limit = call.Limits[i];
                values[value++] = limit.Kind switch { LimitKind.Rate => "r", LimitKind.Day => "d", _ => "m" };
                values[value++] = limit.Capacity;
                values[value++] = limit.Emission;
            }
        }
        return redis.ScriptEvaluateAsync(Script, names, values);
    }

    private void FallBack(IDatabase redis, Exception reason)
    {
        if (Interlocked.Exchange(ref _shared, 0) is 1)
        {
            _logger.LogWarning("Redis is away: every replica of the gateway counts calls for itself until it is back: {Reason}", reason.Message.Split(';')[0]);
            // Not in the trace of the call that happened to notice it.
            using (ExecutionContext.SuppressFlow())
            {
                _ = Task.Run(() => ReturnAsync(redis, _stopping.Token));
            }
        }
    }

    /// <summary>Asks by the script itself: a server that answers may still not run it.</summary>
    private async Task ReturnAsync(IDatabase redis, CancellationToken stopping)
    {
        try
        {
            while (true)
            {
                await Task.Delay(ProbePause, _time, stopping);
                try
                {
                    await AskAsync(redis, ProbeLimit, [Probe]);
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

    private sealed class Call(Limit[] limits, string[] keys) : TaskCompletionSource<LimitCount[]>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public Limit[] Limits => limits;

        public string[] Keys => keys;

        public void Answer(RedisResult[] answer, ref int at)
        {
            var counts = new LimitCount[limits.Length];
            for (var i = 0; i < counts.Length; i++)
            {
                counts[i] = new((long)answer[at++], (long)answer[at++], (long)answer[at++]);
            }
            TrySetResult(counts);
        }
    }
}
