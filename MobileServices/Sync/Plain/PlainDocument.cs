using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace MobileServices.Sync.Plain;

/// <summary>A document without revisions and attachments: its id, by a name of the client's choice, <c>_deleted</c>, and its members.</summary>
internal static class PlainDocument
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    /// <summary>Under which name the client has ids (<c>key</c>); <c>_id</c> unless it says.</summary>
    /// <exception cref="SyncException">It cannot be one.</exception>
    public static string KeyOf(SyncCall call) => call.Query.Text("key") switch
    {
        null or "" => "_id",
        { Length: <= 100 } name when name is "_id" || name[0] is not '_' => name,
        var other => throw SyncException.Query($"Invalid key: \"{other}\". Name the member that has the documents' ids, without an underscore in front."),
    };

    public static void Write(JsonOut json, string key, string id, bool deleted, byte[] body)
    {
        json.Raw("{"u8);
        json.Text(key);
        json.Raw(":"u8);
        json.Text(id);
        json.Raw(",\"_deleted\":"u8);
        json.Flag(deleted);
        WriteMembers(json, key, body);
        json.Raw("}"u8);
    }

    /// <summary>The members of a client's state alone.</summary>
    /// <exception cref="SyncException">It has one that is not the client's.</exception>
    public static void WriteMembers(JsonOut json, JsonElement state, string key)
    {
        foreach (var member in state.EnumerateObject().Where(member => member.Name != key && member.Name is not "_deleted"))
        {
            if (member.Name.StartsWith('_'))
            {
                throw SyncException.Bad($"The member {member.Name} is not the document's own. Leave out what begins with an underscore, but {key} and _deleted.");
            }
            Write(json, member);
        }
    }

    private static void WriteMembers(JsonOut json, string key, byte[] body)
    {
        // Names are seldom written with escapes, and seldom the key's.
        if (body.AsSpan().IndexOf(Encoding.UTF8.GetBytes(key)) < 0 && !body.AsSpan().Contains((byte)'\\'))
        {
            json.Raw(body.Length > 2 ? ","u8 : ""u8);
            json.Raw(body.AsSpan(1, body.Length - 2));
            return;
        }
        using var document = JsonDocument.Parse(body, Reading);
        foreach (var member in document.RootElement.EnumerateObject().Where(member => member.Name != key))
        {
            Write(json, member);
        }
    }

    private static void Write(JsonOut json, JsonProperty member)
    {
        json.Raw(",\""u8);
        json.Raw(JsonMarshal.GetRawUtf8PropertyName(member));
        json.Raw("\":"u8);
        json.Raw(JsonMarshal.GetRawUtf8Value(member.Value));
    }
}
