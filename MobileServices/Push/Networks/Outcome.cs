namespace MobileServices.Push.Networks;

/// <summary>What came of an attempt. The classes are never mixed: each has its own consequence.</summary>
internal enum OutcomeClass
{
    /// <summary>The network took it.</summary>
    Accepted,

    /// <summary>The address is no longer one: the registration is removed.</summary>
    Dead,

    /// <summary>The credential is not right: the app's network stops until an administrator saves it anew. Nothing is removed.</summary>
    Misconfigured,

    /// <summary>This address is of another app or sender than the credential: this delivery fails, nothing is removed, and others go on.</summary>
    Mismatched,

    /// <summary>It goes by: another attempt later.</summary>
    Transient,

    /// <summary>This message is not taken, now or later.</summary>
    Refused,

    /// <summary>The request was written and nothing came back: it may have been taken.</summary>
    Unknown,
}

/// <param name="Reason">The network's own word, such as <c>Unregistered</c>, or what happened here.</param>
/// <param name="NetworkId">The network's name for an accepted message.</param>
/// <param name="RetryAfter">When it says how long to wait: for the credential at that host, not only for this message.</param>
/// <param name="DeadSince">Since when the address is dead, when the network says so.</param>
/// <param name="LeastPause">How long this message waits at least, where the network's documents say so and its answer does not.</param>
internal sealed record Outcome(
    OutcomeClass Class, string Reason, string? NetworkId = null, TimeSpan? RetryAfter = null, DateTimeOffset? DeadSince = null, TimeSpan? LeastPause = null);

/// <summary>
/// Which answer of which network means what: the first row that fits decides. FCM: the REST reference's ErrorCode; APNs: "Handling notification responses from
/// APNs"; Web Push: RFC 8030, sections 5 and 8.
/// </summary>
internal static class FailureTable
{
    private const string Any = "*";

    /// <param name="Status">0 for any.</param>
    private sealed record Row(string Network, int Status, string Reason, OutcomeClass Class);

    private static readonly Row[] Rows =
    [
        new(WebPush.WebPushNetwork.NetworkName, 404, Any, OutcomeClass.Dead),
        new(WebPush.WebPushNetwork.NetworkName, 410, Any, OutcomeClass.Dead),

        new(Fcm.FcmNetwork.NetworkName, 404, "UNREGISTERED", OutcomeClass.Dead),
        new(Fcm.FcmNetwork.NetworkName, 400, "INVALID_TOKEN", OutcomeClass.Dead),
        new(Fcm.FcmNetwork.NetworkName, 403, "SENDER_ID_MISMATCH", OutcomeClass.Mismatched),
        new(Fcm.FcmNetwork.NetworkName, 401, "THIRD_PARTY_AUTH_ERROR", OutcomeClass.Mismatched),
        // The project is not there, as opposed to the address.
        new(Fcm.FcmNetwork.NetworkName, 404, Any, OutcomeClass.Misconfigured),

        new(Apns.ApnsNetwork.NetworkName, 410, Any, OutcomeClass.Dead),
        new(Apns.ApnsNetwork.NetworkName, 400, "BadDeviceToken", OutcomeClass.Dead),
        new(Apns.ApnsNetwork.NetworkName, 400, "DeviceTokenNotForTopic", OutcomeClass.Mismatched),
        new(Apns.ApnsNetwork.NetworkName, 400, "BadTopic", OutcomeClass.Misconfigured),
        new(Apns.ApnsNetwork.NetworkName, 400, "MissingTopic", OutcomeClass.Misconfigured),
        new(Apns.ApnsNetwork.NetworkName, 400, "TopicDisallowed", OutcomeClass.Misconfigured),
        new(Apns.ApnsNetwork.NetworkName, 400, "IdleTimeout", OutcomeClass.Transient),

        new(Any, 401, Any, OutcomeClass.Misconfigured),
        new(Any, 403, Any, OutcomeClass.Misconfigured),
        new(Any, 408, Any, OutcomeClass.Transient),
        new(Any, 425, Any, OutcomeClass.Transient),
        new(Any, 429, Any, OutcomeClass.Transient),
    ];

    public static OutcomeClass Classify(string network, int status, string reason)
    {
        if (status is >= 200 and < 300)
        {
            return OutcomeClass.Accepted;
        }
        foreach (var row in Rows)
        {
            if ((row.Network is Any || row.Network == network) && row.Status == status && (row.Reason is Any || row.Reason == reason))
            {
                return row.Class;
            }
        }
        return status >= 500 ? OutcomeClass.Transient : OutcomeClass.Refused;
    }
}
