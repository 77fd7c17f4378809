using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace MobileServices.Push.Networks.WebPush;

/// <summary>Who sends (RFC 8292): a signed token for each push service, used again until its end is near.</summary>
internal sealed class Vapid(byte[] pkcs8, string subject)
{
    private const string Header = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9";
    private const int MostKept = 1000;
    // A day at most (section 2); clocks differ.
    private static readonly TimeSpan Life = TimeSpan.FromHours(12);
    private static readonly TimeSpan Renewal = TimeSpan.FromHours(1);

    private readonly ConcurrentDictionary<string, (string Value, DateTimeOffset Until)> _kept = new(StringComparer.Ordinal);

    /// <summary>The key as applications hand it to browsers (applicationServerKey).</summary>
    public string PublicKey { get; } = PublicKeyOf(pkcs8);

    /// <param name="origin">Of the push service, such as <c>https://push.example.net</c>.</param>
    /// <returns>The value of the header Authorization.</returns>
    public string Authorize(string origin, DateTimeOffset now)
    {
        if (_kept.TryGetValue(origin, out var kept) && kept.Until - now > Renewal && kept.Until - now <= Life)
        {
            return kept.Value;
        }
        if (_kept.Count >= MostKept)
        {
            // As many push services as nobody has, but strangers name them.
            _kept.Clear();
        }
        var until = now + Life;
        var claims = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, object> { ["aud"] = origin, ["exp"] = until.ToUnixTimeSeconds(), ["sub"] = subject });
        var signed = $"{Header}.{Base64Url.EncodeToString(claims)}";
        using var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(pkcs8, out _);
        var signature = key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256);
        var value = $"vapid t={signed}.{Base64Url.EncodeToString(signature)}, k={PublicKey}";
        _kept[origin] = (value, until);
        return value;
    }

    /// <summary>Who has signed a request to a push service (section 3).</summary>
    /// <param name="origin">Whom the token must be for.</param>
    /// <returns>The sender's public key; null when the header is no valid one of this scheme.</returns>
    public static byte[]? Verify(string? authorization, string origin, DateTimeOffset now)
    {
        if (authorization is null || !authorization.StartsWith("vapid ", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }
        var parameters = authorization[6..].Split(',', StringSplitOptions.TrimEntries).Select(part => part.Split('=', 2)).Where(part => part.Length is 2)
            .GroupBy(part => part[0]).ToDictionary(part => part.Key, part => part.First()[1]);
        if (!parameters.TryGetValue("t", out var token) || !parameters.TryGetValue("k", out var k) || Registrations.RegistrationRules.Decode(k) is not { } point || !MessageEncryption.IsPoint(point))
        {
            return null;
        }
        try
        {
            var parts = token.Split('.');
            if (parts.Length is not 3)
            {
                return null;
            }
            using var key = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new() { X = point[1..33], Y = point[33..] } });
            if (!key.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256))
            {
                return null;
            }
            using var header = JsonDocument.Parse(Base64Url.DecodeFromChars(parts[0]));
            using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(parts[1]));
            var end = DateTimeOffset.FromUnixTimeSeconds(claims.RootElement.GetProperty("exp").GetInt64());
            return header.RootElement.GetProperty("alg").GetString() is "ES256" && claims.RootElement.GetProperty("aud").GetString() == origin
                && end > now && end - now <= TimeSpan.FromHours(25)
                ? point
                : null;
        }
        catch (Exception exception) when (exception is FormatException or JsonException or KeyNotFoundException or InvalidOperationException or CryptographicException or ArgumentException)
        {
            return null;
        }
    }

    private static string PublicKeyOf(byte[] pkcs8)
    {
        using var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(pkcs8, out _);
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        return Base64Url.EncodeToString([4, .. point.X!, .. point.Y!]);
    }
}
