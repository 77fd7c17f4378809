using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace BackendSystems.Webhooks;

/// <summary>Secrets and signatures of Standard Webhooks 1.0 (standardwebhooks.com), symmetric form.</summary>
internal static class WebhookSignature
{
    private const string Prefix = "whsec_";

    public static string NewSecret() => Prefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    public static bool IsSecret(string secret) => Key(secret) is { Length: >= 24 and <= 64 };

    /// <returns>The value of the header <c>webhook-signature</c>.</returns>
    public static string Sign(string secret, string messageId, long timestamp, string body)
    {
        var signed = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{messageId}.{timestamp}.{body}"));
        return "v1," + Convert.ToBase64String(HMACSHA256.HashData(Key(secret) ?? [], signed));
    }

    private static byte[]? Key(string secret)
    {
        if (!secret.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return null;
        }

        var key = new byte[secret.Length];
        return Convert.TryFromBase64String(secret[Prefix.Length..], key, out var length) ? key[..length] : null;
    }
}
