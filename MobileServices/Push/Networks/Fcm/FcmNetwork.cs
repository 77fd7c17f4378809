using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Options;
using MobileServices.Push.Messages;

namespace MobileServices.Push.Networks.Fcm;

/// <summary>Firebase Cloud Messaging, HTTP v1 (<see href="https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages"/>).</summary>
internal sealed class FcmNetwork(PushHttp http, IOptions<PushOptions> options, TimeProvider time) : INetwork
{
    public const string NetworkName = "fcm";

    /// <summary>After a 429 that does not say how long.</summary>
    private static readonly TimeSpan OverQuota = TimeSpan.FromSeconds(60);

    private const string TypeOfError = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

    public string Name => NetworkName;

    public int LargestPayload => 4096;

    public int? LargestEncrypted => EndToEnd.LargestContent;

    public string? CheckAddress(string address) =>
        address.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or ':') ? null : "Must be a registration token of FCM: letters, digits, '-', '_' and ':'.";

    public int PayloadBytes(Outgoing message) => message.P256dh is null ? FcmPayload.CountedBytes(message) : ToEncrypt(message).Length;

    public CredentialForm? Read(JsonElement body, CredentialForm? before, Dictionary<string, string[]> errors)
    {
        if (!body.TryGetProperty("serviceAccount", out var account) || account.ValueKind is not JsonValueKind.Object)
        {
            errors["serviceAccount"] = ["Must be the service account's key as Google gives it: the JSON object with project_id, client_email and private_key."];
            return null;
        }
        if (account.Text("project_id") is not { Length: > 0 and <= 100 } project || !project.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '.' or ':'))
        {
            errors["serviceAccount.project_id"] = ["Must be the project's id."];
        }
        if (account.Text("client_email") is not { Length: > 0 and <= 320 })
        {
            errors["serviceAccount.client_email"] = ["Is missing."];
        }
        byte[]? secret = null;
        try
        {
            using var key = RSA.Create();
            key.ImportFromPem(account.Text("private_key") ?? "");
            secret = key.ExportPkcs8PrivateKey();
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            errors["serviceAccount.private_key"] = ["Must be an RSA private key in PEM."];
        }
        return errors.Count > 0
            ? null
            : new(new JsonObject { ["projectId"] = account.Text("project_id"), ["clientEmail"] = account.Text("client_email"), ["keyId"] = account.Text("private_key_id") }, secret!);
    }

    public object Open(CredentialForm form) => new FcmTokens(
        http, time, options.Value.FcmTokenAddress, (string)form.Settings["clientEmail"]!, (string?)form.Settings["keyId"], form.Secret, (string)form.Settings["projectId"]!);

    public async Task<string?> TryAsync(object credential, CancellationToken ct)
    {
        // To a topic that nobody has, and only checked.
        var outcome = await CallAsync((FcmTokens)credential, """{"validateOnly":true,"message":{"topic":"credential-check","data":{"check":"1"}}}"""u8.ToArray(), ct);
        return outcome.Class is OutcomeClass.Misconfigured or OutcomeClass.Mismatched ? outcome.Reason : null;
    }

    public async Task<Outcome> SendAsync(object credential, Outgoing message, CancellationToken ct)
    {
        string? encrypted = null;
        if (message.P256dh is not null && EndToEnd.Encrypt(message, ToEncrypt(message), out encrypted) is { } refusal)
        {
            return refusal;
        }
        return await CallAsync((FcmTokens)credential, FcmPayload.Write(message, time.GetUtcNow(), encrypted), ct);
    }

    /// <summary>What the device is behind FCM it knows itself.</summary>
    private static byte[] ToEncrypt(Outgoing message) => Payload.WriteWith(message, message.Content.Android, message.Content.Apns, message.Content.WebPush);

    private async Task<Outcome> CallAsync(FcmTokens tokens, byte[] body, CancellationToken ct)
    {
        var (token, refusal) = await tokens.GetAsync(ct);
        if (refusal is not null)
        {
            return refusal;
        }
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{options.Value.FcmAddress.TrimEnd('/')}/v1/projects/{tokens.Project}/messages:send")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = options.Value.FcmAddress.StartsWith("https:", StringComparison.Ordinal) ? HttpVersionPolicy.RequestVersionOrLower : HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Authorization = new("Bearer", token);
        var answer = await http.SendAsync(request, body, "application/json", ct);
        if (answer.Failure is { } failure)
        {
            return failure;
        }
        var (reason, id) = Understand(answer);
        var outcome = FailureTable.Classify(Name, answer.Status, reason);
        if (answer.Status is 401 && outcome is OutcomeClass.Misconfigured && tokens.Drop(token!))
        {
            // It may have been withdrawn before its time; the next one tells.
            return new(OutcomeClass.Transient, "401, with a new access token next");
        }
        var wish = answer.RetryAfter(time.GetUtcNow());
        return new(
            outcome, outcome is OutcomeClass.Accepted ? "200" : $"{answer.Status} {reason}".TrimEnd(), id, wish, LeastPause: answer.Status is 429 && wish is null ? OverQuota : null);
    }

    /// <summary>Both kinds of 400 have the status INVALID_ARGUMENT: one is about the token, the other about the message.</summary>
    private static (string Reason, string? Id) Understand(Answer answer)
    {
        try
        {
            using var json = JsonDocument.Parse(answer.Body);
            if (json.RootElement.Text("name") is { } name)
            {
                return ("", name);
            }
            var error = json.RootElement.GetProperty("error");
            var reason = error.Text("status") ?? "";
            if (error.TryGetProperty("details", out var details) && details.ValueKind is JsonValueKind.Array)
            {
                reason = details.EnumerateArray().Where(detail => detail.Text("@type") == TypeOfError).Select(detail => detail.Text("errorCode")).FirstOrDefault() ?? reason;
            }
            return reason is "INVALID_ARGUMENT" && error.Text("message")?.Contains("not a valid FCM registration token", StringComparison.OrdinalIgnoreCase) is true ? ("INVALID_TOKEN", null) : (reason, null);
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return ("", null);
        }
    }
}

/// <summary>The access tokens of a service account (RFC 7523): one at a time, fetched anew before it ends.</summary>
internal sealed class FcmTokens(PushHttp http, TimeProvider time, string address, string email, string? keyId, byte[] pkcs8, string project)
{
    private static readonly TimeSpan Early = TimeSpan.FromMinutes(5);

    private readonly Lock _lock = new();
    private volatile Kept? _token;
    private Task<(string? Token, Outcome? Refusal)>? _fetching;

    public string Project => project;

    public async Task<(string? Token, Outcome? Refusal)> GetAsync(CancellationToken ct)
    {
        Task<(string? Token, Outcome? Refusal)> fetching;
        lock (_lock)
        {
            if (_token is { } kept && kept.Until - Early > time.GetUtcNow())
            {
                return (kept.Value, null);
            }
            // One asks, all who need it meanwhile have its answer.
            fetching = _fetching is { IsCompleted: false } ? _fetching : _fetching = Task.Run(() => FetchAsync(CancellationToken.None), CancellationToken.None);
        }
        return await fetching.WaitAsync(ct);
    }

    /// <returns>False when it was fetched just now: then another will not help.</returns>
    public bool Drop(string token)
    {
        lock (_lock)
        {
            if (_token is not { } kept || kept.Value != token)
            {
                return true;
            }
            if (kept.FetchedAt > time.GetUtcNow().AddMinutes(-1))
            {
                return false;
            }
            _token = null;
            return true;
        }
    }

    private sealed record Kept(string Value, DateTimeOffset Until, DateTimeOffset FetchedAt);

    private async Task<(string? Token, Outcome? Refusal)> FetchAsync(CancellationToken ct)
    {
        var now = time.GetUtcNow();
        using var request = new HttpRequestMessage(HttpMethod.Post, address);
        var body = $"grant_type={Uri.EscapeDataString("urn:ietf:params:oauth:grant-type:jwt-bearer")}&assertion={Assertion(now)}";
        var answer = await http.SendAsync(request, Encoding.ASCII.GetBytes(body), "application/x-www-form-urlencoded", ct);
        if (answer.Failure is { } failure)
        {
            // No message has been sent with it.
            return (null, new(OutcomeClass.Transient, $"no access token: {failure.Reason}"));
        }
        try
        {
            using var json = JsonDocument.Parse(answer.Body);
            if (answer.Status is 200 && json.RootElement.Text("access_token") is { } token)
            {
                var seconds = json.RootElement.TryGetProperty("expires_in", out var life) && life.TryGetInt32(out var given) ? given : 3600;
                _token = new(token, now.AddSeconds(seconds), now);
                return (token, null);
            }
            var reason = $"no access token: {answer.Status} {json.RootElement.Text("error")}".TrimEnd();
            return (null, new(answer.Status is 400 or 401 or 403 ? OutcomeClass.Misconfigured : OutcomeClass.Transient, reason, RetryAfter: answer.RetryAfter(now)));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return (null, new(OutcomeClass.Transient, $"no access token: {answer.Status}", RetryAfter: answer.RetryAfter(now)));
        }
    }

    private string Assertion(DateTimeOffset now)
    {
        var header = JsonSerializer.SerializeToUtf8Bytes(keyId is null
            ? new Dictionary<string, string> { ["alg"] = "RS256", ["typ"] = "JWT" }
            : new Dictionary<string, string> { ["alg"] = "RS256", ["typ"] = "JWT", ["kid"] = keyId });
        var claims = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, object>
        {
            ["iss"] = email,
            ["scope"] = "https://www.googleapis.com/auth/firebase.messaging",
            ["aud"] = address,
            ["iat"] = now.ToUnixTimeSeconds(),
            ["exp"] = now.AddHours(1).ToUnixTimeSeconds(),
        });
        var signed = $"{System.Buffers.Text.Base64Url.EncodeToString(header)}.{System.Buffers.Text.Base64Url.EncodeToString(claims)}";
        using var key = RSA.Create();
        key.ImportPkcs8PrivateKey(pkcs8, out _);
        var signature = key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        return $"{signed}.{System.Buffers.Text.Base64Url.EncodeToString(signature)}";
    }
}
