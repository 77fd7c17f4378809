using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace MobileServices.Push.Messages;

/// <summary>
/// What a sender may say for one kind of network beside the content: FCM's AndroidConfig, ApnsConfig and WebpushConfig as its REST reference has them (the payload
/// of the second is Apple's). What this service answers for it keeps: addresses, topics, collapse keys, times, priorities.
/// </summary>
internal static partial class Overrides
{
    private const string Reserved = "Is a name that networks keep for themselves, or that this service sends. Take another.";

    private delegate void Check(JsonElement value, string path, Dictionary<string, string[]> errors);

    private static readonly Check Anything = (_, _, _) =>
    {
    };

    private static readonly Check Text = Is(value => value.ValueKind is JsonValueKind.String, "Must be a text.");
    private static readonly Check Flag = Is(value => value.ValueKind is JsonValueKind.True or JsonValueKind.False, "Must be true or false.");
    private static readonly Check Whole = Is(value => value.ValueKind is JsonValueKind.Number && value.TryGetInt32(out var number) && number >= 0, "Must be a whole number, not below 0.");
    private static readonly Check Share = Is(value => value.ValueKind is JsonValueKind.Number && value.GetDouble() is >= 0 and <= 1, "Must be a number from 0 to 1.");
    private static readonly Check Texts = Is(value => value.ValueKind is JsonValueKind.Array && value.EnumerateArray().All(one => one.ValueKind is JsonValueKind.String), "Must be a list of texts.");
    private static readonly Check Duration = Matches(DurationForm(), "Must be a time such as 3.5s.");
    private static readonly Check Durations = Is(value => value.ValueKind is JsonValueKind.Array && value.EnumerateArray().All(one => IsMatch(one, DurationForm())), "Must be a list of times such as 3.5s.");
    private static readonly Check Instant = Is(value => value.ValueKind is JsonValueKind.String && value.TryGetDateTimeOffset(out _), "Must be a time such as 2030-12-24T09:00:00Z.");
    private static readonly Check Https = Is(value => value.ValueKind is JsonValueKind.String && Uri.TryCreate(value.GetString(), UriKind.Absolute, out var uri) && uri.Scheme is "https", "Must be an https address.");
    private static readonly Check Label = Matches(LabelForm(), "Must be 1 to 50 letters, digits and '-', '_', '.', '~', '%'.");
    private static readonly Check ZeroOrOne = Is(value => value.ValueKind is JsonValueKind.Number && value.TryGetInt32(out var number) && number is 0 or 1, "Must be 0 or 1.");

    private static readonly Check Data = (value, path, errors) =>
    {
        if (value.ValueKind is not JsonValueKind.Object)
        {
            errors[path] = ["Must be an object of texts."];
            return;
        }
        foreach (var member in value.EnumerateObject())
        {
            Text(member.Value, $"{path}.{member.Name}", errors);
            if (MessageRules.IsReserved(member.Name))
            {
                errors[$"{path}.{member.Name}"] = [Reserved];
            }
        }
    };

    private static readonly Check Android = Object(
        ("restrictedPackageName", Text), ("data", Data), ("directBootOk", Flag), ("bandwidthConstrainedOk", Flag), ("restrictedSatelliteOk", Flag),
        ("fcmOptions", Object(("analyticsLabel", Label))),
        ("notification", Object(
            ("title", Text), ("body", Text), ("icon", Text), ("color", Matches(ColorForm(), "Must be a color such as #00ff7f.")), ("sound", Text), ("clickAction", Text),
            ("titleLocKey", Text), ("titleLocArgs", Texts), ("bodyLocKey", Text), ("bodyLocArgs", Texts), ("channelId", Text), ("ticker", Text), ("sticky", Flag), ("eventTime", Instant),
            ("localOnly", Flag), ("notificationPriority", OneOf("PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX")),
            ("defaultSound", Flag), ("defaultVibrateTimings", Flag), ("defaultLightSettings", Flag), ("vibrateTimings", Durations),
            ("visibility", OneOf("PRIVATE", "PUBLIC", "SECRET")), ("notificationCount", Whole), ("image", Https), ("proxy", OneOf("ALLOW", "DENY", "IF_PRIORITY_LOWERED")),
            ("lightSettings", Object(
                ("color", Object(("red", Share), ("green", Share), ("blue", Share), ("alpha", Share))), ("lightOnDuration", Duration), ("lightOffDuration", Duration))))));

    private static readonly Check Alert = Object(
        ("title", Text), ("subtitle", Text), ("body", Text), ("launch-image", Text), ("title-loc-key", Text), ("title-loc-args", Texts), ("subtitle-loc-key", Text),
        ("subtitle-loc-args", Texts), ("loc-key", Text), ("loc-args", Texts));

    private static readonly Check Sound = (value, path, errors) =>
    {
        if (value.ValueKind is not JsonValueKind.String)
        {
            Object(("critical", ZeroOrOne), ("name", Text), ("volume", Share))(value, path, errors);
        }
    };

    private static readonly Check Aps = Object(
        ("alert", Alert), ("badge", Whole), ("sound", Sound), ("thread-id", Text), ("category", Text), ("mutable-content", ZeroOrOne), ("target-content-id", Text),
        ("interruption-level", OneOf("passive", "active", "time-sensitive", "critical")), ("relevance-score", Share), ("filter-criteria", Text));

    private static readonly Check Payload = (value, path, errors) =>
    {
        if (value.ValueKind is not JsonValueKind.Object)
        {
            errors[path] = ["Must be an object."];
            return;
        }
        foreach (var member in value.EnumerateObject())
        {
            if (member.Name is "aps")
            {
                Aps(member.Value, $"{path}.aps", errors);
            }
            else if (MessageRules.IsReserved(member.Name))
            {
                errors[$"{path}.{member.Name}"] = [Reserved];
            }
        }
    };

    private static readonly Check Apns = Object(("payload", Payload), ("fcmOptions", Object(("analyticsLabel", Label), ("image", Https))));

    private static readonly Check WebPush = Object(
        ("data", Data),
        ("notification", Object(
            ("title", Text), ("body", Text), ("icon", Text), ("badge", Text), ("image", Text), ("lang", Text), ("dir", OneOf("auto", "ltr", "rtl")), ("requireInteraction", Flag),
            ("silent", Flag), ("renotify", Flag), ("timestamp", Whole64()), ("vibrate", Anything), ("actions", Anything), ("data", Anything))),
        ("fcmOptions", Object(("analyticsLabel", Label), ("link", Https))));

    /// <summary>Tells every mistake by where it is, such as <c>content.android.notification.color</c>.</summary>
    /// <param name="silent">A silent message shows nothing, on no network.</param>
    public static void CheckAll(PushContent content, string field, bool silent, Dictionary<string, string[]> errors)
    {
        foreach (var (name, block, check, shows) in new[]
        {
            ("android", content.Android, Android, "notification"), ("apns", content.Apns, Apns, "payload.aps"), ("webpush", content.WebPush, WebPush, "notification"),
        })
        {
            if (block is not { } given)
            {
                continue;
            }
            check(given, $"{field}.{name}", errors);
            if (silent && shows.Split('.').Aggregate((JsonElement?)given, (at, member) => At(at, member)) is not null)
            {
                errors.TryAdd($"{field}.{name}.{shows}", ["Shows something, and the message is silent. Leave one of them out."]);
            }
        }
    }

    /// <summary>A member, as deep as it is; null when it is not there.</summary>
    public static JsonElement? At(JsonElement? block, string name) =>
        block is { ValueKind: JsonValueKind.Object } given && given.TryGetProperty(name, out var member) ? member : null;

    /// <summary>Puts members over those that are there; objects are merged, all else is replaced.</summary>
    public static void Merge(JsonObject target, JsonElement? block)
    {
        if (block is not { ValueKind: JsonValueKind.Object } given)
        {
            return;
        }
        foreach (var member in given.EnumerateObject())
        {
            if (member.Value.ValueKind is JsonValueKind.Object && target[member.Name] is JsonObject inner)
            {
                Merge(inner, member.Value);
            }
            else
            {
                target[member.Name] = JsonNode.Parse(member.Value.GetRawText());
            }
        }
    }

    private static Check Is(Func<JsonElement, bool> holds, string otherwise) => (value, path, errors) =>
    {
        if (!holds(value))
        {
            errors[path] = [otherwise];
        }
    };

    private static Check Matches(Regex form, string otherwise) => Is(value => IsMatch(value, form), otherwise);

    private static Check OneOf(params string[] names) => Is(value => value.ValueKind is JsonValueKind.String && names.Contains(value.GetString()), $"Must be one of {string.Join(", ", names)}.");

    private static Check Whole64() => Is(value => value.ValueKind is JsonValueKind.Number && value.TryGetInt64(out var number) && number >= 0, "Must be a whole number, not below 0.");

    private static Check Object(params (string Name, Check Check)[] members)
    {
        var known = members.ToDictionary(member => member.Name, member => member.Check, StringComparer.Ordinal);
        return (value, path, errors) =>
        {
            if (value.ValueKind is not JsonValueKind.Object)
            {
                errors[path] = ["Must be an object."];
                return;
            }
            foreach (var member in value.EnumerateObject())
            {
                if (known.TryGetValue(member.Name, out var check))
                {
                    check(member.Value, $"{path}.{member.Name}", errors);
                }
                else
                {
                    errors[$"{path}.{member.Name}"] = [$"Is not there to be set, or set by this service itself. Members: {string.Join(", ", known.Keys)}."];
                }
            }
        };
    }

    private static bool IsMatch(JsonElement value, Regex form) => value.ValueKind is JsonValueKind.String && form.IsMatch(value.GetString()!);

    [GeneratedRegex(@"^\d{1,9}(\.\d{1,9})?s\z")]
    private static partial Regex DurationForm();

    [GeneratedRegex(@"^#[0-9a-fA-F]{6}\z")]
    private static partial Regex ColorForm();

    [GeneratedRegex(@"^[a-zA-Z0-9-_.~%]{1,50}\z")]
    private static partial Regex LabelForm();
}
