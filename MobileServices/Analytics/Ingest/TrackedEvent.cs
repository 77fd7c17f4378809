namespace MobileServices.Analytics.Ingest;

/// <summary>What the tracking API calls a message; the numbers are stored.</summary>
internal enum EventType : short
{
    Track = 1,
    Identify = 2,
    Screen = 3,
    Page = 4,
    Group = 5,
    Alias = 6,
}

/// <summary>A message as it is stored.</summary>
/// <param name="MessageId">The first half of the SHA-256 of the client's <c>messageId</c>.</param>
/// <param name="At">When it happened, by the clock of this service.</param>
/// <param name="Properties">The JSON object of its properties, or traits; empty for none. A piece of the request's body.</param>
internal sealed record TrackedEvent(
    int App,
    Guid MessageId,
    EventType Type,
    DateTimeOffset At,
    DateTimeOffset ReceivedAt,
    string? AnonymousId,
    string? UserId,
    string? Name,
    MobileContext Context,
    ReadOnlyMemory<byte> Properties)
{
    public DateOnly Day => DateOnly.FromDateTime(At.UtcDateTime);
}

/// <summary>What is kept of the message's <c>context</c>. No address, no advertising id, no place.</summary>
internal readonly record struct MobileContext(string? Version, string? Platform, string? OsVersion, string? Model, string? Locale, string? Network);

/// <summary>How many messages of an app were not taken, and why.</summary>
internal readonly record struct Drop(int App, string Reason, long Events = 1);
