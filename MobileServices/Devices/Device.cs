using MobileIntegration.Contracts;

namespace MobileServices.Devices;

/// <summary>What an installation says of itself. Members are nullable so that a missing one is told by its name.</summary>
/// <param name="AppId">Reverse domain name, such as <c>com.example.shop</c>.</param>
/// <param name="AppVersion">SemVer, such as <c>1.4.0</c>.</param>
/// <param name="OsVersion">Such as <c>17.5.1</c>.</param>
/// <param name="Model">As the maker calls it, such as <c>Pixel 9</c>.</param>
/// <param name="Locale">BCP 47, such as <c>de-AT</c>.</param>
/// <param name="TimeZone">IANA name, such as <c>Europe/Vienna</c>.</param>
/// <param name="PushAddresses">Where it can be reached, in the order of preference; may be empty.</param>
internal sealed record Registration(
    string? AppId,
    string? AppVersion,
    AppPlatform? Platform,
    string? OsVersion,
    string? Model,
    string? Locale,
    string? TimeZone,
    IReadOnlyList<PushAddress>? PushAddresses);

/// <summary>What an app tells at its start, also before anybody has logged in; the members of <see cref="Registration"/> mean the same here.</summary>
/// <param name="DeviceId">The installation's own UUID.</param>
internal sealed record Launch(
    Guid? DeviceId,
    string? AppId,
    string? AppVersion,
    AppPlatform? Platform,
    string? OsVersion,
    string? Model,
    string? Locale,
    string? TimeZone)
{
    /// <summary>The registration without push addresses.</summary>
    public Registration ToRegistration() => new(AppId, AppVersion, Platform, OsVersion, Model, Locale, TimeZone, []);
}

/// <summary>The answer to <see cref="Launch"/>.</summary>
/// <param name="Signed">The same as a JWT (ES256) that the app can check without a connection; the keys are at /devices/keys.</param>
/// <param name="ExpiresAt">UTC; ask again before.</param>
internal sealed record LaunchAnswer(AppDecision Decision, string Signed, DateTimeOffset ExpiresAt);

/// <param name="Network">Who delivers.</param>
/// <param name="Address">The network's token or endpoint for this installation.</param>
internal sealed record PushAddress(PushNetwork? Network, string? Address);

internal enum PushNetwork
{
    Fcm,
    Apns,
    WebPush,
    UnifiedPush,
}

/// <summary>A registered installation; the members of <see cref="Registration"/> mean the same here.</summary>
/// <param name="Id">The installation's own UUID.</param>
/// <param name="RegisteredAt">UTC, the first registration.</param>
/// <param name="LastSeenAt">UTC, the last registration.</param>
/// <param name="User">Whose it is (<c>sub</c> of the access token with which it was registered); null before a login.</param>
/// <param name="Key">The thumbprint (RFC 7638) of its key, by which it proves itself from then on; null for one that has registered none.</param>
internal sealed record Device(
    Guid Id,
    string AppId,
    string AppVersion,
    AppPlatform Platform,
    string OsVersion,
    string Model,
    string Locale,
    string TimeZone,
    IReadOnlyList<PushAddress> PushAddresses,
    DateTimeOffset RegisteredAt,
    DateTimeOffset LastSeenAt,
    string? User,
    string? Key);
