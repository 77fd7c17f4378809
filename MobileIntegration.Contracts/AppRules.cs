namespace MobileIntegration.Contracts;

/// <summary>What an app runs on.</summary>
public enum AppPlatform
{
    Android,
    Ios,
    Web,
    Windows,
    Macos,
    Linux,
}

/// <summary>What becomes of a call.</summary>
public enum AppAction
{
    /// <summary>It passes, and no later rule is asked.</summary>
    Allow,

    /// <summary>It passes, and the app is told.</summary>
    Warn,

    /// <summary>It does not pass.</summary>
    Block,
}

/// <summary>
/// Which calls of an app are allowed, warned or blocked. What is null or empty does not narrow the rule. The rule with the lowest
/// <paramref name="Priority"/> that hits decides, of equals the one whose name comes first (ordinal); a call that none hits is allowed.
/// </summary>
/// <param name="Name">Its own name for good; it also decides which devices a percentage hits.</param>
/// <param name="AppId">The app, such as <c>com.example.shop</c>.</param>
/// <param name="Action">What becomes of the call.</param>
/// <param name="Priority">Lower ones are asked first.</param>
/// <param name="Platforms">Any of these.</param>
/// <param name="Versions">
/// A range in npm's syntax over SemVer 2.0, such as <c>&gt;=1.4.0 &lt;1.5.0</c>, <c>1.4.x</c> or <c>&lt;1.2.0 || 1.3.0</c>. Pre-releases are in
/// it by their precedence alone: <c>1.5.0-beta</c> is below 1.5.0.
/// </param>
/// <param name="OsVersions">The same over the leading numbers of the system's version: <c>16</c> counts as 16.0.0, <c>10.0.19045.1</c> as 10.0.19045.</param>
/// <param name="Percentage">Above 0 to 100, two decimals: this share of the devices, the same ones at every call. Below 100 a call that names no device is not hit.</param>
/// <param name="From">Not before this time.</param>
/// <param name="Until">Before this time.</param>
/// <param name="Messages">What to tell the user, by BCP 47 language tag; <c>*</c> is for everybody else.</param>
/// <param name="Stores">Where a newer version is, by platform (its name in lower case).</param>
public sealed record AppRule(
    string Name,
    string AppId,
    AppAction Action,
    int Priority = 100,
    IReadOnlyList<AppPlatform>? Platforms = null,
    string? Versions = null,
    string? OsVersions = null,
    decimal Percentage = 100,
    DateTimeOffset? From = null,
    DateTimeOffset? Until = null,
    IReadOnlyDictionary<string, string>? Messages = null,
    IReadOnlyDictionary<string, string>? Stores = null);

/// <summary>All that decides about calls, at http://devices/app-gate.</summary>
/// <param name="Version">Greater after every change.</param>
/// <param name="Rules">In any order.</param>
/// <param name="BlockedDevices">Their installation ids.</param>
public sealed record AppRuleSet(long Version, IReadOnlyList<AppRule> Rules, IReadOnlyList<Guid> BlockedDevices)
{
    /// <summary>The Redis channel on which the new <see cref="Version"/> is told after a change.</summary>
    public const string Channel = "mobile.app-gate";

    /// <summary>Where the devices service answers it. Inside the system only: the gateway does not route it.</summary>
    public const string Path = "/app-gate";
}

/// <summary>Who calls, by its own words.</summary>
/// <param name="Platform">Null when it is not told: then no rule that names platforms hits.</param>
/// <param name="OsVersion">Null when it is not told: then no rule that names a range of them hits.</param>
/// <param name="DeviceId">The installation id; null when it is not told.</param>
/// <param name="Locale">BCP 47.</param>
public sealed record AppCall(string AppId, string Version, AppPlatform? Platform, string? OsVersion, Guid? DeviceId, string? Locale);

/// <summary>What becomes of a call, and why.</summary>
/// <param name="Rule">The name of the rule that decided; null when none did, or when the device itself is blocked.</param>
/// <param name="Message">For the user, in the best language there is.</param>
/// <param name="Store">Where a newer version is.</param>
/// <param name="MinimumVersion">The lowest newer version that would not be blocked (after a warning: neither blocked nor warned); null when the rules know of none.</param>
/// <param name="DeviceBlocked">It is this device that is blocked, whatever the version.</param>
public sealed record AppDecision(
    AppAction Action, string? Rule = null, string? Message = null, string? Store = null, string? MinimumVersion = null, bool DeviceBlocked = false)
{
    public static AppDecision Allow { get; } = new(AppAction.Allow);
}
