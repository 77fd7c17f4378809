using StackExchange.Redis;

namespace Gateway;

/// <summary>Counts calls in Redis, many in one round trip.</summary>
internal static class LimitScript
{
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

    /// <returns>What became of each limit of each call, in their order.</returns>
    public static async Task<LimitCount[]> RunAsync(IDatabase redis, IReadOnlyList<(Limit[] Limits, string[] Keys)> calls, DateTimeOffset now)
    {
        var limits = calls.Sum(call => call.Limits.Length);
        var names = new RedisKey[limits];
        var values = new RedisValue[3 + calls.Count + (3 * limits)];
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
        var answer = (RedisResult[])(await redis.ScriptEvaluateAsync(Script, names, values))!;
        var counts = new LimitCount[limits];
        for (var i = 0; i < limits; i++)
        {
            counts[i] = new((long)answer[3 * i], (long)answer[(3 * i) + 1], (long)answer[(3 * i) + 2]);
        }
        return counts;
    }
}
