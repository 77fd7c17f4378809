using System.Text.Json;
using System.Text.Json.Nodes;
using MobileServices.Push.Messages;

namespace MobileServices.Push.Networks;

/// <summary>One way to devices. A new one is a folder with one of these, and its line in PushSetup.</summary>
internal interface INetwork
{
    /// <summary>Its name in registrations, settings and the ledger.</summary>
    string Name { get; }

    /// <summary>The most bytes a message may have there; a message that is larger is refused when it is sent, not when it fails.</summary>
    int LargestPayload { get; }

    /// <summary>The most bytes of content that it carries encrypted to a device that has registered keys (RFC 8291); null where keys are of no use.</summary>
    int? LargestEncrypted => null;

    /// <summary>Without keys of the device nothing goes over it.</summary>
    bool NeedsKeys => false;

    /// <summary>
    /// What it has taken is in <c>push.kept</c>, by the transaction that takes it: when a process ends while one of its messages is under way it is known whether it was taken.
    /// </summary>
    bool StoresOnce => false;

    /// <returns>What is wrong with an address; null when it can be one.</returns>
    string? CheckAddress(string address);

    /// <summary>What answers such as 429 are about, beside the credential: the origin of a Web Push endpoint.</summary>
    string HostOf(string address) => "";

    /// <summary>What the network would be sent, without what it does not count; for a device with keys, the content that is encrypted to it.</summary>
    int PayloadBytes(Outgoing message);

    /// <summary>Reads a credential as an administrator sends it.</summary>
    /// <param name="before">The one that is there; what is not sent again stays.</param>
    /// <param name="errors">Gets what is wrong, by field.</param>
    /// <returns>Null when something is wrong.</returns>
    CredentialForm? Read(JsonElement body, CredentialForm? before, Dictionary<string, string[]> errors);

    /// <summary>Makes a credential ready to send with; kept in memory.</summary>
    object Open(CredentialForm form);

    /// <summary>A call that sends nothing, where the network has one.</summary>
    /// <returns>What the network has against the credential; null when nothing, or when the network could not be asked.</returns>
    Task<string?> TryAsync(object credential, CancellationToken ct) => Task.FromResult<string?>(null);

    /// <summary>Sends one message to one device. It never throws for what the network answers or fails to answer.</summary>
    Task<Outcome> SendAsync(object credential, Outgoing message, CancellationToken ct);
}

/// <param name="Settings">What may be shown.</param>
/// <param name="Secret">What may not; never empty.</param>
internal sealed record CredentialForm(JsonObject Settings, byte[] Secret);

/// <summary>All networks, by their names.</summary>
internal sealed class NetworkList(IEnumerable<INetwork> networks)
{
    private readonly Dictionary<string, INetwork> _networks = networks.ToDictionary(network => network.Name, StringComparer.Ordinal);

    public IReadOnlyCollection<INetwork> All => _networks.Values;

    public string Names => string.Join(", ", _networks.Keys);

    public INetwork? Find(string name) => _networks.GetValueOrDefault(name);
}

/// <summary>A message as one device gets it.</summary>
/// <param name="P256dh">The public key that the device has registered; null when it has none, and the message goes as it is.</param>
/// <param name="Auth">The authentication secret to it.</param>
/// <param name="Content">In the device's language, parameters filled in.</param>
/// <param name="TtlSeconds">What is left of its time.</param>
/// <param name="Changed">Of a wake-up: what has changed.</param>
internal sealed record Outgoing(
    Guid MessageId,
    Guid DeviceId,
    string Address,
    byte[]? P256dh,
    byte[]? Auth,
    PushContent Content,
    bool Silent,
    string Urgency,
    string? Category,
    string? CollapseId,
    int TtlSeconds,
    DateTimeOffset ExpiresAt,
    IReadOnlyList<string>? Changed);
