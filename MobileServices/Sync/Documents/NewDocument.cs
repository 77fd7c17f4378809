using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Revisions;

namespace MobileServices.Sync.Documents;

/// <summary>A document as a client sends it: what the protocol reads of it, and the rest as it came.</summary>
internal sealed class NewDocument
{
    private static readonly byte[] Nothing = "{}"u8.ToArray();

    public string? Id { get; set; }

    public Rev? Rev { get; set; }

    public bool Deleted { get; set; }

    /// <summary>It takes no room.</summary>
    public bool IsBareTombstone => Deleted && Body.Length <= Nothing.Length && Attachments is not { Count: > 0 };

    /// <summary>The revision and its ancestors, newest first; null when the client does not tell of them.</summary>
    public List<Rev>? Path { get; private set; }

    public byte[] Body { get; set; } = Nothing;

    public List<NewAttachment>? Attachments { get; set; }

    /// <summary>One whose body stands in the database; null is empty.</summary>
    public static NewDocument Of(byte[]? body) => new() { Body = body ?? Nothing };

    /// <exception cref="SyncException">It is none.</exception>
    public static NewDocument Read(JsonElement json, SyncOptions options)
    {
        if (json.ValueKind is not JsonValueKind.Object)
        {
            throw new SyncException(400, "bad_request", "Document must be a JSON object");
        }
        var document = new NewDocument();
        ArrayBufferWriter<byte>? body = null;
        foreach (var member in json.EnumerateObject())
        {
            var name = JsonMarshal.GetRawUtf8PropertyName(member);
            if (name.Length > 0 && (name[0] is (byte)'_' || (name[0] is (byte)'\\' && member.Name.StartsWith('_'))))
            {
                document.Take(member);
                continue;
            }
            if (body is null)
            {
                body = new(Math.Max(64, JsonMarshal.GetRawUtf8Value(json).Length));
                body.Write("{\""u8);
            }
            else
            {
                body.Write(",\""u8);
            }
            body.Write(name);
            body.Write("\":"u8);
            body.Write(JsonMarshal.GetRawUtf8Value(member.Value));
        }
        if (body is not null)
        {
            body.Write("}"u8);
            document.Body = body.WrittenSpan.ToArray();
            // Between values only: feeds have a line for each document.
            document.Body.AsSpan().Replace((byte)'\n', (byte)' ');
            document.Body.AsSpan().Replace((byte)'\r', (byte)' ');
        }
        if (document.Body.Length > options.DocumentBytes)
        {
            throw SyncException.TooLarge($"The document has more than {options.DocumentBytes} bytes.");
        }
        return document;
    }

    /// <exception cref="SyncException">It cannot be a document's id.</exception>
    public static void CheckId(string id)
    {
        if (id.Length is 0)
        {
            throw new SyncException(400, "illegal_docid", "Document id must not be empty");
        }
        if (id[0] is '_' && !(id.StartsWith("_design/", StringComparison.Ordinal) && id.Length > 8) && !(id.StartsWith("_local/", StringComparison.Ordinal) && id.Length > 7))
        {
            throw new SyncException(400, "illegal_docid", "Only reserved document ids may start with underscore.");
        }
        if (id.Contains('\0', StringComparison.Ordinal) || Encoding.UTF8.GetByteCount(id) > 1024 || HasLoneSurrogate(id))
        {
            throw new SyncException(400, "illegal_docid", "Document id must be valid Unicode without null characters, and have at most 1024 bytes.");
        }
    }

    public static Rev ParseRev(string? text) => Revisions.Rev.TryParse(text, out var rev) ? rev : throw SyncException.Bad("Invalid rev format");

    /// <summary>What <c>_deleted</c> says.</summary>
    public static bool IsDeleted(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw new SyncException(400, "doc_validation", "_deleted must be a boolean"),
    };

    public static bool HasLoneSurrogate(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]) && !(char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[++i])))
            {
                return true;
            }
        }
        return false;
    }

    private void Take(JsonProperty member)
    {
        var value = member.Value;
        switch (member.Name)
        {
            case "_id":
                Id = value.ValueKind is JsonValueKind.String ? value.GetString() : throw new SyncException(400, "illegal_docid", "Document id must be a string");
                break;
            case "_rev":
                Rev = value.ValueKind is JsonValueKind.Null ? null : ParseRev(value.ValueKind is JsonValueKind.String ? value.GetString() : null);
                break;
            case "_deleted":
                Deleted = IsDeleted(value);
                break;
            case "_revisions":
                Path = ReadPath(value);
                break;
            case "_attachments":
                Attachments = NewAttachment.Read(value);
                break;
            // What an answer told of the document besides.
            case "_revs_info" or "_conflicts" or "_deleted_conflicts" or "_local_seq":
                break;
            default:
                throw new SyncException(400, "doc_validation", $"Bad special document member: {member.Name}");
        }
    }

    private static List<Rev> ReadPath(JsonElement value)
    {
        if (value.ValueKind is not JsonValueKind.Object || !value.TryGetProperty("start", out var start)
            || start.ValueKind is not JsonValueKind.Number || !start.TryGetInt32(out var generation)
            || generation > Revisions.Rev.MostGenerations || !value.TryGetProperty("ids", out var ids) || ids.ValueKind is not JsonValueKind.Array)
        {
            throw new SyncException(400, "doc_validation", $"_revisions must have a number `start`, at most {Revisions.Rev.MostGenerations}, and a list `ids`.");
        }
        if (ids.GetArrayLength() > generation)
        {
            throw new SyncException(400, "doc_validation", "There are more of _revisions.ids than `start` allows.");
        }
        // No database remembers more.
        var count = Math.Min(ids.GetArrayLength(), SyncOptions.MostRevs);
        var path = new List<Rev>(count);
        foreach (var id in ids.EnumerateArray().Take(count))
        {
            if (id.ValueKind is not JsonValueKind.String || !Revisions.Rev.IsHash(id.GetString()))
            {
                throw new SyncException(400, "doc_validation", "RevId isn't a string, or none that can be a revision's.");
            }
            path.Add(Revisions.Rev.Of(generation - path.Count, id.GetString()));
        }
        return path.Count > 0 ? path : throw new SyncException(400, "doc_validation", "_revisions.ids is empty.");
    }
}
