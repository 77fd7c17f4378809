using System.Buffers;
using System.Text;
using System.Text.Json;

namespace MobileServices.Sync.Attachments;

/// <summary>What a revision says of an attachment: the content stands once in its database.</summary>
/// <param name="RevPos">The generation in which it came with this content.</param>
/// <param name="Digest"><c>md5-</c> and the hash in Base64 of the bytes that are kept.</param>
/// <param name="Length">Of the content as it is read.</param>
/// <param name="EncodedLength">Of what is kept when a client sent it in gzip; null when it is kept as it is read.</param>
internal sealed record Attachment(string Name, string ContentType, int RevPos, string Digest, long Length, long Blob, long? EncodedLength = null)
{
    public const string Gzip = "gzip";

    public bool IsGzip => EncodedLength is not null;

    public long StoredLength => EncodedLength ?? Length;

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
                if (one.EncodedLength is { } encoded)
                {
                    json.WriteNumber("encoded_length", encoded);
                }
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
            member.Value.GetProperty("blob").GetInt64(),
            member.Value.TryGetProperty("encoded_length", out var encoded) ? encoded.GetInt64() : null))];
    }

    /// <summary>Whether content of that coding comes in gzip; CouchDB knows no other coding.</summary>
    /// <exception cref="SyncException">415: it is another one.</exception>
    public static bool IsGzipCoding(string? coding) => coding?.Trim().ToLowerInvariant() switch
    {
        null or "" or "identity" => false,
        Gzip => true,
        _ => throw new SyncException(415, "bad_content_type", "Only gzip and identity content-encodings are supported"),
    };
}

/// <summary>An attachment as a client sends it with a document: its content, or the word that it stays as it was, or that it follows.</summary>
/// <param name="Length">Of the bytes that follow.</param>
internal sealed record NewAttachment(string Name, string? ContentType, byte[]? Data, bool Follows, long? Length, string? Digest, int? RevPos)
{
    /// <summary>The bytes that follow are in gzip. Of <see cref="Data"/> CouchDB reads no coding: it tells unpacked data with the coding that is kept.</summary>
    public bool IsGzip { get; init; }

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
            var isGzip = follows && Attachment.IsGzipCoding(value.TryGetProperty("encoding", out var coding) ? coding.ToString() : null);
            read.Add(new(
                member.Name,
                value.TryGetProperty("content_type", out var type) && type.ValueKind is JsonValueKind.String ? CheckType(type.GetString()!) : null,
                data,
                follows,
                isGzip ? NumberOf(value, "encoded_length") ?? NumberOf(value, "length") : NumberOf(value, "length"),
                value.TryGetProperty("digest", out var digest) && digest.ValueKind is JsonValueKind.String ? digest.GetString() : null,
                value.TryGetProperty("revpos", out var revpos) && revpos.ValueKind is JsonValueKind.Number && revpos.TryGetInt32(out var generation) ? generation : null)
            { IsGzip = isGzip });
        }
        return read;
    }

    /// <exception cref="SyncException">It cannot stand in a header, where readers get it.</exception>
    public static string CheckType(string type) => !type.AsSpan().ContainsAnyExceptInRange(' ', '~') ? type
        : throw SyncException.Bad("The content type of an attachment must be of visible ASCII characters and spaces.");

    private static long? NumberOf(JsonElement value, string name) =>
        value.TryGetProperty(name, out var given) && given.ValueKind is JsonValueKind.Number && given.TryGetInt64(out var number) ? number : null;

    private static bool Is(JsonElement value, string name) => value.TryGetProperty(name, out var flag) && flag.ValueKind is JsonValueKind.True;
}

/// <summary>Content that stands in the database; its lengths are those of <see cref="Attachment"/>.</summary>
internal readonly record struct StoredBlob(long Id, string Digest, long Length, long? EncodedLength = null);
