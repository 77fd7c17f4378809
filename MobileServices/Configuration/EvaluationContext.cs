using System.Security.Claims;
using System.Text.Json;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace MobileServices.Configuration;

/// <summary>For whom flags are evaluated.</summary>
/// <param name="TargetingKey">What percentages go by: the installation's or the user's id, as the client chose.</param>
/// <param name="App">App, version, platform, system, device and locale: of the context, and of the headers where it says nothing.</param>
/// <param name="User">By the access token; null without one.</param>
/// <param name="Attributes">The other text, numbers and booleans of the context, as text.</param>
internal sealed record EvaluationContext(string? TargetingKey, AppDecisions.ReadCall App, string? User, IReadOnlyDictionary<string, string> Attributes)
{
    public string AppId => App.Call.AppId;

    private const int LongestKey = 500;
    private const int MostAttributes = 200;
    private static readonly Dictionary<string, AppPlatform> Platforms = Enum.GetValues<AppPlatform>().ToDictionary(AppDecisions.NameOf, StringComparer.OrdinalIgnoreCase);

    /// <param name="problem">What is wrong with it; null when nothing is.</param>
    /// <param name="app">The app that is known from elsewhere.</param>
    public static EvaluationContext? Read(JsonElement body, HttpRequest request, ClaimsPrincipal caller, out string? problem, string? app = null)
    {
        problem = null;
        JsonElement context = default;
        if (body.ValueKind is not JsonValueKind.Object || (body.TryGetProperty("context", out context) && context.ValueKind is not (JsonValueKind.Object or JsonValueKind.Null)))
        {
            problem = "Send {\"context\": {...}}, with the targetingKey and what else there is to say of the caller.";
            return null;
        }
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        if (context.ValueKind is JsonValueKind.Object)
        {
            foreach (var member in context.EnumerateObject())
            {
                if (member.Value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False)
                {
                    texts[member.Name] = member.Value.ToString() is var text && member.Value.ValueKind is JsonValueKind.True or JsonValueKind.False ? text.ToLowerInvariant() : text;
                }
                else if (member.Name is "targetingKey" && member.Value.ValueKind is not JsonValueKind.Null)
                {
                    problem = "The targetingKey must be text.";
                    return null;
                }
            }
        }
        var headers = request.Headers;
        string? Take(string name, string header) => texts.Remove(name, out var told) ? told : headers[header].ToString() is { Length: > 0 } sent ? sent : null;

        texts.Remove("targetingKey", out var key);
        var id = Take("appId", "X-App-Id");
        var version = Take("appVersion", "X-App-Version") ?? "";
        var platform = Take("platform", "X-App-Platform");
        var system = Take("osVersion", "X-OS-Version");
        var device = Take("deviceId", "X-Device-Id");
        var locale = texts.Remove("locale", out var spoken) ? spoken : Language(headers.AcceptLanguage.ToString());
        id = app ?? id;
        problem = id is not { Length: > 0 and <= 200 } ? "Whose flags? Send the app as the header X-App-Id or as appId in the context, such as com.example.shop."
            : key?.Length > LongestKey ? $"The targetingKey has more than {LongestKey} characters."
            : texts.Count > MostAttributes ? $"The context has more than {MostAttributes} attributes."
            : null;
        return problem is not null ? null : new(
            key is "" ? null : key,
            new(new(id!, version, platform is not null && Platforms.TryGetValue(platform, out var known) ? known : null, system, Guid.TryParse(device, out var installation) ? installation : null, locale)),
            caller.Identity?.IsAuthenticated is true ? caller.FindFirstValue("sub") : null,
            texts);
    }

    private static string? Language(string languages)
    {
        var end = languages.AsSpan().IndexOfAny(',', ';');
        var first = (end < 0 ? languages : languages[..end]).Trim();
        return first.Length is 0 ? null : first;
    }
}
