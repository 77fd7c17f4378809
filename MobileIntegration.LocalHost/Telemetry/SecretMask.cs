using System.Collections.Concurrent;
using System.Text.RegularExpressions;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>Keeps secrets that a service sends by mistake out of memory, files and pages.</summary>
internal static partial class SecretMask
{
    public const string Masked = "***";

    private const int MostKeys = 10_000;
    private static readonly ConcurrentDictionary<string, bool> Keys = new();

    /// <summary>Whether a field of this name holds a secret whatever it says: headers that prove who calls, passwords, keys.</summary>
    public static bool IsSecret(string key)
    {
        if (Keys.TryGetValue(key, out var secret))
        {
            return secret;
        }

        secret = SecretKey().IsMatch(key);
        if (Keys.Count < MostKeys)
        {
            Keys[key] = secret;
        }

        return secret;
    }

    /// <summary>The text with the passwords in connection strings and addresses masked.</summary>
    public static string Clean(string text)
    {
        if (text.Contains("password", StringComparison.OrdinalIgnoreCase) || text.Contains("pwd", StringComparison.OrdinalIgnoreCase) ||
            text.Contains("secret", StringComparison.OrdinalIgnoreCase) || text.Contains("token", StringComparison.OrdinalIgnoreCase) ||
            text.Contains("key=", StringComparison.OrdinalIgnoreCase))
        {
            text = Assigned().Replace(text, $"$1{Masked}");
        }

        if (text.Contains("://", StringComparison.Ordinal) && text.Contains('@'))
        {
            text = UserInfo().Replace(text, $"$1{Masked}@");
        }

        return text.Contains("Bearer ", StringComparison.OrdinalIgnoreCase) ? Bearer().Replace(text, $"$1{Masked}") : text;
    }

    [GeneratedRegex(@"(^|[._\-])(authorization|cookie|set-cookie|set_cookie|password|passwd|pwd|secret|client_secret|api[_\-]?key|access_token|refresh_token|id_token|private[_\-]?key)$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex SecretKey();

    [GeneratedRegex(@"\b((?:password|pwd|client_secret|secret|access_token|refresh_token|id_token|token|api[_\-]?key|accountkey|sharedaccesskey)\s*=\s*)(?!\*\*\*)(?:""[^""]*""|'[^']*'|[^;&\s""',})]+)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Assigned();

    [GeneratedRegex(@"(://[^/\s:@]*:)[^/\s@]+@", RegexOptions.CultureInvariant)]
    private static partial Regex UserInfo();

    [GeneratedRegex(@"(Bearer\s+)[A-Za-z0-9._~+/=\-]{8,}", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Bearer();
}
