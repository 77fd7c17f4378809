using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using MobileServices.Push.Messages;

namespace MobileServices.Push.Networks.Fcm;

/// <summary>The request of <c>projects.messages.send</c>.</summary>
internal static class FcmPayload
{
    private static readonly JsonSerializerOptions Json = PushContent.Json;

    /// <param name="encrypted">For a device with keys: then it is a data message, and says nothing else of the content.</param>
    public static byte[] Write(Outgoing message, DateTimeOffset now, string? encrypted = null)
    {
        var ttl = string.Create(CultureInfo.InvariantCulture, $"{message.TtlSeconds}s");
        var content = message.Content;
        var isHigh = message.Urgency is "high";
        var aps = encrypted is not null ? EndToEnd.Aps(message.Silent)
            : message.Silent ? new JsonObject { ["content-available"] = 1 }
            : new JsonObject { ["badge"] = content.Badge, ["sound"] = content.Sound, ["category"] = message.Category };
        var body = new
        {
            message = new
            {
                token = message.Address,
                notification = encrypted is null ? Notification(message) : null,
                data = encrypted is null ? Data(message) : new() { ["messageId"] = message.MessageId.ToString(), [EndToEnd.Member] = encrypted },
                android = new
                {
                    collapseKey = message.CollapseId,
                    priority = isHigh ? "HIGH" : "NORMAL",
                    ttl,
                    notification = message.Silent || encrypted is not null ? null : new { sound = content.Sound, tag = message.CollapseId, notificationCount = content.Badge },
                },
                apns = new
                {
                    headers = new Dictionary<string, string?>
                    {
                        ["apns-collapse-id"] = message.CollapseId,
                        ["apns-expiration"] = message.TtlSeconds is 0 ? "0" : now.AddSeconds(message.TtlSeconds).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
                        ["apns-priority"] = message.Silent || message.Urgency is "low" or "very-low" ? "5" : "10",
                        ["apns-push-type"] = message.Silent ? "background" : "alert",
                    }.Where(header => header.Value is not null).ToDictionary(header => header.Key, header => header.Value),
                    payload = new { aps = Without(aps) },
                },
                webpush = new
                {
                    headers = new Dictionary<string, string?> { ["TTL"] = message.TtlSeconds.ToString(CultureInfo.InvariantCulture), ["Urgency"] = message.Urgency, ["Topic"] = message.CollapseId }
                        .Where(header => header.Value is not null).ToDictionary(header => header.Key, header => header.Value),
                },
            },
        };
        if (encrypted is not null || content is { Android: null, Apns: null, WebPush: null })
        {
            return JsonSerializer.SerializeToUtf8Bytes(body, Json);
        }
        var request = (JsonObject)JsonSerializer.SerializeToNode(body, Json)!;
        Override((JsonObject)request["message"]!, content);
        return JsonSerializer.SerializeToUtf8Bytes(request, Json);
    }

    private static void Override(JsonObject message, PushContent content)
    {
        foreach (var (name, block) in new[] { ("android", content.Android), ("apns", content.Apns), ("webpush", content.WebPush) })
        {
            var target = (JsonObject)message[name]!;
            if (name is not "apns" && Overrides.At(block, "data") is not null)
            {
                // It takes the place of the message's data there, which has the message's id.
                target["data"] = message["data"]!.DeepClone();
            }
            Overrides.Merge(target, block);
        }
    }

    /// <summary>What the limit of 4096 bytes is about.</summary>
    /// <remarks>A device gets one of the blocks of its sender: the largest counts.</remarks>
    public static int CountedBytes(Outgoing message)
    {
        var content = message.Content;
        var most = new[] { content.Android, content.Apns, content.WebPush }.Max(block => block is { } given ? JsonSerializer.SerializeToUtf8Bytes(given, Json).Length : 0);
        return JsonSerializer.SerializeToUtf8Bytes(new { notification = Notification(message), data = Data(message) }, Json).Length + most;
    }

    private static object? Notification(Outgoing message) =>
        message.Silent ? null : new { title = message.Content.Title, body = message.Content.Body, image = message.Content.Image };

    private static Dictionary<string, string> Data(Outgoing message)
    {
        var data = new Dictionary<string, string>(message.Content.Data ?? new Dictionary<string, string>()) { ["messageId"] = message.MessageId.ToString() };
        if (message.Changed is { } changed)
        {
            data["changed"] = JsonSerializer.Serialize(changed, Json);
        }
        if (message.Category is { } category)
        {
            data["category"] = category;
        }
        if (message.Content.Actions is { } actions)
        {
            data["actions"] = JsonSerializer.Serialize(actions, Json);
        }
        return data;
    }

    private static JsonObject Without(JsonObject members)
    {
        foreach (var name in members.Where(member => member.Value is null).Select(member => member.Key).ToList())
        {
            members.Remove(name);
        }
        return members;
    }
}
