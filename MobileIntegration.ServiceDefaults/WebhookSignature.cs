using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace MobileIntegration.ServiceDefaults;

/// <summary>Secrets and signatures of Standard Webhooks 1.0 (standardwebhooks.com), symmetric form: for who sends and for who receives.</summary>
public static class WebhookSignature
{
    private const string Prefix = "whsec_";
    private const int LongestId = 200;

    public static string NewSecret() => Prefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    /// <returns>Whether it is <c>whsec_</c> and the base64 of 24 to 64 bytes.</returns>
    public static bool IsSecret(string secret) => Key(secret) is { Length: >= 24 and <= 64 };

    /// <param name="timestamp">Seconds since 1970.</param>
    /// <returns>The value of the header <c>webhook-signature</c>; of several secrets, those of each go into it, with a space between.</returns>
    public static string Sign(string secret, string messageId, long timestamp, ReadOnlySpan<byte> body) =>
        "v1," + Convert.ToBase64String(Mac(RequiredKey(secret), messageId, timestamp.ToString(CultureInfo.InvariantCulture), body));

    /// <returns>Why it is not to be believed; null when it is.</returns>
    public static string? Refuse(IHeaderDictionary headers, ReadOnlySpan<byte> body, string secret, DateTimeOffset now, TimeSpan tolerance)
    {
        ArgumentNullException.ThrowIfNull(headers);
        var (id, timestamp, signatures) = (headers["webhook-id"].ToString(), headers["webhook-timestamp"].ToString(), headers["webhook-signature"].ToString());
        if (id.Length is 0 or > LongestId || id.Any(character => character is <= ' ' or > '~' or '.'))
        {
            return $"webhook-id must have 1 to {LongestId} visible ASCII characters, none of them a full stop.";
        }
        if (!long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
        {
            return "webhook-timestamp must be seconds since 1970.";
        }
        if (Math.Abs(now.ToUnixTimeSeconds() - (double)seconds) > tolerance.TotalSeconds)
        {
            return $"webhook-timestamp is more than {tolerance.TotalSeconds} s from now: sign it anew, or set the clock.";
        }
        var expected = Mac(RequiredKey(secret), id, timestamp, body);
        // While a secret is changed there are several.
        foreach (var signature in signatures.Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(10))
        {
            var given = new byte[expected.Length];
            if (signature.StartsWith("v1,", StringComparison.Ordinal) && Convert.TryFromBase64String(signature[3..], given, out var length)
                && CryptographicOperations.FixedTimeEquals(given.AsSpan(0, length), expected))
            {
                return null;
            }
        }
        return "webhook-signature is not that of this message by the secret it was ordered with.";
    }

    private static byte[] Mac(byte[] key, string id, string timestamp, ReadOnlySpan<byte> body)
    {
        byte[] signed = [.. Encoding.ASCII.GetBytes($"{id}.{timestamp}."), .. body];
        return HMACSHA256.HashData(key, signed);
    }

    private static byte[] RequiredKey(string secret) => Key(secret) ?? throw new FormatException("The secret is not whsec_ and base64.");

    private static byte[]? Key(string secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        if (!secret.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return null;
        }
        var key = new byte[secret.Length];
        return Convert.TryFromBase64String(secret[Prefix.Length..], key, out var length) ? key[..length] : null;
    }
}
