using MobileServices.Devices;
using MobileServices.Push.Networks;

namespace MobileServices.Push.Messages;

/// <summary>What a message must look like, and whether every network can carry it: a message that is too large is refused here, where its sender learns of it.</summary>
internal sealed class MessageRules(NetworkList networks, TimeProvider time)
{
    private const int MostTtl = 28 * 86400;
    private static readonly string[] Urgencies = ["very-low", "low", "normal", "high"];
    private static readonly TimeSpan FurthestAhead = TimeSpan.FromDays(366);

    /// <param name="content">The submission's own, or its template's.</param>
    /// <param name="used">The networks of the app's credentials and of its own devices, and whether there are devices with keys that a message is encrypted to.</param>
    /// <returns>Messages by field; empty when all is well.</returns>
    public Dictionary<string, string[]> Check(PushSubmission message, PushContent? content, IReadOnlyDictionary<string, bool> used)
    {
        var errors = new Dictionary<string, string[]>();
        Require("app", DeviceRules.IsAppId(message.App), "Must be a reverse domain name such as com.example.shop.");
        CheckAudience(message.Audience, errors);
        Require("urgency", message.Urgency is null || Urgencies.Contains(message.Urgency), $"Must be one of {string.Join(", ", Urgencies)}.");
        Require("ttlSeconds", message.TtlSeconds is null or (>= 0 and <= MostTtl), $"Must be from 0 to {MostTtl}, 28 days.");
        Require("category", message.Category is null || Registrations.RegistrationRules.IsTag(message.Category), "Must be at most 100 letters, digits, '-', '_', '.' and ':'.");
        Require("collapseKey", message.CollapseKey is null or { Length: > 0 and <= 200 }, "Must be 1 to 200 characters.");
        Require("sendAt", message.SendAt is null || message.SendAtLocal is null, "Send this or sendAtLocal.");
        var now = time.GetUtcNow();
        Require("sendAt", message.SendAt is null || message.SendAt < now + FurthestAhead, "Must be within a year.");
        Require("sendAtLocal", message.SendAtLocal is null || message.SendAtLocal.Value.Kind is DateTimeKind.Unspecified, "Must be a time without a zone, such as 2030-12-24T09:00:00.");
        Require("sendAtLocal", message.SendAtLocal is null || (message.SendAtLocal.Value - now.UtcDateTime).Duration() < FurthestAhead, "Must be within a year.");
        Require("frequencyCap", message.FrequencyCap is null or { Count: >= 1 and <= 1000, Hours: >= 1 and <= 24 * 31 }, "Must have a count from 1 to 1000 and hours from 1 to 744.");
        Require("frequencyCap", message.FrequencyCap is null || message.Category is not null, "Counts the messages of a category: send one.");
        if (content is null)
        {
            Require("content", message.Silent is true, "Is missing. Send a content or the name of a template; only a silent message has none.");
        }
        else
        {
            CheckContent(message, content, used, errors);
        }
        return errors;

        void Require(string field, bool holds, string otherwise)
        {
            if (!holds)
            {
                errors.TryAdd(field, [otherwise]);
            }
        }
    }

    public void CheckAudience(string? audience, Dictionary<string, string[]> errors)
    {
        if (string.IsNullOrWhiteSpace(audience))
        {
            errors["audience"] = ["Is missing. Send an expression such as news && !muted, or all."];
            return;
        }
        try
        {
            Audience.Parse(audience, time.GetUtcNow());
        }
        catch (AudienceException wrong)
        {
            errors["audience"] = [$"At character {wrong.Position}: {wrong.Message}"];
        }
    }

    public static void CheckTexts(PushContent content, string field, Dictionary<string, string[]> errors)
    {
        if (content.Image is not null && !(Uri.TryCreate(content.Image, UriKind.Absolute, out var image) && image.Scheme is "https"))
        {
            errors[$"{field}.image"] = ["Must be an https address."];
        }
        if (content.Badge is < 0 or > 99999)
        {
            errors[$"{field}.badge"] = ["Must be from 0 to 99999."];
        }
        if (content.Actions is { Count: > 5 } || content.Actions?.Any(action => action is not { Id.Length: > 0, Title.Length: > 0 }) is true)
        {
            errors[$"{field}.actions"] = ["Must be five at most, with an id and a title each."];
        }
        if (content.Data?.Keys.FirstOrDefault(key => IsReserved(key)) is { } reserved)
        {
            errors[$"{field}.data"] = [$"'{reserved}' is a name that networks keep for themselves, or that this service sends. Take another."];
        }
        if (content.Localized?.FirstOrDefault(text => !DeviceRules.IsLocale(text.Key) || text.Value is null) is { Key: { } wrong })
        {
            errors[$"{field}.localized"] = [$"'{wrong}' must be a language (BCP 47) with a title, a body or both."];
        }
    }

    public static bool IsReserved(string key) => key is "" or "from" or "message_type" or "aps" or "messageId" or "changed" or "category" or EndToEnd.Member
        || key.StartsWith("google.", StringComparison.OrdinalIgnoreCase) || key.StartsWith("gcm.", StringComparison.OrdinalIgnoreCase);

    private void CheckContent(PushSubmission message, PushContent content, IReadOnlyDictionary<string, bool> used, Dictionary<string, string[]> errors)
    {
        var count = errors.Count;
        CheckTexts(content, "content", errors);
        Overrides.CheckAll(content, "content", message.Silent is true, errors);
        if (message.Silent is not true && content is { Title: null, Body: null } && content.Localized is null or { Count: 0 })
        {
            errors["content"] = ["Has neither a title nor a body. Send one, or silent."];
        }
        if (errors.Count > count)
        {
            return;
        }
        foreach (var network in networks.All.Where(network => used.ContainsKey(network.Name)))
        {
            foreach (var language in (content.Localized?.Keys ?? []).Prepend(""))
            {
                var sample = Sample(message, content.For(language));
                if (!Fits(network, sample, language) || (used[network.Name] && !Fits(network, sample with { P256dh = [] }, language)))
                {
                    return;
                }
            }
        }

        bool Fits(INetwork network, Outgoing sample, string language)
        {
            var (limit, how) = sample.P256dh is null ? (network.LargestPayload, "") : (network.LargestEncrypted, ", encrypted to devices with keys");
            var bytes = network.PayloadBytes(sample);
            if (bytes > limit)
            {
                errors["content"] = [$"Makes a message of {bytes} bytes{(language is "" ? "" : $" in {language}")}, and {network.Name} takes {limit} at most{how}. Send less; the app can fetch the rest."];
            }
            return bytes <= limit;
        }
    }

    private static Outgoing Sample(PushSubmission message, PushContent content) => new(
        Guid.Empty, Guid.Empty, new string('a', 200), null, null, content, message.Silent is true, message.Urgency ?? "normal", message.Category,
        message.CollapseKey is { } key ? CollapseId.Of("", key) : null, MostTtl, DateTimeOffset.MaxValue, null);
}
