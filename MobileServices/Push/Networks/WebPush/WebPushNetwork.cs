using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Options;
using MobileServices.Push.Messages;
using MobileServices.Push.Registrations;

namespace MobileServices.Push.Networks.WebPush;

/// <summary>Browsers and UnifiedPush distributors: RFC 8030, with encryption (RFC 8291) and the sender's name (RFC 8292).</summary>
internal sealed class WebPushNetwork(PushHttp http, IOptions<PushOptions> options, TimeProvider time) : INetwork
{
    public const string NetworkName = "webpush";

    public string Name => NetworkName;

    public int LargestPayload => MessageEncryption.LargestPlaintext;

    public int? LargestEncrypted => LargestPayload;

    public bool NeedsKeys => true;

    public string? CheckAddress(string address) => PublicAddresses.Check(address, options.Value.AllowPrivateEndpoints);

    public string HostOf(string address) => new Uri(address).GetLeftPart(UriPartial.Authority);

    public int PayloadBytes(Outgoing message) => Payload.Write(message, message.Content.WebPush).Length;

    public CredentialForm? Read(JsonElement body, CredentialForm? before, Dictionary<string, string[]> errors)
    {
        var subject = body.Text("subject") ?? (string?)before?.Settings["subject"];
        if (subject is null || subject.Length > 200 || !Uri.TryCreate(subject, UriKind.Absolute, out var contact) || contact.Scheme is not ("mailto" or "https"))
        {
            errors["subject"] = ["Must be where push services reach the sender: a mailto: or https: address (RFC 8292, section 2.1)."];
        }
        var key = before?.Secret;
        if (body.Text("privateKey") is { } given)
        {
            key = RegistrationRules.Decode(given) is { Length: 32 } scalar ? ToPkcs8(scalar) : null;
            if (key is null)
            {
                errors["privateKey"] = ["Must be the private key of P-256 that web-push tools make: 32 bytes in base64url. Leave it out to have one made."];
            }
        }
        if (errors.Count > 0)
        {
            return null;
        }
        if (key is null)
        {
            using var made = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            key = made.ExportPkcs8PrivateKey();
        }
        return new(new JsonObject { ["subject"] = subject, ["publicKey"] = new Vapid(key, subject!).PublicKey }, key);
    }

    public object Open(CredentialForm form) => new Vapid(form.Secret, (string)form.Settings["subject"]!);

    public async Task<Outcome> SendAsync(object credential, Outgoing message, CancellationToken ct)
    {
        byte[] body;
        try
        {
            body = MessageEncryption.Encrypt(Payload.Write(message, message.Content.WebPush), message.P256dh!, message.Auth!);
        }
        catch (CryptographicException)
        {
            return new(OutcomeClass.Refused, "the registration's key cannot be encrypted to");
        }
        using var request = new HttpRequestMessage(HttpMethod.Post, message.Address) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionOrLower };
        request.Headers.TryAddWithoutValidation("Authorization", ((Vapid)credential).Authorize(HostOf(message.Address), time.GetUtcNow()));
        request.Headers.TryAddWithoutValidation("TTL", message.TtlSeconds.ToString(CultureInfo.InvariantCulture));
        request.Headers.TryAddWithoutValidation("Urgency", message.Urgency);
        if (message.CollapseId is { } topic)
        {
            request.Headers.TryAddWithoutValidation("Topic", topic);
        }
        var answer = await http.SendToStrangerAsync(request, body, "application/octet-stream", "aes128gcm", ct);
        if (answer.Failure is { } failure)
        {
            return failure;
        }
        var outcome = FailureTable.Classify(Name, answer.Status, "");
        return new(
            outcome,
            outcome is OutcomeClass.Accepted && answer.Header("TTL") is { } shorter && shorter != message.TtlSeconds.ToString(CultureInfo.InvariantCulture)
                ? $"{answer.Status}, kept for {shorter} s at most"
                : answer.Status.ToString(CultureInfo.InvariantCulture),
            answer.Headers?.Location?.ToString(), answer.RetryAfter(time.GetUtcNow()));
    }

    private static byte[]? ToPkcs8(byte[] scalar)
    {
        try
        {
            using var key = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = scalar });
            return key.ExportPkcs8PrivateKey();
        }
        catch (CryptographicException)
        {
            return null;
        }
    }
}
