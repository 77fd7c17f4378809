using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;

namespace MobileServices.Analytics.Ingest;

/// <summary>
/// Reads what clients of the Segment tracking API send (https://segment.com/docs/connections/spec/common/): one message, or many in <c>batch</c>. A message that
/// cannot be taken is left out, with the reason, and takes no other with it.
/// </summary>
internal sealed class TrackingReader(int app, DateTimeOffset receivedAt, AnalyticsOptions options)
{
    public const int MostEventBytes = 32 * 1024;
    private const int LongestId = 256;
    private const int LongestName = 200;
    private const int LongestValue = 100;
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 32 };

    private ReadOnlyMemory<byte> _body;

    public List<TrackedEvent> Events { get; } = [];

    public List<Drop> Dropped { get; } = [];

    /// <summary>The key of a client that sends it in the body; null when there is none.</summary>
    public static string? WriteKey(JsonElement body) => body.ValueKind is JsonValueKind.Object && body.TryGetProperty("writeKey"u8, out var key) && key.ValueKind is JsonValueKind.String ? key.GetString() : null;

    /// <exception cref="JsonException">It is no JSON.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> body) => JsonDocument.Parse(body, Reading);

    /// <param name="body">What <paramref name="document"/> was read from; the events point into it.</param>
    /// <param name="type">Of the message that is the whole body; null for a batch.</param>
    /// <returns>What is wrong with the request as a whole; null when there is nothing.</returns>
    public string? Read(ReadOnlyMemory<byte> body, JsonElement document, EventType? type)
    {
        _body = body;
        if (document.ValueKind is not JsonValueKind.Object)
        {
            return "The body must be a JSON object.";
        }
        var sentAt = Time(document, "sentAt"u8, out _);
        if (type is { } only)
        {
            Add(document, only, sentAt);
            return null;
        }
        if (!document.TryGetProperty("batch"u8, out var batch) || batch.ValueKind is not JsonValueKind.Array)
        {
            return "The body has no array 'batch'. Send {\"batch\": [...], \"sentAt\": ...}.";
        }
        foreach (var message in batch.EnumerateArray())
        {
            Add(message, null, sentAt);
        }
        return null;
    }

    private void Add(JsonElement message, EventType? type, DateTimeOffset? sentAt)
    {
        try
        {
            var (read, reason) = ReadOne(message, type, sentAt);
            if (read is null)
            {
                Dropped.Add(new(app, reason!));
                return;
            }
            Events.Add(read);
        }
        catch (InvalidOperationException)
        {
            // A text that is no Unicode, as half a surrogate pair.
            Dropped.Add(new(app, "unstorable"));
        }
    }

    private (TrackedEvent? Event, string? Reason) ReadOne(JsonElement message, EventType? given, DateTimeOffset? sentAt)
    {
        if (message.ValueKind is not JsonValueKind.Object)
        {
            return (null, "no_object");
        }
        var raw = JsonMarshal.GetRawUtf8Value(message);
        if (raw.Length > MostEventBytes)
        {
            return (null, "too_large");
        }
        if (raw.IndexOf("\\u0000"u8) >= 0)
        {
            return (null, "unstorable");
        }
        if ((given ?? TypeOf(message)) is not { } type)
        {
            return (null, "type");
        }
        if (!TryId(message, "anonymousId"u8, out var anonymousId) || !TryId(message, "userId"u8, out var userId) || (anonymousId ?? userId) is null)
        {
            return (null, "id");
        }
        var name = type switch
        {
            EventType.Track => Text(message, "event"u8),
            EventType.Screen or EventType.Page => Text(message, "name"u8),
            _ => null,
        };
        if (name is { Length: > LongestName } || (type is EventType.Track && name is null))
        {
            return (null, "name");
        }
        if (!TryWhen(message, sentAt, out var at, out var reason))
        {
            return (null, reason);
        }
        var id = message.TryGetProperty("messageId"u8, out var own) && own.ValueKind is JsonValueKind.String or JsonValueKind.Number ? JsonMarshal.GetRawUtf8Value(own) : raw;
        var properties = type is EventType.Identify or EventType.Group ? Object(message, "traits"u8) : Object(message, "properties"u8);
        if (type is EventType.Identify && properties.ValueKind is JsonValueKind.Undefined)
        {
            // RudderStack's SDKs move them there.
            properties = Object(Object(message, "context"u8), "traits"u8);
        }
        return (new(app, Hash(id), type, at, receivedAt, anonymousId, userId, name, ContextOf(message), Piece(properties)), null);
    }

    /// <summary>
    /// received - (sent - happened), so that a device whose clock is wrong by days counts on the day on which it happened. An event that was sent at once
    /// may still seem a little later than it was received.
    /// </summary>
    private bool TryWhen(JsonElement message, DateTimeOffset? sentAt, out DateTimeOffset at, [NotNullWhen(false)] out string? reason)
    {
        at = receivedAt;
        reason = null;
        // The device's word first: RudderStack's SDKs add the time of the call to it.
        var happened = Time(message, "timestamp"u8, out var wrong);
        var alsoWrong = false;
        happened ??= Time(message, "originalTimestamp"u8, out alsoWrong);
        sentAt ??= Time(message, "sentAt"u8, out _);
        if (wrong || alsoWrong)
        {
            reason = "timestamp";
            return false;
        }
        if (happened is null)
        {
            return true;
        }
        var age = (sentAt ?? receivedAt) - happened.Value;
        if (age > TimeSpan.FromDays(options.MostAgeDays))
        {
            reason = "ancient";
            return false;
        }
        if (age < -TimeSpan.FromMinutes(options.FutureMinutes))
        {
            reason = "future";
            return false;
        }
        at = receivedAt - (age < TimeSpan.Zero ? TimeSpan.Zero : age);
        return true;
    }

    private static EventType? TypeOf(JsonElement message) => !message.TryGetProperty("type"u8, out var type) || type.ValueKind is not JsonValueKind.String ? null
        : type.ValueEquals("track"u8) ? EventType.Track
        : type.ValueEquals("screen"u8) ? EventType.Screen
        : type.ValueEquals("identify"u8) ? EventType.Identify
        : type.ValueEquals("page"u8) ? EventType.Page
        : type.ValueEquals("group"u8) ? EventType.Group
        : type.ValueEquals("alias"u8) ? EventType.Alias
        : null;

    private static MobileContext ContextOf(JsonElement message)
    {
        if (!message.TryGetProperty("context"u8, out var context) || context.ValueKind is not JsonValueKind.Object)
        {
            return default;
        }
        var os = Object(context, "os"u8);
        var network = Object(context, "network"u8);
        return new(
            Short(Object(context, "app"u8), "version"u8),
            Short(os, "name"u8)?.ToLowerInvariant() ?? Short(Object(context, "device"u8), "type"u8)?.ToLowerInvariant(),
            Short(os, "version"u8),
            Short(Object(context, "device"u8), "model"u8),
            Short(context, "locale"u8),
            IsTrue(network, "wifi"u8) ? "wifi" : IsTrue(network, "cellular"u8) ? "cellular" : IsTrue(network, "bluetooth"u8) ? "bluetooth" : null);
    }

    private static JsonElement Object(JsonElement parent, ReadOnlySpan<byte> name) =>
        parent.ValueKind is JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.Object ? value : default;

    private static bool IsTrue(JsonElement parent, ReadOnlySpan<byte> name) =>
        parent.ValueKind is JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True;

    private static string? Text(JsonElement parent, ReadOnlySpan<byte> name) =>
        parent.ValueKind is JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;

    private static string? Short(JsonElement parent, ReadOnlySpan<byte> name) => Text(parent, name) switch
    {
        { Length: > LongestValue } text => text[..(char.IsHighSurrogate(text[LongestValue - 1]) ? LongestValue - 1 : LongestValue)],
        var text => text,
    };

    /// <returns>False for an id that cannot be kept; null is none.</returns>
    private static bool TryId(JsonElement message, ReadOnlySpan<byte> name, out string? id)
    {
        id = !message.TryGetProperty(name, out var value) ? null : value.ValueKind switch
        {
            JsonValueKind.String => value.GetString(),
            JsonValueKind.Number => value.GetRawText(),
            _ => null,
        };
        id = id is "" ? null : id;
        return id is null or { Length: <= LongestId };
    }

    private static DateTimeOffset? Time(JsonElement parent, ReadOnlySpan<byte> name, out bool wrong)
    {
        wrong = false;
        if (!parent.TryGetProperty(name, out var value) || value.ValueKind is JsonValueKind.Null)
        {
            return null;
        }
        if (value.ValueKind is JsonValueKind.String && value.TryGetDateTimeOffset(out var time))
        {
            return time;
        }
        if (value.ValueKind is JsonValueKind.Number && value.TryGetInt64(out var milliseconds) && milliseconds is >= 0 and < 253_402_300_800_000)
        {
            return DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
        }
        wrong = true;
        return null;
    }

    private static Guid Hash(ReadOnlySpan<byte> id)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(id, hash);
        return new(hash[..16]);
    }

    private ReadOnlyMemory<byte> Piece(JsonElement properties)
    {
        if (properties.ValueKind is not JsonValueKind.Object)
        {
            return default;
        }
        var raw = JsonMarshal.GetRawUtf8Value(properties);
        return raw.Length > 2 && _body.Span.Overlaps(raw, out var offset) ? _body.Slice(offset, raw.Length) : default;
    }
}
