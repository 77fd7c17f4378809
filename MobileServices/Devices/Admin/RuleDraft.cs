using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace MobileServices.Devices.Admin;

/// <summary>An <see cref="AppRule"/> as it is sent; its name is in the path. The members mean the same there.</summary>
internal sealed record RuleDraft(
    string? AppId,
    AppAction? Action,
    int? Priority,
    IReadOnlyList<AppPlatform>? Platforms,
    string? Versions,
    string? OsVersions,
    decimal? Percentage,
    DateTimeOffset? From,
    DateTimeOffset? Until,
    IReadOnlyDictionary<string, string>? Messages,
    IReadOnlyDictionary<string, string>? Stores)
{
    private const int LongestMessage = 500;
    private const int MostMessages = 100;

    /// <returns>Messages by field; empty when all is well.</returns>
    public Dictionary<string, string[]> Check(string name)
    {
        var errors = new Dictionary<string, string[]>();
        void Demand(string field, bool right, string message)
        {
            if (!right)
            {
                errors.TryAdd(field, [message]);
            }
        }

        Demand("name", name.Length <= 64 && name.All(letter => letter is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-' or '.'),
            "Must be at most 64 of a to z, 0 to 9, '-' and '.', such as stop-1.4.");
        Demand("appId", DeviceRules.IsAppId(AppId), "Must be a reverse domain name such as com.example.shop.");
        Demand("action", Action is not null, $"Is missing. Send one of {DeviceRules.Names<AppAction>()}.");
        Demand("versions", Versions is null || AppDecisions.IsRange(Versions), "Must be a range in npm's syntax such as >=1.4.0 <1.5.0.");
        Demand("osVersions", OsVersions is null || AppDecisions.IsRange(OsVersions), "Must be a range in npm's syntax such as <16.0.0.");
        Demand("percentage", Percentage is null || (Percentage is > 0 and <= 100 && decimal.Round(Percentage.Value, 2) == Percentage),
            "Must be above 0, 100 at most, with two decimals at most.");
        Demand("until", !(Until <= From), "Must be after from.");
        Demand("messages", (Messages?.Count ?? 0) <= MostMessages, $"Send {MostMessages} at most.");
        Demand("messages", Messages is null or { Count: 0 } || Messages.ContainsKey("*"), "Must have one for everybody else, named *.");
        foreach (var (language, message) in Messages ?? new Dictionary<string, string>())
        {
            Demand($"messages.{language}", language is "*" || DeviceRules.IsLocale(language), "Must be named by a BCP 47 language tag such as de-AT, or *.");
            Demand($"messages.{language}", message is { Length: > 0 and <= LongestMessage } && !message.Any(char.IsControl),
                $"Must be text of at most {LongestMessage} characters without control characters.");
        }
        foreach (var (platform, store) in Stores ?? new Dictionary<string, string>())
        {
            Demand($"stores.{platform}", Enum.GetValues<AppPlatform>().Any(known => AppDecisions.NameOf(known) == platform),
                $"Must be named by one of {DeviceRules.Names<AppPlatform>()}.");
            Demand($"stores.{platform}", IsStore(store), "Must be an https address, or one of a store app such as market: or itms-apps:.");
        }
        return errors;
    }

    /// <summary>Only after <see cref="Check"/> found nothing.</summary>
    public AppRule ToRule(string name) =>
        new(name, AppId!, Action!.Value, Priority ?? 100, Platforms, Versions, OsVersions, Percentage ?? 100, From, Until, Messages, Stores);

    private static bool IsStore(string? address) =>
        address is { Length: <= 500 } && address.All(letter => letter is > ' ' and < '\x7f' and not '"' and not '\\')
        && Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme is "https" or "market" or "itms-apps" or "ms-windows-store" or "macappstore";
}

/// <param name="Version">Also the ETag, for If-Match.</param>
internal sealed record StoredRule(AppRule Rule, long Version, DateTime UpdatedAt, string UpdatedBy);

/// <summary>Which registered devices a rule would hit, now or in its time, whatever other rules say.</summary>
/// <param name="Devices">All of the app.</param>
/// <param name="Hits">Those that it hits.</param>
/// <param name="Versions">The hit versions, the most frequent first, 50 at most; before the percentage.</param>
internal sealed record Preview(long Devices, long Hits, IReadOnlyList<PreviewVersion> Versions);

internal sealed record PreviewVersion(AppPlatform Platform, string Version, long Devices);
