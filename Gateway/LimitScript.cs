using StackExchange.Redis;

namespace Gateway;

/// <summary>Counts calls in Redis, many in one round trip.</summary>
internal static class LimitScript
{
    /// <summary>
    /// A rate is kept as the time at which it is full again (the generic cell rate algorithm, in whole microseconds), a quota as its count, which
    /// ends with its time. Calls that have passed are counted whatever the limits say, those of a count together; of a call that is asked for and that one
    /// limit refuses nothing is counted. Keys: of the counts of what has passed, then of all calls. Arguments: the ends of three months, the number of those
    /// counts and of each kind, capacity, emission and calls; then for each call the number of its limits and of each limit kind, capacity and emission.
    /// Answer: of each limit wait, left and reset.
    /// </summary>
    private const string Script = """
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local answer, first, at = {}, ARGV[4] + 1, 5 + 4 * ARGV[4]

        local function quotaEnd(kind)
          if kind == 'd' then return (math.floor(now / 86400000000) + 1) * 86400000000 end
          for month = 1, 2 do
            if ARGV[month] * 1000000 > now then return ARGV[month] * 1000000 end
          end
          return ARGV[3] * 1000000
        end

        local function rest(micros)
          return string.format('%.0f', math.max(1, math.ceil(micros / 1000)))
        end

        for i = 1, tonumber(ARGV[4]) do
          local arg = 5 + 4 * (i - 1)
          local kind, capacity, emission, calls = ARGV[arg], tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3])
          local wait, left, reset
          if kind == 'r' then
            local full = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + emission * calls
            wait = full - emission * capacity - now
            left = math.floor(-wait / emission)
            reset = full - now
            redis.call('SET', KEYS[i], string.format('%.0f', full), 'PX', rest(reset))
          else
            local there, ttl = calls, redis.call('PTTL', KEYS[i])
            if ttl > 0 then
              there = redis.call('INCRBY', KEYS[i], ARGV[arg + 3])
              reset = ttl * 1000
            else
              reset = quotaEnd(kind) - now
              redis.call('SET', KEYS[i], ARGV[arg + 3], 'PX', rest(reset))
            end
            left = capacity - there
            wait = left < 0 and reset or 0
          end
          answer[3 * i - 2], answer[3 * i - 1], answer[3 * i] = math.max(0, wait), math.max(0, left), reset
        end

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
              local ttl = -1
              if there > 0 then ttl = redis.call('PTTL', KEYS[i]) end
              if ttl > 0 then
                reset = ttl * 1000
              else
                there = 0
                reset = quotaEnd(kind) - now
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
              if ARGV[arg + 1] == 'r' then
                redis.call('SET', KEYS[i], string.format('%.0f', now + reset), 'PX', rest(reset))
              elseif tonumber(ARGV[arg + 2]) - answer[3 * i - 1] > 1 then
                redis.call('INCR', KEYS[i])
              else
                redis.call('SET', KEYS[i], '1', 'PX', rest(reset))
              end
            end
          end
          at = at + 1 + 3 * (last - first + 1)
          first = last + 1
        end
        return answer
        """;

    /// <param name="passed">What was let through; each key once.</param>
    /// <param name="calls">Those that are asked for.</param>
    /// <returns>What became of each count of what has passed, and of each limit of each call, in their order.</returns>
    public static async Task<LimitCount[]> RunAsync(
        IDatabase redis, IReadOnlyList<(Limit Limit, string Key, int Calls)> passed, IReadOnlyList<(Limit[] Limits, string[] Keys)> calls, DateTimeOffset now)
    {
        var asked = calls.Sum(call => call.Limits.Length);
        var limits = passed.Count + asked;
        var names = new RedisKey[limits];
        var values = new RedisValue[4 + (4 * passed.Count) + calls.Count + (3 * asked)];
        for (var month = 0; month < 3; month++)
        {
            // Which of them is next, Redis knows by its own clock.
            values[month] = LimitCounts.NextMonth(now, month);
        }
        values[3] = passed.Count;
        var (name, value) = (0, 4);
        foreach (var (limit, key, count) in passed)
        {
            names[name++] = key;
            Give(limit);
            values[value++] = count;
        }
        foreach (var call in calls)
        {
            values[value++] = call.Limits.Length;
            for (var i = 0; i < call.Limits.Length; i++)
            {
                names[name++] = call.Keys[i];
                Give(call.Limits[i]);
            }
        }
        var answer = (RedisResult[])(await redis.ScriptEvaluateAsync(Script, names, values))!;
        var counts = new LimitCount[limits];
        for (var i = 0; i < limits; i++)
        {
            counts[i] = new((long)answer[3 * i], (long)answer[(3 * i) + 1], (long)answer[(3 * i) + 2]);
        }
        return counts;

        void Give(Limit limit)
        {
            values[value++] = limit.Kind switch { LimitKind.Rate => "r", LimitKind.Day => "d", _ => "m" };
            values[value++] = limit.Capacity;
            values[value++] = limit.Emission;
        }
    }
}
