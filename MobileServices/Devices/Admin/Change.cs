using System.Globalization;
using System.Text.Json;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;

namespace MobileServices.Devices.Admin;

/// <summary>
/// What an administrator sets or removes. Every kind is one value under one key, so that one store writes, audits and reverts all of them.
/// </summary>
/// <param name="Kind">Its name in the audit.</param>
/// <param name="Key">Which one.</param>
/// <param name="Value">As JSON; null to remove it.</param>
internal abstract record Change(string Kind, string Key, string? Value)
{
    /// <summary>What has to be true of what is there; given its version, or null when there is none.</summary>
    public Func<long?, ChangeRefusal?> Require { get; init; } = _ => null;

    /// <summary>The value now, and its version where it has one; parameters are @Key, @now, @who, @version and @Value.</summary>
    public abstract string ReadSql { get; }

    public abstract string WriteSql { get; }

    public abstract string RemoveSql { get; }

    /// <summary>What other services have to know of it; told with the change.</summary>
    public virtual NewEvent? Told(DateTimeOffset now) => null;

    /// <summary>The same kind of change from what the audit kept.</summary>
    public static Change Restore(string kind, string key, string? value) => kind switch
    {
        "rule" => new RuleChange(key, value),
        "device" => new DeviceBlock(key, value),
        "app" => new AppChange(key, value),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "The audit has no such kind."),
    };
}

internal sealed record RuleChange(string Name, string? Json) : Change("rule", Name, Json)
{
    public RuleChange(AppRule rule) : this(rule.Name, JsonSerializer.Serialize(rule, RuleSets.Json))
    {
    }

    public override string ReadSql => "select body::text as Value, version from devices.rule where name = @Key";

    public override string WriteSql =>
        """
        insert into devices.rule (name, body, version, updated_at, updated_by) values (@Key, @Value::jsonb, @version, @now, @who)
        on conflict (name) do update set body = excluded.body, version = excluded.version, updated_at = excluded.updated_at, updated_by = excluded.updated_by
        """;

    public override string RemoveSql => "delete from devices.rule where name = @Key";
}

/// <param name="Reason">For the people who see the audit, such as <c>lost</c>.</param>
internal sealed record Block(string Reason);

internal sealed record DeviceBlock(string Id, string? Json) : Change("device", Id, Json)
{
    public DeviceBlock(Guid device, Block? block)
        : this(device.ToString("D", CultureInfo.InvariantCulture), block is null ? null : JsonSerializer.Serialize(block, RuleSets.Json))
    {
    }

    public override string ReadSql =>
        "select jsonb_build_object('reason', reason)::text as Value, null::bigint as version from devices.device_block where device_id = @Key::uuid";

    /// <summary>What is blocked gets no messages any more either.</summary>
    public override string WriteSql =>
        """
        insert into devices.device_block (device_id, reason) values (@Key::uuid, @Value::jsonb ->> 'reason')
        on conflict (device_id) do update set reason = excluded.reason;
        delete from devices.push_address where device_id = @Key::uuid
        """;

    public override string RemoveSql => "delete from devices.device_block where device_id = @Key::uuid";

    public override NewEvent? Told(DateTimeOffset now)
    {
        var device = Guid.Parse(Id);
        return Json is null
            ? null
            : NewEvent.Of(DeviceBlocked.SubjectOf(device), null, now, new DeviceBlocked(device, JsonSerializer.Deserialize<Block>(Json, RuleSets.Json)!.Reason));
    }
}

/// <param name="Name">What people call it.</param>
internal sealed record AppSettings(string? Name);

internal sealed record AppChange(string Id, string? Json) : Change("app", Id, Json)
{
    public AppChange(string id, AppSettings settings) : this(id, JsonSerializer.Serialize(settings, RuleSets.Json))
    {
    }

    public override string ReadSql => "select jsonb_build_object('name', name)::text as Value, null::bigint as version from devices.app where id = @Key";

    public override string WriteSql =>
        """
        insert into devices.app (id, name, registered_at) values (@Key, @Value::jsonb ->> 'name', @now)
        on conflict (id) do update set name = excluded.name
        """;

    public override string RemoveSql => "delete from devices.app where id = @Key";
}

/// <param name="Status">The HTTP status that says it.</param>
internal sealed record ChangeRefusal(int Status, string Detail);

/// <param name="Refusal">Why nothing was changed.</param>
/// <param name="Version">The version of what was written.</param>
internal readonly record struct Changed(ChangeRefusal? Refusal, long Version);

/// <summary>One line of the audit.</summary>
/// <param name="Kind">rule, device or app.</param>
/// <param name="Action">create, update or delete, or revert and the number of what was reverted.</param>
/// <param name="Before">What was there; null when nothing.</param>
/// <param name="After">What is there since; null when nothing.</param>
internal sealed record AuditEntry(long Id, DateTime At, string Who, string Kind, string Key, string Action, JsonElement? Before, JsonElement? After);
