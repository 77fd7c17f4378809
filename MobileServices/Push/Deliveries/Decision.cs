using System.Text.Json;

namespace MobileServices.Push.Deliveries;

/// <summary>How deliveries stand. All but the first two are ends.</summary>
internal static class States
{
    public const string Pending = "pending";
    public const string Sending = "sending";
    public const string Accepted = "accepted";
    public const string Unknown = "unknown";
    public const string Dead = "dead";
    public const string Failed = "failed";
    public const string Expired = "expired";
    public const string Collapsed = "collapsed";
    public const string Muted = "muted";
    public const string Capped = "capped";
    public const string Recalled = "recalled";
}

/// <summary>One step in the life of a delivery.</summary>
/// <param name="What">Such as <c>held</c> or <c>accepted</c>.</param>
/// <param name="Detail">Why, in words.</param>
internal sealed record Decision(DateTimeOffset At, string What, string? Detail)
{
    /// <summary>As the ledger keeps it.</summary>
    public static string Of(DateTimeOffset at, string what, string? detail = null) => JsonSerializer.Serialize(new Decision(at.ToUniversalTime(), what, detail), Messages.PushContent.Json);
}
