using MobileIntegration.ServiceDefaults;

namespace Gateway;

/// <summary>Who may call how much; the gateway's part of the configuration section <c>Limits</c>.</summary>
internal sealed class LimitsOptions
{
    /// <summary>Whether every call needs an API key, but for those to the identity provider; false unless set.</summary>
    public bool RequireApiKey { get; set; }

    /// <summary>The plan of calls without an API key, and of clients whose plan is not configured any more; <c>default</c> unless set.</summary>
    public string DefaultPlan { get; set; } = "default";

    /// <summary>
    /// Limits by plan and name, such as <c>Limits:Plans:free:per-user:Per=user</c>. A plan <c>default</c> that is not set has 12,000 calls a minute
    /// for a user and 60,000 for an address.
    /// </summary>
    public Dictionary<string, Dictionary<string, LimitOptions>> Plans { get; } = [];

    /// <summary>Milliseconds that a call waits for Redis before replicas count for themselves; 10 to 5000, 250 unless set.</summary>
    public int RedisMilliseconds { get; set; } = 250;

    /// <summary>Seconds after which changes of clients are looked for without news of one; 1 to 300, 5 unless set.</summary>
    public int PollSeconds { get; set; } = 5;

    /// <exception cref="StartException">A setting is wrong; the message says the mend.</exception>
    public static LimitsOptions Read(IConfiguration configuration)
    {
        var section = configuration.GetSection("Limits");
        var options = Get<LimitsOptions>(section);
        // By hand, as the binder leaves out of a dictionary what it cannot read: that would be a limit less.
        options.Plans.Clear();
        foreach (var plan in section.GetSection(nameof(Plans)).GetChildren())
        {
            options.Plans[plan.Key] = plan.GetChildren().ToDictionary(limit => limit.Key, Limit);
        }
        if (options.RedisMilliseconds is < 10 or > 5000)
        {
            throw new StartException("Limits:RedisMilliseconds must be from 10 to 5000.");
        }
        if (options.PollSeconds is < 1 or > 300)
        {
            throw new StartException("Limits:PollSeconds must be from 1 to 300.");
        }
        return options;
    }

    private static LimitOptions Limit(IConfigurationSection section)
    {
        var unknown = section.GetChildren().FirstOrDefault(setting => !LimitOptions.Names.Contains(setting.Key, StringComparer.OrdinalIgnoreCase));
        return unknown is null ? Get<LimitOptions>(section)
            : throw new StartException($"{unknown.Path} is no setting of a limit. There are {string.Join(", ", LimitOptions.Names)}.");
    }

    private static T Get<T>(IConfigurationSection section) where T : new()
    {
        try
        {
            return section.Get<T>() ?? new();
        }
        catch (InvalidOperationException exception)
        {
            throw new StartException($"{exception.Message} Mend that setting, or leave it out.", exception);
        }
    }
}

/// <summary>One limit of a plan: a rate (<see cref="Seconds"/>) or a quota (<see cref="Every"/>).</summary>
internal sealed class LimitOptions
{
    internal static readonly string[] Names = [nameof(Per), nameof(Permits), nameof(Seconds), nameof(Burst), nameof(Every)];

    /// <summary>What has a count of its own: <c>client</c>, <c>user</c>, <c>device</c>, <c>address</c> or <c>route</c>.</summary>
    public string Per { get; set; } = "";

    /// <summary>Calls in the time; 1 to 1,000,000,000.</summary>
    public long Permits { get; set; }

    /// <summary>The window of a rate, 1 to 86,400 s; at most 100,000 permits a second.</summary>
    public int? Seconds { get; set; }

    /// <summary>Calls of a rate that may come at once after a pause; 1 to 1,000,000, as many as permits unless set.</summary>
    public long? Burst { get; set; }

    /// <summary>The time of a quota: <c>day</c> or <c>month</c>, of the calendar in UTC.</summary>
    public string? Every { get; set; }
}
