using System.Collections.Frozen;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace Gateway;

/// <summary>How a call says which app it comes from.</summary>
internal static class AppHeaders
{
    public const string Id = "X-App-Id";
    public const string Version = "X-App-Version";
    public const string Platform = "X-App-Platform";
    public const string System = "X-OS-Version";
    public const string Device = "X-Device-Id";

    private static readonly FrozenDictionary<string, AppPlatform> Platforms = Enum.GetValues<AppPlatform>().ToFrozenDictionary(AppDecisions.NameOf);

    private const int LongestSystem = 50;
    private const int LongestLocale = 35;

    /// <param name="call">Null when there is no word of an app.</param>
    /// <returns>What is wrong with them; null when nothing is.</returns>
    public static string? Read(HttpRequest request, out AppCall? call)
    {
        call = null;
        var headers = request.Headers;
        var (id, version, platform, system, device) = (headers[Id], headers[Version], headers[Platform], headers[System], headers[Device]);
        if (id.Count is 0 && version.Count is 0 && platform.Count is 0 && system.Count is 0 && device.Count is 0)
        {
            return null;
        }
        if (id.Count is not 1 || id[0] is not { Length: > 0 and <= 200 } app)
        {
            return $"{Id} must be there once: the app's reverse domain name such as com.example.shop.";
        }
        if (version.Count is not 1 || !AppDecisions.IsVersion(version[0]))
        {
            return $"{Version} must be there once: a semantic version such as 1.4.0.";
        }
        AppPlatform? runsOn = null;
        if (platform.Count > 0)
        {
            if (!Platforms.TryGetValue(platform.ToString(), out var named))
            {
                return $"{Platform} must be one of {string.Join(", ", Platforms.Keys.Order())}.";
            }
            runsOn = named;
        }
        if (system.Count > 1 || system.ToString().Length > LongestSystem)
        {
            return $"{System} must be there once, with at most {LongestSystem} characters.";
        }
        Guid? installation = null;
        if (device.Count > 0)
        {
            if (!Guid.TryParseExact(device.ToString(), "D", out var installed))
            {
                return $"{Device} must be there once: the installation's UUID.";
            }
            installation = installed;
        }
        call = new(app, version[0]!, runsOn, system.Count is 0 ? null : system.ToString(), installation, Language(headers.AcceptLanguage.ToString()));
        return null;
    }

    /// <summary>The first of Accept-Language: apps send the one that they show.</summary>
    private static string? Language(string languages)
    {
        var end = languages.AsSpan().IndexOfAny(',', ';');
        var first = (end < 0 ? languages : languages[..end]).Trim();
        return first.Length is 0 or > LongestLocale ? null : first;
    }
}
