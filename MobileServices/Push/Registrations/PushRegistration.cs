using System.Buffers.Text;
using MobileIntegration.Contracts;
using MobileServices.Devices;
using MobileServices.Push.Networks;
using MobileServices.Push.Networks.WebPush;

namespace MobileServices.Push.Registrations;

/// <summary>Where an installation can be reached for push. Members are nullable so that a missing one is told by its name.</summary>
/// <param name="AppId">Reverse domain name, such as <c>com.example.shop</c>.</param>
/// <param name="Network"><c>webpush</c> (also UnifiedPush), <c>fcm</c>, <c>apns</c> or <c>own</c>.</param>
/// <param name="Address">The endpoint of Web Push, the token of FCM or APNs, the endpoint of the own push service.</param>
/// <param name="Keys">
/// Of a Web Push subscription. With <c>fcm</c> and <c>apns</c> they are the device's own, if it wants its messages encrypted (RFC 8291); a registration without them ends that.
/// </param>
/// <param name="AppVersion">SemVer, such as <c>1.4.0</c>.</param>
/// <param name="Locale">BCP 47, such as <c>de-AT</c>.</param>
/// <param name="TimeZone">IANA name, such as <c>Europe/Vienna</c>.</param>
/// <param name="Tags">What audiences may ask for: letters, digits, '-', '_', '.', ':'.</param>
internal sealed record PushRegistration(
    string? AppId,
    string? Network,
    string? Address,
    SubscriptionKeys? Keys,
    AppPlatform? Platform,
    string? AppVersion,
    string? Locale,
    string? TimeZone,
    IReadOnlyList<string>? Tags);

/// <summary>As browsers give them (base64url): what a message is encrypted to.</summary>
/// <param name="P256dh">The device's public key: an uncompressed point on P-256, 65 bytes.</param>
/// <param name="Auth">Its authentication secret, which networks do not know: 16 bytes.</param>
internal sealed record SubscriptionKeys(string? P256dh, string? Auth);

/// <summary>What a registration must look like.</summary>
internal static class RegistrationRules
{
    private const int MostTags = 100;

    public static bool IsTag(string? tag) =>
        tag is { Length: > 0 and <= 100 } && tag.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.' or ':');

    public static bool IsTimeZone(string? zone) =>
        zone is { Length: > 0 and <= 64 } && (zone is "UTC" || (TimeZoneInfo.TryFindSystemTimeZoneById(zone, out var found) && found.HasIanaId));

    /// <returns>Messages by field; empty when all is well.</returns>
    public static Dictionary<string, string[]> Check(PushRegistration registration, NetworkList networks)
    {
        var errors = new Dictionary<string, string[]>();
        Require("appId", DeviceRules.IsAppId(registration.AppId), "Must be a reverse domain name such as com.example.shop.");
        Require("appVersion", VersionOrder.Of(registration.AppVersion) is not null, "Must be a semantic version such as 1.4.0.");
        Require("locale", DeviceRules.IsLocale(registration.Locale), "Must be a BCP 47 language tag such as de-AT.");
        Require("timeZone", IsTimeZone(registration.TimeZone), "Must be an IANA time zone such as Europe/Vienna.");
        Require("platform", registration.Platform is not null, $"Is missing. Send one of {DeviceRules.Names<AppPlatform>()}.");
        Require("tags", registration.Tags is null || (registration.Tags.Count <= MostTags && registration.Tags.All(IsTag)),
            $"Must be at most {MostTags} tags of at most 100 letters, digits, '-', '_', '.' and ':'.");
        if (registration.Network is null || networks.Find(registration.Network) is not { } network)
        {
            errors["network"] = [$"Must be one of {networks.Names}."];
        }
        else if (string.IsNullOrEmpty(registration.Address) || registration.Address.Length > 4096 || registration.Address.Any(char.IsControl))
        {
            errors["address"] = ["Must be the network's address of this installation, at most 4096 characters."];
        }
        else if (network.CheckAddress(registration.Address) is { } wrong)
        {
            errors["address"] = [wrong];
        }
        if (networks.Find(registration.Network ?? "") is { } used && (used.NeedsKeys || registration.Keys is not null))
        {
            CheckKeys(used);
        }
        return errors;

        void CheckKeys(INetwork used)
        {
            if (used.LargestEncrypted is null)
            {
                errors["keys"] = [$"Are of no use to the network {used.Name}: nothing is encrypted to them there. Leave them out."];
                return;
            }
            var point = Decode(registration.Keys?.P256dh);
            Require("keys.p256dh", point is not null && MessageEncryption.IsPoint(point), "Must be the public key of the subscription or device: an uncompressed point on the curve P-256, 65 bytes in base64url.");
            Require("keys.auth", Decode(registration.Keys?.Auth) is { Length: 16 }, "Must be the authentication secret of the subscription or device: 16 bytes in base64url.");
        }

        void Require(string field, bool holds, string otherwise)
        {
            if (!holds)
            {
                errors[field] = [otherwise];
            }
        }
    }

    /// <summary>Base64url, and the base64 that some libraries give instead, with padding or without.</summary>
    public static byte[]? Decode(string? text)
    {
        if (text is not { Length: > 0 and <= 200 })
        {
            return null;
        }
        var plain = text.Replace('+', '-').Replace('/', '_').TrimEnd('=');
        return Base64Url.IsValid(plain) ? Base64Url.DecodeFromChars(plain) : null;
    }
}
