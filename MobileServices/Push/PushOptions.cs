using System.ComponentModel.DataAnnotations;

namespace MobileServices.Push;

/// <summary>Section <c>Push</c>.</summary>
internal sealed class PushOptions : IValidatableObject
{
    /// <summary>How many deliveries a process claims at a time, for one network.</summary>
    [Range(1, 5000, ErrorMessage = "Push:Batch must be from 1 to 5000.")]
    public int Batch { get; init; } = 1000;

    /// <summary>How many requests to a network are under way at a time in one process; more than 50 on one connection are slower.</summary>
    [Range(1, 1000, ErrorMessage = "Push:InFlight must be from 1 to 1000.")]
    public int InFlight { get; init; } = 50;

    /// <summary>How long a network may take to answer; afterwards it is not known whether it took the message.</summary>
    [Range(1, 120, ErrorMessage = "Push:TimeoutSeconds must be from 1 to 120.")]
    public int TimeoutSeconds { get; init; } = 15;

    /// <summary>After how long without a sign of life another process takes over what one has claimed.</summary>
    [Range(2, 3600, ErrorMessage = "Push:LeaseSeconds must be from 2 to 3600.")]
    public int LeaseSeconds { get; init; } = 60;

    /// <summary>How often a process looks for work although nobody told of any.</summary>
    [Range(1, 3600, ErrorMessage = "Push:PollSeconds must be from 1 to 3600.")]
    public int PollSeconds { get; init; } = 15;

    /// <summary>The first pause after a passing failure; it doubles with each, less up to half by chance.</summary>
    [Range(0.01, 600, ErrorMessage = "Push:FirstRetrySeconds must be from 0.01 to 600.")]
    public double FirstRetrySeconds { get; init; } = 2;

    /// <summary>The longest pause between two attempts.</summary>
    [Range(0.01, 86400, ErrorMessage = "Push:LongestRetrySeconds must be from 0.01 to 86400.")]
    public double LongestRetrySeconds { get; init; } = 900;

    /// <summary>After how many attempts a delivery is given up although its time is not over.</summary>
    [Range(1, 1000, ErrorMessage = "Push:MostAttempts must be from 1 to 1000.")]
    public int MostAttempts { get; init; } = 20;

    /// <summary>After how many passing failures in a row a credential waits before it tries that host again.</summary>
    [Range(1, 1000, ErrorMessage = "Push:BreakAfter must be from 1 to 1000.")]
    public int BreakAfter { get; init; } = 10;

    /// <summary>How long a message is worth delivering when its sender says nothing else.</summary>
    [Range(0, 2419200, ErrorMessage = "Push:TtlSeconds must be from 0 to 2419200, 28 days.")]
    public int TtlSeconds { get; init; } = 86400;

    /// <summary>How long changes are gathered before a device is woken up for all of them.</summary>
    [Range(0, 3600, ErrorMessage = "Push:WakeupSeconds must be from 0 to 3600.")]
    public double WakeupSeconds { get; init; } = 2;

    /// <summary>How long messages and what became of them are kept.</summary>
    [Range(1, 3650, ErrorMessage = "Push:KeepDays must be from 1 to 3650.")]
    public int KeepDays { get; init; } = 30;

    /// <summary>After how many attempts a webhook's event is given up; it can be sent again by hand.</summary>
    [Range(1, 1000, ErrorMessage = "Push:WebhookMostAttempts must be from 1 to 1000.")]
    public int WebhookMostAttempts { get; init; } = 20;

    /// <summary>The longest pause between two attempts to tell a webhook.</summary>
    [Range(0.01, 86400, ErrorMessage = "Push:WebhookLongestRetrySeconds must be from 0.01 to 86400.")]
    public double WebhookLongestRetrySeconds { get; init; } = 14400;

    /// <summary>
    /// Web Push endpoints and webhooks may be at addresses that are not public, and need no TLS. For tests and for sites without a way out; anybody with a token could
    /// otherwise make this service call others inside.
    /// </summary>
    public bool AllowPrivateEndpoints { get; init; }

    /// <summary>Where FCM is.</summary>
    public string FcmAddress { get; init; } = "https://fcm.googleapis.com";

    /// <summary>Where the access tokens for FCM come from.</summary>
    public string FcmTokenAddress { get; init; } = "https://oauth2.googleapis.com/token";

    /// <summary>Where APNs is.</summary>
    public string ApnsAddress { get; init; } = "https://api.push.apple.com";

    /// <summary>Where APNs is for apps in development.</summary>
    public string ApnsSandboxAddress { get; init; } = "https://api.sandbox.push.apple.com";

    /// <summary>What the endpoints of the own push service begin with, for senders; by the address of the request unless set.</summary>
    public string? OwnAddress { get; init; }

    /// <summary>How long the own push service keeps a message at most; it tells senders when that is less than they asked for.</summary>
    [Range(0, 2419200, ErrorMessage = "Push:OwnTtlSeconds must be from 0 to 2419200, 28 days.")]
    public int OwnTtlSeconds { get; init; } = 604800;

    /// <summary>How many messages the own push service keeps for a subscription; the oldest go first.</summary>
    [Range(1, 100000, ErrorMessage = "Push:OwnMostStored must be from 1 to 100000.")]
    public int OwnMostStored { get; init; } = 100;

    /// <summary>How many devices a replica of the own push service holds a stream for; one more is answered with 503.</summary>
    [Range(1, 1_000_000, ErrorMessage = "Push:OwnMostStreams must be from 1 to 1000000.")]
    public int OwnMostStreams { get; init; } = 20_000;

    /// <summary>After how long without a message a stream shows that it is alive.</summary>
    [Range(1, 300, ErrorMessage = "Push:HeartbeatSeconds must be from 1 to 300.")]
    public int HeartbeatSeconds { get; init; } = 15;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var (name, address) in new[]
        {
            (nameof(FcmAddress), FcmAddress), (nameof(FcmTokenAddress), FcmTokenAddress), (nameof(ApnsAddress), ApnsAddress),
            (nameof(ApnsSandboxAddress), ApnsSandboxAddress), (nameof(OwnAddress), OwnAddress ?? "https://unset.example"),
        })
        {
            if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("https" or "http"))
            {
                yield return new($"Push:{name} is '{address}'. Set an address such as https://push.example.");
            }
        }
        if (LeaseSeconds < TimeoutSeconds)
        {
            yield return new($"Push:LeaseSeconds ({LeaseSeconds}) is less than Push:TimeoutSeconds ({TimeoutSeconds}): others would take over what is still under way. Set it to three times as long.");
        }
    }
}
