using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using MobileIntegration.Contracts;
using Semver;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// The one place that decides what becomes of a call of an app, made ready from a rule set once and then asked by every call: nothing here waits.
/// </summary>
public sealed class AppDecisions
{
    private const int MostVersionsKept = 4096;
    private static readonly RecentlyUsed<string, SemVersion> Parsed = new(1000);

    private readonly FrozenDictionary<string, Rule[]> _apps;
    private readonly FrozenSet<Guid> _blockedDevices;
    private readonly ConcurrentDictionary<string, SemVersion?> _versions = new(StringComparer.Ordinal);
    private readonly DateTimeOffset[] _boundaries;

    /// <exception cref="FormatException">A rule's range cannot be read.</exception>
    public AppDecisions(AppRuleSet rules)
    {
        ArgumentNullException.ThrowIfNull(rules);
        RuleSet = rules;
        _apps = rules.Rules
            .OrderBy(rule => rule.Priority).ThenBy(rule => rule.Name, StringComparer.Ordinal)
            .GroupBy(rule => rule.AppId, StringComparer.Ordinal)
            .ToFrozenDictionary(app => app.Key, app => app.Select(rule => new Rule(rule)).ToArray(), StringComparer.Ordinal);
        _blockedDevices = rules.BlockedDevices.ToFrozenSet();
        _boundaries = [.. rules.Rules.SelectMany(rule => new[] { rule.From, rule.Until }).OfType<DateTimeOffset>().Order()];
    }

    public AppRuleSet RuleSet { get; }

    public long Version => RuleSet.Version;

    /// <summary>What becomes of a call at this time.</summary>
    public AppDecision Decide(AppCall call, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(call);
        if (call.DeviceId is { } device && _blockedDevices.Contains(device))
        {
            return new(AppAction.Block, DeviceBlocked: true);
        }
        if (!_apps.TryGetValue(call.AppId, out var rules))
        {
            return AppDecision.Allow;
        }
        var version = Parse(call.Version);
        var system = call.OsVersion is null ? null : ParseSystem(call.OsVersion);
        if (First(rules, call, version, system, now) is not { } rule)
        {
            return AppDecision.Allow;
        }
        return rule.Source.Action is AppAction.Allow
            ? new(AppAction.Allow, rule.Source.Name)
            : new(
                rule.Source.Action,
                rule.Source.Name,
                Message(rule.Source.Messages, call.Locale),
                call.Platform is { } platform ? rule.Source.Stores?.GetValueOrDefault(NameOf(platform)) : null,
                version is null ? null : Minimum(rules, call, version, system, now, rule.Source.Action)?.ToString());
    }

    /// <summary>The next time after <paramref name="now"/> at which a rule begins or ends.</summary>
    public DateTimeOffset? NextChange(DateTimeOffset now)
    {
        foreach (var boundary in _boundaries)
        {
            if (boundary > now)
            {
                return boundary;
            }
        }
        return null;
    }

    /// <summary>
    /// Which ten-thousandth of the devices this one is in for a rule: the first four bytes of SHA-256 over <c>{rule}:{device id in lower case}</c> in
    /// UTF-8, as an unsigned big-endian number, modulo 10,000. The rule hits when that is below a hundred times its percentage.
    /// </summary>
    public static int Bucket(string rule, Guid device) => Bucket(rule, device.ToString("D"));

    /// <summary>The same of anything with a name, by anything that tells callers apart: SHA-256 over <c>{name}:{unit}</c>.</summary>
    public static int Bucket(string name, string unit)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(unit);
        const int Short = 512;
        var most = Encoding.UTF8.GetMaxByteCount(name.Length + 1 + unit.Length);
        var text = most <= Short ? stackalloc byte[Short] : new byte[most];
        var length = Encoding.UTF8.GetBytes(name, text);
        text[length++] = (byte)':';
        length += Encoding.UTF8.GetBytes(unit, text[length..]);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(text[..length], hash);
        return (int)(BinaryPrimitives.ReadUInt32BigEndian(hash) % 10_000);
    }

    /// <summary>Whether a rule hits, whatever other rules say: for what decides by the same conditions about something else.</summary>
    /// <exception cref="FormatException">A range of the rule cannot be read.</exception>
    public static Func<ReadCall, DateTimeOffset, bool> Condition(AppRule rule)
    {
        var ready = new Rule(rule);
        return (call, now) => ready.Hits(call.Call, ready.NamesVersions ? call.Version : null, ready.NamesSystems ? call.System : null, now);
    }

    /// <summary>Whether a rule holds for a version and a system, apart from its percentage and time.</summary>
    /// <exception cref="FormatException">A range of the rule cannot be read.</exception>
    public static Func<AppPlatform, string, string, bool> Matcher(AppRule rule)
    {
        var ready = new Rule(rule);
        return (platform, version, system) => ready.Fits(platform, ParseVersion(version), ParseSystem(system));
    }

    /// <returns>Whether the text is a range of versions.</returns>
    public static bool IsRange(string? text) => text is not null && text.Length <= 500 && SemVersionRange.TryParseNpm(text, includeAllPrerelease: true, out _, 500);

    /// <returns>Whether the text is a version by SemVer 2.0 of at most 100 characters.</returns>
    public static bool IsVersion(string? text) => text is { Length: <= 100 } && ParseVersion(text) is not null;

    /// <summary>The platform's name in JSON, headers and the keys of <see cref="AppRule.Stores"/>.</summary>
    public static string NameOf(AppPlatform platform) => platform switch
    {
        AppPlatform.Android => "android",
        AppPlatform.Ios => "ios",
        AppPlatform.Web => "web",
        AppPlatform.Windows => "windows",
        AppPlatform.Macos => "macos",
        _ => "linux",
    };

    /// <summary>RFC 4647, section 3.4 (lookup): the tag, then without its last subtag, and so on, then <c>*</c>.</summary>
    private static string? Message(IReadOnlyDictionary<string, string>? messages, string? locale)
    {
        if (messages is null or { Count: 0 })
        {
            return null;
        }
        for (var tag = locale; !string.IsNullOrEmpty(tag);)
        {
            foreach (var (language, message) in messages)
            {
                if (language.Equals(tag, StringComparison.OrdinalIgnoreCase))
                {
                    return message;
                }
            }
            var cut = tag.LastIndexOf('-');
            // A singleton subtag ("de-x-bavaria") goes with what it announces.
            cut = cut > 2 && tag[cut - 2] is '-' ? cut - 2 : cut;
            tag = cut > 0 ? tag[..cut] : null;
        }
        return messages.GetValueOrDefault("*");
    }

    private static Rule? First(Rule[] rules, AppCall call, SemVersion? version, SemVersion? system, DateTimeOffset now)
    {
        foreach (var rule in rules)
        {
            if (rule.Hits(call, version, system, now))
            {
                return rule;
            }
        }
        return null;
    }

    /// <summary>The ends of the rules' ranges are the only places above which something changes.</summary>
    private static SemVersion? Minimum(Rule[] rules, AppCall call, SemVersion version, SemVersion? system, DateTimeOffset now, AppAction action) => rules
        .SelectMany(rule => rule.Ends)
        .Where(end => end.ComparePrecedenceTo(version) > 0)
        .Order(SemVersion.PrecedenceComparer)
        .FirstOrDefault(end => (First(rules, call, end, system, now)?.Source.Action ?? AppAction.Allow) < action);

    private SemVersion? Parse(string text)
    {
        if (_versions.TryGetValue(text, out var known))
        {
            return known;
        }
        var version = ParseVersion(text);
        if (_versions.Count < MostVersionsKept)
        {
            _versions.TryAdd(text, version);
        }
        return version;
    }

    private static SemVersion? ParseVersion(string text)
    {
        if (!Parsed.TryGet(text, out var version) && SemVersion.TryParse(text, SemVersionStyles.Strict, out version, 100))
        {
            Parsed.Set(text, version);
        }
        return version;
    }

    private static SemVersion? ParseSystem(string text)
    {
        Span<int> numbers = [0, 0, 0];
        var at = 0;
        foreach (var part in text.AsSpan().Split('.'))
        {
            var digits = text.AsSpan()[part];
            var stop = digits.IndexOfAnyExceptInRange('0', '9');
            if (at is 3 || !int.TryParse(stop < 0 ? digits : digits[..stop], System.Globalization.CultureInfo.InvariantCulture, out numbers[at]))
            {
                break;
            }
            at++;
            if (stop >= 0)
            {
                break;
            }
        }
        return at is 0 ? null : new(numbers[0], numbers[1], numbers[2]);
    }

    /// <summary>A rule whose ranges were read.</summary>
    private sealed class Rule
    {
        private readonly SemVersionRange? _versions;
        private readonly SemVersionRange? _systems;

        public Rule(AppRule source)
        {
            Source = source;
            _versions = Read(source.Versions);
            _systems = Read(source.OsVersions);
            Ends = _versions is null ? [] : [.. _versions.Select(part => part.End is { } end ? After(end, part.EndInclusive) : null).OfType<SemVersion>()];
        }

        public AppRule Source { get; }

        public bool NamesVersions => _versions is not null;

        public bool NamesSystems => _systems is not null;

        /// <summary>The first versions above its ranges.</summary>
        public SemVersion[] Ends { get; }

        public bool Hits(AppCall call, SemVersion? version, SemVersion? system, DateTimeOffset now) =>
            !(Source.From > now) && !(Source.Until <= now)
            && Fits(call.Platform, version, system)
            && (Source.Percentage >= 100 || (call.DeviceId is { } device && Bucket(Source.Name, device) < Source.Percentage * 100));

        public bool Fits(AppPlatform? platform, SemVersion? version, SemVersion? system) =>
            (Source.Platforms is null or { Count: 0 } || (platform is { } named && Source.Platforms.Contains(named)))
            && (_versions is null || (version is not null && _versions.Contains(version)))
            && (_systems is null || (system is not null && _systems.Contains(system)));

        private static SemVersionRange? Read(string? range) =>
            string.IsNullOrWhiteSpace(range) ? null : SemVersionRange.ParseNpm(range, includeAllPrerelease: true, 500);

        /// <summary>Nobody is told to update to a pre-release that stands for "everything below".</summary>
        private static SemVersion After(SemVersion end, bool inclusive) =>
            !inclusive ? (end.Prerelease is "0" ? end.WithoutPrereleaseOrMetadata() : end)
            : end.IsPrerelease ? end.WithoutPrereleaseOrMetadata()
            : new(end.Major, end.Minor, end.Patch + 1);
    }

    /// <summary>A call whose versions are read once, when the first condition asks for them.</summary>
    public sealed class ReadCall(AppCall call)
    {
        private readonly Lazy<SemVersion?> _version = new(() => ParseVersion(call.Version), LazyThreadSafetyMode.None);
        private readonly Lazy<SemVersion?> _system = new(() => call.OsVersion is null ? null : ParseSystem(call.OsVersion), LazyThreadSafetyMode.None);

        public AppCall Call => call;

        internal SemVersion? Version => _version.Value;

        internal SemVersion? System => _system.Value;
    }
}
