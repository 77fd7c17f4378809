using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Options;
using MobileServices.Push.Messages;

namespace MobileServices.Push.Networks.Apns;

/// <summary>Apple Push Notification service over HTTP/2 with provider tokens ("Sending notification requests to APNs").</summary>
internal sealed class ApnsNetwork(PushHttp http, IOptions<PushOptions> options, TimeProvider time) : INetwork
{
    public const string NetworkName = "apns";

    /// <summary>Of messages under way: devices of one language get the same bytes.</summary>
    private readonly ConditionalWeakTable<PushContent, byte[]> _payloads = [];

    // Tokens are hexadecimal digits: nothing in the path is to be made canonical.
    private static readonly UriCreationOptions AsItIs = new() { DangerousDisablePathAndQueryCanonicalization = true };

    public string Name => NetworkName;

    public int LargestPayload => 4096;

    public int? LargestEncrypted => EndToEnd.LargestContent;

    public string? CheckAddress(string address) =>
        address.Length is >= 16 and <= 200 && address.All(char.IsAsciiHexDigit) ? null : "Must be a device token of APNs: hexadecimal digits.";

    public int PayloadBytes(Outgoing message) => (message.P256dh is null ? Write(message) : ToEncrypt(message)).Length;

    public CredentialForm? Read(JsonElement body, CredentialForm? before, Dictionary<string, string[]> errors)
    {
        var keyId = Name("keyId", 10, "Must be the key's id, ten letters and digits.");
        var teamId = Name("teamId", 10, "Must be the team's id, ten letters and digits.");
        var topic = body.Text("topic") ?? (string?)before?.Settings["topic"];
        if (topic is not { Length: > 0 and <= 255 } || !topic.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '-'))
        {
            errors["topic"] = ["Must be the app's bundle id, such as com.example.shop."];
        }
        var isSandbox = body.TryGetProperty("sandbox", out var sandbox) ? sandbox.ValueKind is JsonValueKind.True : (bool?)before?.Settings["sandbox"] ?? false;
        var secret = before?.Secret;
        if (body.Text("privateKey") is { } pem)
        {
            try
            {
                using var key = ECDsa.Create();
                key.ImportFromPem(pem);
                secret = key.KeySize is 256 ? key.ExportPkcs8PrivateKey() : null;
            }
            catch (Exception exception) when (exception is CryptographicException or ArgumentException)
            {
                secret = null;
            }
        }
        if (secret is null)
        {
            errors["privateKey"] = ["Must be the key as Apple gives it (.p8): a private key of P-256 in PEM."];
        }
        return errors.Count > 0 ? null : new(new JsonObject { ["keyId"] = keyId, ["teamId"] = teamId, ["topic"] = topic, ["sandbox"] = isSandbox }, secret!);

        string? Name(string field, int length, string otherwise)
        {
            var value = body.Text(field) ?? (string?)before?.Settings[field];
            if (value?.Length != length || !value.All(char.IsAsciiLetterOrDigit))
            {
                errors[field] = [otherwise];
            }
            return value;
        }
    }

    public object Open(CredentialForm form) => new ApnsTokens(
        form.Secret, (string)form.Settings["keyId"]!, (string)form.Settings["teamId"]!, (string)form.Settings["topic"]!,
        ((bool)form.Settings["sandbox"]! ? options.Value.ApnsSandboxAddress : options.Value.ApnsAddress).TrimEnd('/'));

    public async Task<Outcome> SendAsync(object credential, Outgoing message, CancellationToken ct)
    {
        string? encrypted = null;
        if (message.P256dh is not null && EndToEnd.Encrypt(message, ToEncrypt(message), out encrypted) is { } refusal)
        {
            return refusal;
        }
        var tokens = (ApnsTokens)credential;
        var now = time.GetUtcNow();
        var token = tokens.Get(now);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"{tokens.Address}/3/device/{message.Address}", AsItIs))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var headers = request.Headers;
        headers.TryAddWithoutValidation("authorization", token);
        headers.TryAddWithoutValidation("apns-id", IdOf(message).ToString());
        headers.TryAddWithoutValidation("apns-topic", tokens.Topic);
        headers.TryAddWithoutValidation("apns-push-type", message.Silent ? "background" : "alert");
        headers.TryAddWithoutValidation("apns-priority", message.Silent ? "5" : message.Urgency switch { "low" => "5", "very-low" => "1", _ => "10" });
        headers.TryAddWithoutValidation("apns-expiration", message.TtlSeconds is 0 ? "0" : now.AddSeconds(message.TtlSeconds).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        if (message.CollapseId is { } collapse)
        {
            headers.TryAddWithoutValidation("apns-collapse-id", collapse);
        }
        var answer = await http.SendAsync(request, encrypted is null ? Payload(message) : Write(message, encrypted), "application/json", ct);
        if (answer.Failure is { } failure)
        {
            return failure;
        }
        var (reason, since) = Understand(answer.Body);
        if (reason is "ExpiredProviderToken" && tokens.Drop(token, now))
        {
            return new(OutcomeClass.Transient, "403 ExpiredProviderToken, with a new one next");
        }
        return new(
            FailureTable.Classify(Name, answer.Status, reason), $"{answer.Status} {reason}".TrimEnd(), answer.Header("apns-id"), answer.RetryAfter(now), since);
    }

    /// <summary>The same however often it is sent, so that Apple's records and the ledger speak of the same thing.</summary>
    private static Guid IdOf(Outgoing message)
    {
        Span<byte> id = stackalloc byte[16];
        Span<byte> device = stackalloc byte[16];
        message.MessageId.TryWriteBytes(id);
        message.DeviceId.TryWriteBytes(device);
        for (var at = 0; at < id.Length; at++)
        {
            id[at] ^= device[at];
        }
        return new(id);
    }

    private byte[] Payload(Outgoing message)
    {
        if (message.Changed is not null)
        {
            return Write(message);
        }
        if (!_payloads.TryGetValue(message.Content, out var payload))
        {
            _payloads.AddOrUpdate(message.Content, payload = Write(message));
        }
        return payload;
    }

    private static byte[] ToEncrypt(Outgoing message) => Messages.Payload.WriteWith(message, apns: message.Content.Apns);

    private static byte[] Write(Outgoing message, string encrypted) => JsonSerializer.SerializeToUtf8Bytes(
        new Dictionary<string, object> { ["aps"] = EndToEnd.Aps(message.Silent), ["messageId"] = message.MessageId, [EndToEnd.Member] = encrypted }, PushContent.Json);

    private static byte[] Write(Outgoing message)
    {
        var content = message.Content;
        var aps = new Dictionary<string, object>();
        if (message.Silent)
        {
            aps["content-available"] = 1;
        }
        else
        {
            aps["alert"] = new { title = content.Title, body = content.Body };
            Add("badge", content.Badge);
            Add("sound", content.Sound);
            Add("category", message.Category);
            if (content.Image is not null)
            {
                // An extension of the app fetches it.
                aps["mutable-content"] = 1;
            }
        }
        var payload = new Dictionary<string, object> { ["aps"] = aps, ["messageId"] = message.MessageId };
        foreach (var (key, value) in content.Data ?? new Dictionary<string, string>())
        {
            payload[key] = value;
        }
        if (content.Image is { } image)
        {
            payload.TryAdd("image", image);
        }
        if (content.Actions is { } actions)
        {
            payload.TryAdd("actions", actions);
        }
        if (message.Changed is { } changed)
        {
            payload["changed"] = changed;
        }
        if (Overrides.At(content.Apns, "payload") is not { } more)
        {
            return JsonSerializer.SerializeToUtf8Bytes(payload, PushContent.Json);
        }
        var merged = (JsonObject)JsonSerializer.SerializeToNode(payload, PushContent.Json)!;
        Overrides.Merge(merged, more);
        return JsonSerializer.SerializeToUtf8Bytes(merged, PushContent.Json);

        void Add(string name, object? value)
        {
            if (value is not null)
            {
                aps[name] = value;
            }
        }
    }

    private static (string Reason, DateTimeOffset? Since) Understand(string body)
    {
        if (body.Length is 0)
        {
            return ("", null);
        }
        try
        {
            using var json = JsonDocument.Parse(body);
            return (json.RootElement.Text("reason") ?? "",
                json.RootElement.TryGetProperty("timestamp", out var at) && at.TryGetInt64(out var milliseconds) ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds) : null);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentOutOfRangeException)
        {
            return ("", null);
        }
    }
}

/// <summary>The provider tokens of a key: Apple wants one for 20 to 60 minutes, and no more of them.</summary>
internal sealed class ApnsTokens(byte[] pkcs8, string keyId, string teamId, string topic, string address)
{
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(40);
    private static readonly TimeSpan Least = TimeSpan.FromMinutes(20);

    private readonly Lock _lock = new();
    private string? _token;
    private DateTimeOffset _madeAt;

    public string Topic => topic;

    public string Address => address;

    /// <summary>As the header authorization has it.</summary>
    public string Get(DateTimeOffset now)
    {
        lock (_lock)
        {
            if (_token is null || now - _madeAt > Life)
            {
                _token = Make(now);
                _madeAt = now;
            }
            return _token;
        }
    }

    /// <returns>False when it is too new to be replaced.</returns>
    public bool Drop(string token, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (_token != token)
            {
                return true;
            }
            if (now - _madeAt < Least)
            {
                return false;
            }
            _token = null;
            return true;
        }
    }

    private string Make(DateTimeOffset now)
    {
        var header = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { ["alg"] = "ES256", ["kid"] = keyId });
        var claims = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, object> { ["iss"] = teamId, ["iat"] = now.ToUnixTimeSeconds() });
        var signed = $"{Base64Url.EncodeToString(header)}.{Base64Url.EncodeToString(claims)}";
        using var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(pkcs8, out _);
        return $"bearer {signed}.{Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256))}";
    }
}
