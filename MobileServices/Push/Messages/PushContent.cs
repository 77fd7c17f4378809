using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace MobileServices.Push.Messages;

/// <summary>What a message says. Texts may hold <c>{{name}}</c>, which <see cref="Parameters"/> fill in.</summary>
/// <param name="Image">An https address.</param>
/// <param name="Sound">A sound of the app, or <c>default</c>.</param>
/// <param name="Actions">Buttons, where the platform shows any.</param>
/// <param name="Data">For the app.</param>
/// <param name="Android">For Android devices of FCM: members of its AndroidConfig. What is said for one network is as it is sent: not localized, parameters not filled in.</param>
/// <param name="Apns">For Apple devices, of APNs and of FCM: <c>payload</c> (with Apple's <c>aps</c>) and <c>fcmOptions</c> of FCM's ApnsConfig.</param>
/// <param name="WebPush">For browsers, of Web Push and of FCM: <c>notification</c>, <c>data</c> and <c>fcmOptions</c> of FCM's WebpushConfig.</param>
/// <param name="Localized">Texts by language (BCP 47); <c>de</c> is also for <c>de-AT</c>. Others get <paramref name="Title"/> and <paramref name="Body"/>.</param>
internal sealed record PushContent(
    string? Title = null,
    string? Body = null,
    string? Image = null,
    string? Sound = null,
    int? Badge = null,
    IReadOnlyList<PushAction>? Actions = null,
    IReadOnlyDictionary<string, string>? Data = null,
    IReadOnlyDictionary<string, PushText>? Localized = null,
    IReadOnlyDictionary<string, string>? Parameters = null,
    JsonElement? Android = null,
    JsonElement? Apns = null,
    [property: System.Text.Json.Serialization.JsonPropertyName("webpush")] JsonElement? WebPush = null)
{
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
        // It is sent as JSON, never into a page.
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>As a device of that language gets it.</summary>
    public PushContent For(string locale)
    {
        var text = TextFor(locale);
        return this with { Title = Fill(text?.Title ?? Title), Body = Fill(text?.Body ?? Body), Localized = null, Parameters = null };
    }

    private PushText? TextFor(string locale)
    {
        if (Localized is null)
        {
            return null;
        }
        for (var tag = locale; ; tag = tag[..tag.LastIndexOf('-')])
        {
            foreach (var (language, text) in Localized)
            {
                if (language.Equals(tag, StringComparison.OrdinalIgnoreCase))
                {
                    return text;
                }
            }
            if (!tag.Contains('-', StringComparison.Ordinal))
            {
                return null;
            }
        }
    }

    /// <summary>One pass: what a parameter holds is text, also when it looks like the name of another.</summary>
    private string? Fill(string? text)
    {
        if (text is null || Parameters is null || !text.Contains("{{", StringComparison.Ordinal))
        {
            return text;
        }
        var filled = new StringBuilder(text.Length);
        var at = 0;
        while (text.IndexOf("{{", at, StringComparison.Ordinal) is >= 0 and var open && text.IndexOf("}}", open, StringComparison.Ordinal) is >= 0 and var close)
        {
            filled.Append(text, at, open - at);
            filled.Append(Parameters.TryGetValue(text[(open + 2)..close].Trim(), out var value) ? value : text[open..(close + 2)]);
            at = close + 2;
        }
        return filled.Append(text, at, text.Length - at).ToString();
    }
}

internal sealed record PushText(string? Title, string? Body);

internal sealed record PushAction(string? Id, string? Title);

/// <summary>What goes over networks that carry any JSON: Web Push, our own, and those that carry it encrypted.</summary>
internal static class Payload
{
    /// <param name="Id">The message's: a device that gets it twice shows it once.</param>
    /// <param name="Notification">Options of showNotification that its sender said for browsers.</param>
    /// <param name="Tag">Of two with the same one, the later replaces the earlier.</param>
    /// <param name="Android">What its sender said for one kind of network, as he said it: where the network cannot read that, the app goes by it. Also the two after it.</param>
    private sealed record Body(
        Guid Id, string? Title, string? Text, string? Image, string? Sound, int? Badge, IReadOnlyList<PushAction>? Actions, IReadOnlyDictionary<string, string>? Data,
        string? Category, string? Tag, bool? Silent, IReadOnlyList<string>? Changed, JsonElement? Notification, JsonElement? Link,
        JsonElement? Android = null, JsonElement? Apns = null, JsonElement? Webpush = null);

    /// <param name="webPush">What its sender said for browsers goes with it.</param>
    public static byte[] Write(Networks.Outgoing message, JsonElement? webPush = null) => JsonSerializer.SerializeToUtf8Bytes(BodyOf(message, webPush), PushContent.Json);

    /// <summary>For a device whose network cannot read it.</summary>
    public static byte[] WriteWith(Networks.Outgoing message, JsonElement? android = null, JsonElement? apns = null, JsonElement? webpush = null) =>
        JsonSerializer.SerializeToUtf8Bytes(BodyOf(message, null) with { Android = android, Apns = apns, Webpush = webpush }, PushContent.Json);

    private static Body BodyOf(Networks.Outgoing message, JsonElement? webPush)
    {
        var content = message.Content;
        return new(
            message.MessageId, content.Title, content.Body, content.Image, content.Sound, content.Badge, content.Actions, DataOf(content, webPush), message.Category, message.CollapseId,
            message.Silent ? true : null, message.Changed, Overrides.At(webPush, "notification"), Overrides.At(Overrides.At(webPush, "fcmOptions"), "link"));
    }

    private static IReadOnlyDictionary<string, string>? DataOf(PushContent content, JsonElement? webPush)
    {
        if (Overrides.At(webPush, "data") is not { } more)
        {
            return content.Data;
        }
        var data = new Dictionary<string, string>(content.Data ?? new Dictionary<string, string>());
        foreach (var member in more.EnumerateObject())
        {
            data[member.Name] = member.Value.GetString()!;
        }
        return data;
    }
}

/// <summary>One collapse key for every network: a hash of it that is short enough for all (32 characters of base64url, as a Topic may be at most) and does not collide.</summary>
internal static class CollapseId
{
    public static string Of(string app, string key) =>
        System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes($"{app}\n{key}")).AsSpan(0, 24));
}
