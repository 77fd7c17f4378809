using System.Globalization;
using System.Text.RegularExpressions;
using MobileIntegration.ServiceDefaults;

namespace Gateway;

internal enum LimitPer
{
    Client,
    User,
    Device,
    Address,
    Route,
}

internal enum LimitKind
{
    Rate,
    Day,
    Month,
}

/// <summary>A limit as it is counted. Times are in microseconds.</summary>
internal sealed class Limit(string name, LimitPer per, LimitKind kind, long permits, int seconds, long burst)
{
    private const long Second = 1_000_000;

    /// <summary>In the fields RateLimit and RateLimit-Policy, in problems and in metrics.</summary>
    public string Name => name;

    public LimitPer Per => per;

    public LimitKind Kind => kind;

    /// <summary>What may come at once.</summary>
    public long Capacity { get; } = kind is LimitKind.Rate ? burst : permits;

    /// <summary>Between two calls of a rate, when none are saved up. Whole, so that sums are exact.</summary>
    public long Emission { get; } = ((seconds * Second) + permits - 1) / permits;

    /// <summary>Counts of a rate are of no use to another rate; a quota's stay when its size changes.</summary>
    public string KeyPart { get; } = string.Create(CultureInfo.InvariantCulture,
        $"{per}:{(kind is LimitKind.Rate ? $"{permits}/{seconds}/{burst}" : kind)}").ToLowerInvariant();

    /// <summary>Its item of RateLimit-Policy; a month has no length to be told.</summary>
    public string Policy { get; } = string.Create(CultureInfo.InvariantCulture, $"\"{name}\";q={permits}") + kind switch
    {
        LimitKind.Rate => string.Create(CultureInfo.InvariantCulture, $";w={seconds}"),
        LimitKind.Day => ";w=86400",
        _ => "",
    };

    public string Text { get; } = string.Create(CultureInfo.InvariantCulture, $"{permits} calls ") + kind switch
    {
        LimitKind.Rate => string.Create(CultureInfo.InvariantCulture, $"in {seconds} s"),
        LimitKind.Day => "a day",
        _ => "a month",
    } + $" for each {per.ToString().ToLowerInvariant()}";
}

internal sealed record LimitPlan(string Name, Limit[] Limits)
{
    /// <summary>The value of RateLimit-Policy.</summary>
    public string Policy { get; } = string.Join(", ", Limits.Select(limit => limit.Policy));
}

/// <summary>The plans of the configuration.</summary>
internal sealed partial class LimitPlans
{
    private readonly Dictionary<string, LimitPlan> _plans = [];

    /// <exception cref="StartException">A plan is wrong; the message says the mend.</exception>
    public LimitPlans(LimitsOptions options)
    {
        foreach (var (name, limits) in options.Plans)
        {
            if (limits.Count is 0)
            {
                throw new StartException($"Limits:Plans:{name} has no limits. Give it one, such as Limits:Plans:{name}:per-user:Per, or remove it.");
            }
            _plans[name] = new(Checked($"Limits:Plans:{name}", name), [.. limits.Select(limit => Read($"Limits:Plans:{name}:{limit.Key}", limit.Key, limit.Value))]);
        }
        _plans.TryAdd("default", new("default",
        [
            new("user", LimitPer.User, LimitKind.Rate, 12_000, 60, 12_000),
            new("address", LimitPer.Address, LimitKind.Rate, 60_000, 60, 60_000),
        ]));
        Default = Find(options.DefaultPlan) ?? throw new StartException(
            $"Limits:DefaultPlan is '{options.DefaultPlan}', which is no plan. Name one of {Names}, or add it to Limits:Plans.");
        foreach (var plan in _plans.Values)
        {
            if (plan.Limits.GroupBy(limit => limit.KeyPart).FirstOrDefault(same => same.Count() > 1) is { } twice)
            {
                throw new StartException(
                    $"Limits:Plans:{plan.Name} has {string.Join(" and ", twice.Select(limit => limit.Name))}, which count the same. Remove one.");
            }
        }
    }

    /// <summary>Of calls without an API key.</summary>
    public LimitPlan Default { get; }

    public string Names => string.Join(", ", _plans.Keys.Order(StringComparer.Ordinal));

    public LimitPlan? Find(string name) => _plans.GetValueOrDefault(name);

    private static Limit Read(string path, string name, LimitOptions limit)
    {
        Checked(path, name);
        if (!Enum.TryParse<LimitPer>(limit.Per, ignoreCase: true, out var per) || !Enum.IsDefined(per) || char.IsAsciiDigit(limit.Per[0]))
        {
            throw new StartException($"{path}:Per is '{limit.Per}'. Set it to client, user, device, address or route.");
        }
        if (limit.Permits is < 1 or > 1_000_000_000)
        {
            throw new StartException($"{path}:Permits must be from 1 to 1000000000.");
        }
        if (limit.Seconds is null == limit.Every is null)
        {
            throw new StartException($"{path} must have either Seconds, which makes it a rate, or Every, which makes it a quota.");
        }
        if (limit.Seconds is not { } seconds)
        {
            var kind = limit.Every?.ToUpperInvariant() switch
            {
                "DAY" => LimitKind.Day,
                "MONTH" => LimitKind.Month,
                _ => throw new StartException($"{path}:Every is '{limit.Every}'. Set it to day or month."),
            };
            return limit.Burst is null ? new(name, per, kind, limit.Permits, 0, 0)
                : throw new StartException($"{path}:Burst belongs to a rate. Leave it out, or set Seconds instead of Every.");
        }
        if (seconds is < 1 or > 86_400)
        {
            throw new StartException($"{path}:Seconds must be from 1 to 86400; for longer set Every to day or month.");
        }
        if (limit.Permits > seconds * 100_000L)
        {
            throw new StartException($"{path} allows more than 100000 calls a second, which is no limit. Set fewer Permits or more Seconds.");
        }
        var burst = limit.Burst ?? Math.Min(limit.Permits, 1_000_000);
        return burst is >= 1 and <= 1_000_000 ? new(name, per, LimitKind.Rate, limit.Permits, seconds, burst)
            : throw new StartException($"{path}:Burst must be from 1 to 1000000.");
    }

    private static string Checked(string path, string name) => PlainName().IsMatch(name) ? name
        : throw new StartException($"{path}: '{name}' is no name. Take 1 to 32 lower-case letters, digits and hyphens, a letter first.");

    [GeneratedRegex("^[a-z][a-z0-9-]{0,31}$", RegexOptions.CultureInvariant)]
    private static partial Regex PlainName();
}
