using System.Text.Json;
using System.Text.Json.Nodes;
using MobileServices.Push.Messages;
using Npgsql;

namespace MobileServices.Push.Networks.Own;

/// <summary>Our own push service, from inside: a message is put where its device's stream takes it from, once, however often that is tried.</summary>
internal sealed class OwnNetwork(OwnStore store) : INetwork
{
    public const string NetworkName = "own";

    /// <summary>What endpoints end with, before the subscription's name.</summary>
    public const string EndpointPath = "/push/endpoint/";

    /// <summary>How long it is known that a message was taken when its time is over: who takes over from a process that was killed tells what became of it.</summary>
    private static readonly TimeSpan Afterwards = TimeSpan.FromDays(1);

    public string Name => NetworkName;

    public int LargestPayload => 4096;

    public bool StoresOnce => true;

    public string? CheckAddress(string address) => IdOf(address) is null ? $"Must be the endpoint of a subscription: ...{EndpointPath}<name>." : null;

    public int PayloadBytes(Outgoing message) => Payload.Write(message).Length;

    public CredentialForm? Read(JsonElement body, CredentialForm? before, Dictionary<string, string[]> errors)
    {
        errors["network"] = ["The own push service needs no credential."];
        return null;
    }

    public object Open(CredentialForm form) => new JsonObject();

    public async Task<Outcome> SendAsync(object credential, Outgoing message, CancellationToken ct)
    {
        try
        {
            var once = new KeptOnce(message.MessageId, message.DeviceId, message.ExpiresAt + Afterwards);
            var id = await store.KeepAsync(IdOf(message.Address)!, message.CollapseId, message.Urgency, null, Payload.Write(message), message.TtlSeconds, once, null, ct);
            return id is null ? new(OutcomeClass.Dead, "there is no such subscription") : new(OutcomeClass.Accepted, "kept for the device", id);
        }
        catch (NpgsqlException exception)
        {
            // Tried again, it is kept once.
            return new(OutcomeClass.Transient, $"the database is away: {exception.Message}");
        }
    }

    /// <returns>The subscription's name; null when it is no endpoint.</returns>
    public static string? IdOf(string endpoint)
    {
        var at = endpoint.LastIndexOf(EndpointPath, StringComparison.Ordinal);
        var id = at < 0 ? "" : endpoint[(at + EndpointPath.Length)..];
        return id.Length is > 0 and <= 100 && id.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_') ? id : null;
    }
}
