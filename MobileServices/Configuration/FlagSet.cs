using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace MobileServices.Configuration;

/// <summary>What an evaluation can come to, written ahead.</summary>
internal sealed class Outcome
{
    private readonly byte[] _before;
    private readonly byte[] _value;
    private readonly byte[] _after;

    /// <param name="value">The variant's value as JSON in UTF-8; empty when nothing can be told without a targeting key.</param>
    public Outcome(string key, string variant, byte[] value, string reason, string? rule)
    {
        (Variant, Reason, Rule, _value) = (variant, reason, rule, value);
        _before = IsMissing
            ? Encoding.UTF8.GetBytes(JsonSerializer.Serialize(OfrepEndpoints.NoKey(key), Flag.Json))
            : Encoding.UTF8.GetBytes($$"""{"key":{{Quoted(key)}},"reason":{{Quoted(reason)}},"variant":{{Quoted(variant)}},"value":""");
        _after = IsMissing ? [] : Encoding.UTF8.GetBytes(rule is null ? "}" : $$$""","metadata":{"rule":{{{Quoted(rule)}}}}}""");
    }

    public string Variant { get; }

    /// <summary>STATIC (it has no rules), DEFAULT (no rule hits, or what it requires is not so), TARGETING_MATCH, SPLIT, DISABLED or ERROR.</summary>
    public string Reason { get; }

    /// <summary>The rule that decided, or null.</summary>
    public string? Rule { get; }

    public ReadOnlyMemory<byte> Value => _value;

    /// <summary>A percentage would have to decide and there is no targeting key; then there is no value.</summary>
    public bool IsMissing => _value.Length is 0;

    /// <summary>The evaluation as the protocol writes it.</summary>
    public void WriteTo(IBufferWriter<byte> writer)
    {
        writer.Write(_before);
        writer.Write(_value);
        writer.Write(_after);
    }

    private static string Quoted(string text) => $"\"{JsonEncodedText.Encode(text)}\"";
}

/// <summary>One thing that an evaluation looked at.</summary>
/// <param name="What">Such as <c>rule beta</c> or <c>requires new-checkout</c>.</param>
/// <param name="Outcome">Such as <c>hit</c> or <c>not hit</c>.</param>
internal sealed record EvaluationStep(string What, string Outcome);

/// <summary>
/// The flags of one app that are in force, made ready once and then asked by every call: nothing here waits or changes.
/// A split goes by <see cref="AppDecisions.Bucket(string, string)"/> over the flag's key and the targeting key: its variants share the buckets 0 to
/// 9,999 in the order of their names (ordinal), a hundred for each percent, so that everybody stays where he is as long as the shares stay.
/// </summary>
internal sealed class FlagSet
{
    private readonly FrozenDictionary<string, ReadyFlag> _flags;
    private readonly DateTimeOffset[] _boundaries;
    private readonly TaskCompletionSource _superseded = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <exception cref="FormatException">A rule's range cannot be read.</exception>
    public FlagSet(string appId, long version, IReadOnlyDictionary<string, Flag> flags)
    {
        AppId = appId;
        Version = version;
        Flags = flags;
        _flags = flags.ToFrozenDictionary(flag => flag.Key, flag => new ReadyFlag(appId, flag.Key, flag.Value), StringComparer.Ordinal);
        Keys = [.. flags.Keys.Order(StringComparer.Ordinal)];
        _boundaries = [.. flags.Values.SelectMany(flag => flag.Rules ?? []).SelectMany(rule => new[] { rule.From, rule.Until }).OfType<DateTimeOffset>().Order()];
    }

    public string AppId { get; }

    /// <summary>That of the latest publication among them.</summary>
    public long Version { get; }

    public IReadOnlyDictionary<string, Flag> Flags { get; }

    public IReadOnlyList<string> Keys { get; }

    /// <summary>Ends when there is a newer set for the app.</summary>
    public Task Superseded => _superseded.Task;

    public void Supersede() => _superseded.TrySetResult();

    /// <summary>The next time after <paramref name="now"/> at which a rule begins or ends.</summary>
    public DateTimeOffset? NextChange(DateTimeOffset now) => Array.Find(_boundaries, boundary => boundary > now) is var next && next == default ? null : next;

    /// <param name="steps">Filled with what was looked at, if given.</param>
    /// <returns>Null when there is no such flag.</returns>
    public Outcome? Evaluate(string key, EvaluationContext context, DateTimeOffset now, List<EvaluationStep>? steps = null) =>
        _flags.TryGetValue(key, out var flag) ? Evaluate(flag, context, now, steps) : null;

    private Outcome Evaluate(ReadyFlag flag, EvaluationContext context, DateTimeOffset now, List<EvaluationStep>? steps)
    {
        var source = flag.Source;
        if (!source.Enabled)
        {
            return flag.Disabled;
        }
        foreach (var required in source.Requires ?? [])
        {
            var other = Evaluate(_flags[required.Flag], context, now, null);
            var isSo = !other.IsMissing && required.Variants.Contains(other.Variant);
            steps?.Add(new($"requires {required.Flag}", $"it is {(other.IsMissing ? "nothing without a targetingKey" : other.Variant)}: {(isSo ? "right" : "not what is required")}"));
            if (!isSo)
            {
                return other.IsMissing ? flag.Missing : flag.Default;
            }
        }
        foreach (var rule in flag.Rules)
        {
            var isHit = rule.Hits(context, now);
            steps?.Add(new($"rule {rule.Source.Name}", isHit ? "hit" : "not hit"));
            if (!isHit)
            {
                continue;
            }
            if (rule.Serve is { } served)
            {
                return served;
            }
            if (context.TargetingKey is not { } unit)
            {
                return flag.Missing;
            }
            var bucket = AppDecisions.Bucket(flag.Key, unit);
            steps?.Add(new("split", $"bucket {bucket} of 0 to 9999"));
            return rule.Share(bucket);
        }
        return flag.Default;
    }

    private sealed class ReadyFlag
    {
        public ReadyFlag(string appId, string key, Flag source)
        {
            (Key, Source) = (key, source);
            var values = source.Variants.ToDictionary(variant => variant.Key, variant => JsonSerializer.SerializeToUtf8Bytes(variant.Value), StringComparer.Ordinal);
            Rules = [.. (source.Rules ?? []).Select(rule => new ReadyRule(appId, rule, (variant, reason) => new(key, variant, values[variant], reason, rule.Name)))];
            Default = new(key, source.Default, values[source.Default], Rules.Length is 0 && source.Requires is null or { Count: 0 } ? "STATIC" : "DEFAULT", null);
            Disabled = new(key, source.Default, values[source.Default], "DISABLED", null);
            Missing = new(key, source.Default, [], "ERROR", null);
        }

        public string Key { get; }

        public Flag Source { get; }

        public ReadyRule[] Rules { get; }

        public Outcome Default { get; }

        public Outcome Disabled { get; }

        public Outcome Missing { get; }
    }

    private sealed class ReadyRule
    {
        private readonly Func<AppDecisions.ReadCall, DateTimeOffset, bool> _app;
        private readonly FrozenSet<string>? _users;
        private readonly FrozenSet<Guid>? _devices;
        private readonly (string Name, FrozenSet<string> Values)[] _attributes;
        private readonly (Outcome Outcome, int Below)[] _shares;

        public ReadyRule(string appId, TargetingRule source, Func<string, string, Outcome> outcome)
        {
            Source = source;
            _app = AppDecisions.Condition(new(
                source.Name, appId, AppAction.Allow, Platforms: source.Platforms, Versions: source.Versions, OsVersions: source.OsVersions, From: source.From, Until: source.Until));
            _users = source.Users is { Count: > 0 } users ? users.ToFrozenSet(StringComparer.Ordinal) : null;
            _devices = source.Devices is { Count: > 0 } devices ? devices.ToFrozenSet() : null;
            _attributes = [.. (source.Attributes ?? new Dictionary<string, IReadOnlyList<string>>()).Select(one => (one.Key, one.Value.ToFrozenSet(StringComparer.Ordinal)))];
            Serve = source.Serve is { } variant ? outcome(variant, "TARGETING_MATCH") : null;
            var end = 0m;
            _shares = [.. (source.Split ?? new Dictionary<string, decimal>()).OrderBy(share => share.Key, StringComparer.Ordinal)
                .Select(share => (outcome(share.Key, "SPLIT"), (int)((end += share.Value) * 100)))];
        }

        /// <summary>Null when percentages decide.</summary>
        public Outcome? Serve { get; }

        public TargetingRule Source { get; }

        public bool Hits(EvaluationContext context, DateTimeOffset now) =>
            (_users is null || (context.User is { } user && _users.Contains(user)))
            && (_devices is null || (context.App.Call.DeviceId is { } device && _devices.Contains(device)))
            && (Source.Locales is null or { Count: 0 } || (context.App.Call.Locale is { } locale && Source.Locales.Any(range => Covers(range, locale))))
            && HasAttributes(context)
            && _app(context.App, now);

        public Outcome Share(int bucket)
        {
            foreach (var (outcome, below) in _shares)
            {
                if (bucket < below)
                {
                    return outcome;
                }
            }
            return _shares[^1].Outcome;
        }

        private bool HasAttributes(EvaluationContext context)
        {
            foreach (var (name, values) in _attributes)
            {
                if (!context.Attributes.TryGetValue(name, out var value) || !values.Contains(value))
                {
                    return false;
                }
            }
            return true;
        }

        /// <summary>RFC 4647, section 3.3.1 (basic filtering).</summary>
        private static bool Covers(string range, string locale) =>
            range is "*" || (locale.StartsWith(range, StringComparison.OrdinalIgnoreCase) && (locale.Length == range.Length || locale[range.Length] is '-'));
    }
}
