using System.Text.RegularExpressions;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace MobileServices.Devices;

/// <summary>What a registration must look like.</summary>
internal static partial class DeviceRules
{
    private const int MostPushAddresses = 10;
    private const int LongestAddress = 4096;

    /// <returns>Messages by field; empty when all is well.</returns>
    public static Dictionary<string, string[]> Check(Registration device)
    {
        var errors = new Dictionary<string, string[]>();
        Text("appId", device.AppId, 200, AppIds(), "a reverse domain name such as com.example.shop");
        Text("appVersion", device.AppVersion, 100, null, "");
        if (!errors.ContainsKey("appVersion") && !AppDecisions.IsVersion(device.AppVersion))
        {
            errors["appVersion"] = ["Must be a semantic version such as 1.4.0."];
        }
        Text("osVersion", device.OsVersion, 50, null, "");
        Text("model", device.Model, 100, null, "");
        Text("locale", device.Locale, 35, Locales(), "a BCP 47 language tag such as de-AT");
        Text("timeZone", device.TimeZone, 64, null, "");
        if (!errors.ContainsKey("timeZone") && !(device.TimeZone is "UTC" || (TimeZoneInfo.TryFindSystemTimeZoneById(device.TimeZone!, out var zone) && zone.HasIanaId)))
        {
            errors["timeZone"] = ["Must be an IANA time zone such as Europe/Vienna."];
        }
        if (device.Platform is null)
        {
            errors["platform"] = [$"Is missing. Send one of {Names<AppPlatform>()}."];
        }
        if (device.PushAddresses is null)
        {
            errors["pushAddresses"] = ["Is missing. Send an empty list when there is none."];
            return errors;
        }
        if (device.PushAddresses.Count > MostPushAddresses)
        {
            errors["pushAddresses"] = [$"Holds {device.PushAddresses.Count} addresses. Send {MostPushAddresses} at most."];
            return errors;
        }
        for (var at = 0; at < device.PushAddresses.Count; at++)
        {
            var address = device.PushAddresses[at];
            if (address?.Network is null)
            {
                errors[$"pushAddresses[{at}].network"] = [$"Is missing. Send one of {Names<PushNetwork>()}."];
            }
            Text($"pushAddresses[{at}].address", address?.Address, LongestAddress, null, "");
        }
        if (device.PushAddresses.Distinct().Count() < device.PushAddresses.Count)
        {
            errors.TryAdd("pushAddresses", ["Names an address twice. Send each once."]);
        }
        return errors;

        void Text(string field, string? value, int most, Regex? form, string formName)
        {
            if (string.IsNullOrWhiteSpace(value))
            {
                errors[field] = ["Is missing."];
            }
            else if (value.Length > most)
            {
                errors[field] = [$"Is {value.Length} characters long. Send {most} at most."];
            }
            else if (value.Any(char.IsControl))
            {
                errors[field] = ["Holds a control character. Send text without."];
            }
            else if (form?.IsMatch(value) is false)
            {
                errors[field] = [$"Must be {formName}."];
            }
        }
    }

    /// <returns>Whether the text can name an app.</returns>
    public static bool IsAppId(string? text) => text is { Length: <= 200 } && AppIds().IsMatch(text);

    /// <returns>Whether the text is a BCP 47 language tag.</returns>
    public static bool IsLocale(string? text) => text is { Length: <= 35 } && Locales().IsMatch(text);

    public static string Names<T>() where T : struct, Enum =>
        string.Join(", ", Enum.GetNames<T>().Select(name => char.ToLowerInvariant(name[0]) + name[1..]));

    [GeneratedRegex(@"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+\z", RegexOptions.NonBacktracking)]
    private static partial Regex AppIds();

    [GeneratedRegex(@"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\z", RegexOptions.NonBacktracking)]
    private static partial Regex Locales();
}
