using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace IntegrationServices.Changes;

/// <summary>The receiving side of Standard Webhooks 1.0 (standardwebhooks.com), symmetric signatures.</summary>
internal static class WebhookSignature
{
    private const string Prefix = "whsec_";
    private const int LongestId = 200;

    public static string NewSecret() => Prefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    /// <returns>Why it is not to be believed; null when it is.</returns>
    public static string? Refuse(IHeaderDictionary headers, ReadOnlySpan<byte> body, string secret, DateTimeOffset now, TimeSpan tolerance)
    {
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
        var head = Encoding.ASCII.GetBytes($"{id}.{timestamp}.");
        byte[] signed = [.. head, .. body];
        var expected = HMACSHA256.HashData(Convert.FromBase64String(secret[Prefix.Length..]), signed);
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
}
