using System.Buffers;
using System.Text;
using System.Text.Json;

namespace MobileServices.Sync.Attachments;

/// <summary>What a revision says of an attachment: the content stands once in its database.</summary>
/// <param name="RevPos">The generation in which it came with this content.</param>
/// <param name="Digest"><c>md5-</c> and the hash of the content in Base64.</param>
internal sealed record Attachment(string Name, string ContentType, int RevPos, string Digest, long Length, long Blob)
{
    /// <summary>As the table has it; the blob comes last, where compaction looks for it.</summary>
    public static string Write(IEnumerable<Attachment> attachments)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, SyncAnswers.Writing))
        {
            json.WriteStartObject();
            foreach (var one in attachments)
            {
                json.WriteStartObject(one.Name);
                json.WriteString("content_type", one.ContentType);
                json.WriteNumber("revpos", one.RevPos);
                json.WriteString("digest", one.Digest);
                json.WriteNumber("length", one.Length);
                json.WriteNumber("blob", one.Blob);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    public static List<Attachment> Read(string? text)
    {
        if (text is null)
        {
            return [];
        }
        using var json = JsonDocument.Parse(text);
        return [.. json.RootElement.EnumerateObject().Select(member => new Attachment(
            member.Name,
            member.Value.GetProperty("content_type").GetString()!,
            member.Value.GetProperty("revpos").GetInt32(),
            member.Value.GetProperty("digest").GetString()!,
            member.Value.GetProperty("length").GetInt64(),
            member.Value.GetProperty("blob").GetInt64()))];
    }
}

/// <summary>An attachment as a client sends it with a document: its content, or the word that it stays as it was, or that it follows.</summary>
internal sealed record NewAttachment(string Name, string? ContentType, byte[]? Data, bool Follows, long? Length, string? Digest, int? RevPos)
{
    /// <summary>Set once the content is in the database.</summary>
    public StoredBlob? Blob { get; set; }

    public bool IsStub => Data is null && !Follows && Blob is null;

    public static List<NewAttachment> Read(JsonElement json)
    {
        if (json.ValueKind is not JsonValueKind.Object)
        {
            throw new SyncException(400, "bad_request", "Attachments property must be an object");
        }
        var read = new List<NewAttachment>();
        foreach (var member in json.EnumerateObject())
        {
            var value = member.Value;
            if (value.ValueKind is not JsonValueKind.Object || member.Name.Length is 0)
            {
                throw new SyncException(400, "bad_request", "Attachments must be objects with a name.");
            }
            if (member.Name[0] is '_')
            {
                throw new SyncException(400, "bad_request", $"Attachment name '{member.Name}' starts with prohibited character '_'");
            }
            if (member.Name.Contains('\0', StringComparison.Ordinal) || Documents.NewDocument.HasLoneSurrogate(member.Name))
            {
                throw new SyncException(400, "bad_request", "Attachment name is not UTF-8 encoded");
            }
            byte[]? data = null;
            if (value.TryGetProperty("data", out var text))
            {
                if (text.ValueKind is not JsonValueKind.String || !text.TryGetBytesFromBase64(out data))
                {
                    throw new SyncException(400, "bad_request", $"Invalid attachment data for {member.Name}");
                }
            }
            var stub = Is(value, "stub");
            var follows = Is(value, "follows");
            if (data is null && !stub && !follows)
            {
                throw new SyncException(400, "bad_request", $"Invalid attachment data for {member.Name}");
            }
            read.Add(new(
                member.Name,
                value.TryGetProperty("content_type", out var type) && type.ValueKind is JsonValueKind.String ? CheckType(type.GetString()!) : null,
                data,
                follows,
                value.TryGetProperty("length", out var length) && length.TryGetInt64(out var number) ? number : null,
                value.TryGetProperty("digest", out var digest) && digest.ValueKind is JsonValueKind.String ? digest.GetString() : null,
                value.TryGetProperty("revpos", out var revpos) && revpos.TryGetInt32(out var generation) ? generation : null));
        }
        return read;
    }

    /// <exception cref="SyncException">It cannot stand in a header, where readers get it.</exception>
    public static string CheckType(string type) => !type.AsSpan().ContainsAnyExceptInRange(' ', '~') ? type
        : throw SyncException.Bad("The content type of an attachment must be of visible ASCII characters and spaces.");

    private static bool Is(JsonElement value, string name) => value.TryGetProperty(name, out var flag) && flag.ValueKind is JsonValueKind.True;
}

/// <summary>Content that stands in the database.</summary>
internal readonly record struct StoredBlob(long Id, string Digest, long Length);
