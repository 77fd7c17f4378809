using System.Collections.Concurrent;

namespace MobileServices.Push.Messages;

/// <summary>A message to be sent. Members are nullable so that a missing one is told by its name.</summary>
/// <param name="App">Whose installations, such as <c>com.example.shop</c>.</param>
/// <param name="Audience">An expression over them, such as <c>news &amp;&amp; !muted</c>; <c>all</c> for everybody.</param>
/// <param name="Template">A template of the app, in place of <paramref name="Content"/>; its parameters are those of this message.</param>
/// <param name="Parameters">What <c>{{name}}</c> in texts stands for.</param>
/// <param name="Category">What users may mute, and caps count.</param>
/// <param name="CollapseKey">A later message with the same key replaces an earlier one that has not been delivered.</param>
/// <param name="Urgency"><c>very-low</c>, <c>low</c>, <c>normal</c> or <c>high</c> (RFC 8030, section 5.3); high is also for quiet hours.</param>
/// <param name="Silent">Wakes the app up and shows nothing.</param>
/// <param name="TtlSeconds">How long it is worth delivering, from when it goes out, waiting here included; 0 to 2419200.</param>
/// <param name="SendAt">When it goes out; at once without.</param>
/// <param name="SendAtLocal">When it goes out by each device's own clock, such as <c>2030-12-24T09:00:00</c>.</param>
/// <param name="DryRun">Says what would happen, and does nothing.</param>
internal sealed record PushSubmission(
    string? App,
    string? Audience,
    PushContent? Content,
    string? Template,
    IReadOnlyDictionary<string, string>? Parameters,
    string? Category,
    string? CollapseKey,
    string? Urgency,
    bool? Silent,
    int? TtlSeconds,
    DateTimeOffset? SendAt,
    DateTime? SendAtLocal,
    FrequencyCap? FrequencyCap,
    bool? DryRun);

/// <summary>How many messages of the category a device gets at most in so many hours.</summary>
internal sealed record FrequencyCap(int? Count, int? Hours);

/// <param name="DryRun">Nothing was kept, and nothing will be sent.</param>
/// <param name="Devices">Of a dry run: how many it would go to.</param>
internal sealed record PushSubmitted(Guid Id, string State, DateTimeOffset SendAt, bool DryRun, AudienceSize? Devices);

/// <param name="ByNetwork">The same by network.</param>
/// <param name="WithoutCredential">Those of them whose network the app has no credential for.</param>
internal sealed record AudienceSize(long Devices, long Users, IReadOnlyDictionary<string, long> ByNetwork, long WithoutCredential);

internal sealed record AudienceQuestion(string? App, string? Audience);

/// <summary>How a message stands.</summary>
/// <param name="State"><c>scheduled</c>, <c>resolving</c>, <c>sending</c>, <c>completed</c> or <c>recalled</c>.</param>
/// <param name="Devices">How many it is for, as far as that is known: the sum of <paramref name="Counts"/>.</param>
/// <param name="Counts">By the state of their deliveries.</param>
internal sealed record PushMessageState(
    Guid Id, string App, string Audience, string State, DateTimeOffset CreatedAt, DateTimeOffset SendAt, DateTimeOffset? ExpiresAt, DateTimeOffset? RecalledAt,
    string? Problem, long Devices, IReadOnlyDictionary<string, long> Counts, long Delivered, long Opened);

/// <summary>A message that is ready to be kept.</summary>
internal sealed record ReadyMessage(
    Guid Id, string App, string Sender, string? IdempotencyKey, byte[]? BodyHash, string Audience, PushContent Content, string? Category, string? CollapseKey, string Urgency,
    bool Silent, int TtlSeconds, DateTimeOffset SendAt, DateTime? SendLocal, DateTimeOffset? ExpiresAt, int? CapCount, int? CapHours)
{
    private const int MostKept = 100;
    private readonly ConcurrentDictionary<string, PushContent> _contents = [];

    /// <summary>As devices of that language get it, one object for all of them.</summary>
    public PushContent ContentFor(string locale)
    {
        if (_contents.TryGetValue(locale, out var content))
        {
            return content;
        }
        content = Content.For(locale);
        return _contents.Count < MostKept ? _contents.GetOrAdd(locale, content) : content;
    }
}
