using System.Text.Json;
using MobileServices.Sync.Documents;

namespace MobileServices.Sync.Plain;

/// <summary>A document as a client wants it to be, and as the client believes that it is here.</summary>
/// <param name="Assumed">Null when the client knows of none.</param>
internal sealed record PlainRow(string Id, JsonElement State, JsonElement? Assumed, string Key)
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    private bool Deleted => IsDeleted(State);

    /// <exception cref="SyncException">It is none.</exception>
    public static PlainRow Read(JsonElement row, string key)
    {
        if (row.ValueKind is not JsonValueKind.Object || !row.TryGetProperty("newDocumentState", out var state) || state.ValueKind is not JsonValueKind.Object)
        {
            throw SyncException.Bad("Each row must be {\"newDocumentState\": {...}, \"assumedMasterState\": {...}}, the latter only if the client has had the document from here.");
        }
        if (!state.TryGetProperty(key, out var named) || named.ValueKind is not JsonValueKind.String)
        {
            throw SyncException.Bad($"A document has no id: a text named {key} (the parameter key names another member).");
        }
        var id = named.GetString()!;
        NewDocument.CheckId(id);
        if (id.StartsWith("_local/", StringComparison.Ordinal))
        {
            throw new SyncException(400, "illegal_docid", "Local documents are not pushed.");
        }
        JsonElement? assumed = row.TryGetProperty("assumedMasterState", out var master) && master.ValueKind is not JsonValueKind.Null
            ? master.ValueKind is JsonValueKind.Object ? master : throw SyncException.Bad("assumedMasterState must be an object.")
            : null;
        return new(id, state, assumed, key);
    }

    /// <summary>It is so already: what was sent before, and the answer was lost.</summary>
    public bool IsAlready(StoredDocument? current) => current is null ? Deleted : Is(State, current);

    /// <summary>Nobody has changed it meanwhile. Who knows of none may write one that was deleted.</summary>
    public bool IsAsAssumed(StoredDocument? current) => current is null || (Assumed is { } assumed ? Is(assumed, current) : current.Deleted);

    /// <summary>The next revision of the winner, with its attachments.</summary>
    public Edit ToEdit(StoredDocument? current, SyncOptions options)
    {
        var json = new JsonOut();
        json.Raw("{\"_id\":"u8);
        json.Text(Id);
        if (current is not null)
        {
            json.Raw(",\"_rev\":"u8);
            json.Text(current.Rev);
            WriteStubs(json, current);
        }
        json.Raw(",\"_deleted\":"u8);
        json.Flag(Deleted);
        PlainDocument.WriteMembers(json, State, Key);
        json.Raw("}"u8);
        using var document = JsonDocument.Parse(json.Written, Reading);
        return new(Id, NewDocument.Read(document.RootElement, options), IsReplicated: false);
    }

    private void WriteStubs(JsonOut json, StoredDocument current)
    {
        if (Deleted || current.Winner.Attachments.Count is 0)
        {
            return;
        }
        json.Raw(",\"_attachments\":{"u8);
        var isFirst = true;
        foreach (var attachment in current.Winner.Attachments)
        {
            json.Raw(isFirst ? ""u8 : ","u8);
            isFirst = false;
            json.Text(attachment.Name);
            json.Raw(":{\"stub\":true}"u8);
        }
        json.Raw("}"u8);
    }

    private bool Is(JsonElement state, StoredDocument current)
    {
        if (IsDeleted(state) || current.Deleted)
        {
            return IsDeleted(state) == current.Deleted;
        }
        using var body = JsonDocument.Parse(current.Body, Reading);
        var (mine, theirs) = (Members(state), Members(body.RootElement));
        return mine.Count == theirs.Count && mine.All(member => theirs.TryGetValue(member.Key, out var other) && JsonElement.DeepEquals(member.Value, other));
    }

    private Dictionary<string, JsonElement> Members(JsonElement state) =>
        state.EnumerateObject().Where(member => member.Name != Key && !member.Name.StartsWith('_')).ToDictionary(member => member.Name, member => member.Value, StringComparer.Ordinal);

    private static bool IsDeleted(JsonElement state) => state.TryGetProperty("_deleted", out var deleted) && deleted.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw SyncException.Bad("_deleted must be true or false."),
    };
}
