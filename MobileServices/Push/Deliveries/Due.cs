using System.Globalization;
using MobileServices.Push.Messages;

namespace MobileServices.Push.Deliveries;

/// <summary>A delivery whose time has come, with what is known of its device at that moment.</summary>
internal sealed class Due
{
    public Guid MessageId { get; init; }
    public Guid DeviceId { get; init; }

    /// <summary>Whom it was matched for, where its audience asks for more than devices.</summary>
    public string? UserId { get; init; }

    /// <summary>Of one that the ledger has no row of yet.</summary>
    public DateTime? MatchedAt { get; init; }
    public int Attempts { get; init; }

    /// <summary>What a network calls it that keeps a message once and has taken it by an attempt of which nothing was written down.</summary>
    public string? KeptAs { get; init; }

    /// <summary>Whether later messages ask for it by its device: its message has a category or a collapse key.</summary>
    public bool IsTracked { get; init; }
    public string[]? Changed { get; init; }
    public DateTime? RecalledAt { get; init; }
    public bool IsReplaced { get; init; }

    /// <summary>It was matched for a user who does not have the device any more.</summary>
    public bool IsOfAnother { get; init; }

    /// <summary>The device has a user.</summary>
    public bool IsOfSomebody { get; init; }

    /// <summary>Where the device is registered now.</summary>
    public string? Network { get; init; }
    public string? AppId { get; init; }
    public string? Address { get; init; }
    public string? Host { get; init; }
    public byte[]? P256dh { get; init; }
    public byte[]? Auth { get; init; }
    public string? Locale { get; init; }
    public string? TimeZone { get; init; }
    public TimeSpan? QuietFrom { get; init; }
    public TimeSpan? QuietUntil { get; init; }
    public string? QuietZone { get; init; }
    public string[]? Muted { get; init; }
    public DateTime? PausedUntil { get; init; }
    public DateTime? StoppedAt { get; init; }
    public string? ChannelReason { get; init; }
    public DateTime? CredentialSavedAt { get; init; }
}

/// <summary>What is to become of a delivery whose time has come.</summary>
internal abstract record Verdict
{
    /// <param name="TtlSeconds">What is left, for the network.</param>
    internal sealed record Send(int TtlSeconds, DateTimeOffset ExpiresAt) : Verdict;

    /// <param name="For">What it waits for: <c>quiet</c>, <c>local</c> or <c>channel</c>.</param>
    internal sealed record Hold(DateTimeOffset Until, string For, string Why) : Verdict;

    internal sealed record End(string State, string Why) : Verdict;

    private static readonly TimeSpan NowOrNever = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Everything but the frequency cap, which needs to count. It is asked whenever the delivery's time comes, not when the message was sent: what has changed
    /// since then counts.
    /// </summary>
    /// <param name="needsCredential">Our own push service needs none.</param>
    public static Verdict Of(Due due, ReadyMessage message, bool needsCredential, DateTimeOffset now)
    {
        if (due.RecalledAt is not null)
        {
            return new End(States.Recalled, "the message was recalled");
        }
        if (due.Address is null || due.AppId != message.App)
        {
            return new End(States.Dead, "the device has no address any more");
        }
        if (due.IsOfAnother)
        {
            return new End(States.Dead, "it was for a user who does not have the device any more");
        }
        var zone = Zone(due.TimeZone);
        var start = message.SendLocal is { } local ? LocalClock.ToUtc(local, zone) : message.SendAt;
        // Without any time to wait in a network it still has to get there.
        var expires = start + (message.TtlSeconds is 0 ? NowOrNever : TimeSpan.FromSeconds(message.TtlSeconds));
        if (now < start)
        {
            return new Hold(start, "local", string.Create(CultureInfo.InvariantCulture, $"until it is {message.SendLocal:yyyy-MM-dd HH:mm} in {zone.Id}"));
        }
        if (due.IsReplaced)
        {
            return new End(States.Collapsed, "a later message with the same collapse key replaces it");
        }
        if (now >= expires)
        {
            return new End(States.Expired, $"its time was over at {expires.UtcDateTime:u}");
        }
        if (message.Category is { } category && due.Muted?.Contains(category) is true)
        {
            return new End(States.Muted, $"the user has muted {category}");
        }
        if (!message.Silent && message.Urgency is not "high" && due is { QuietFrom: { } from, QuietUntil: { } until }
            && LocalClock.QuietUntil(TimeOnly.FromTimeSpan(from), TimeOnly.FromTimeSpan(until), due.QuietZone is null ? zone : Zone(due.QuietZone), now) is { } release)
        {
            return new Hold(Earlier(release, expires), "quiet", $"quiet hours until {release.UtcDateTime:u}");
        }
        if (needsCredential && due.CredentialSavedAt is null)
        {
            return new Hold(expires, "channel", "the app has no credential for this network");
        }
        if (due.StoppedAt is not null)
        {
            return new Hold(expires, "channel", $"the network does not take the app's credential: {due.ChannelReason}");
        }
        if (due.PausedUntil > now.UtcDateTime)
        {
            return new Hold(Earlier(due.PausedUntil.Value, expires), "channel", $"waits for the network: {due.ChannelReason}");
        }
        return new Send(message.TtlSeconds is 0 ? 0 : Math.Max(1, (int)(expires - now).TotalSeconds), expires);
    }

    private static DateTimeOffset Earlier(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;

    private static TimeZoneInfo Zone(string? id) => id is not null && TimeZoneInfo.TryFindSystemTimeZoneById(id, out var zone) ? zone : TimeZoneInfo.Utc;
}
