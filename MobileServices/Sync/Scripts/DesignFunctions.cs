using System.Text;
using System.Text.Json;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Changes;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Queries;
using MobileServices.Sync.Revisions;
using MobileServices.Sync.Views;

namespace MobileServices.Sync.Scripts;

/// <summary>What functions of design documents are told of the caller and of the document.</summary>
internal static class DesignFunctions
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    /// <summary>The text of a function in a design document; null when there is none.</summary>
    public static string? Source(byte[] body, params ReadOnlySpan<string> path)
    {
        using var json = JsonDocument.Parse(body, Reading);
        var at = json.RootElement;
        foreach (var member in path)
        {
            if (at.ValueKind is not JsonValueKind.Object || !at.TryGetProperty(member, out at))
            {
                return null;
            }
        }
        return at.ValueKind is JsonValueKind.String ? at.GetString() : null;
    }

    /// <summary><c>{"db": ..., "name": ..., "roles": [...]}</c></summary>
    public static string UserContext(SyncCall call) =>
        JsonSerializer.Serialize(new { db = call.Database.Name, name = call.User, roles = call.Roles });

    /// <summary>The security object: of a shared database the settings are it.</summary>
    public static string Security(SyncOptions options, DatabaseKey key, string kept) =>
        key.Owner.Length is 0 && options.Shared.TryGetValue(key.Name, out var shared)
            ? JsonSerializer.Serialize(new { admins = new { names = Array.Empty<string>(), roles = shared.Admins }, members = new { names = Array.Empty<string>(), roles = shared.Readers } })
            : kept;

    /// <summary>A document that is about to be written, with stubs for its attachments.</summary>
    public static string NewDocument(string id, Documents.NewDocument sent, Rev? rev, string? attachments)
    {
        var json = new JsonOut();
        json.Raw("{\"_id\":"u8);
        json.Text(id);
        json.Raw(rev is { } one ? $",\"_rev\":\"{one}\"" : "");
        json.Raw(sent.Deleted ? ",\"_deleted\":true"u8 : ""u8);
        if (sent.Path is { } path)
        {
            json.Raw($",\"_revisions\":{{\"start\":{path[0].Generation},\"ids\":[{string.Join(',', path.Select(step => $"\"{step.Hash}\""))}]}}");
        }
        WriteStubs(json, attachments);
        if (sent.Body.Length > 2)
        {
            json.Raw(","u8);
            json.Raw(sent.Body.AsSpan(1, sent.Body.Length - 2));
        }
        json.Raw("}"u8);
        return Encoding.UTF8.GetString(json.Written.Span);
    }

    /// <summary>The winner as map functions see it, with its conflicts and stubs for its attachments.</summary>
    public static string StoredDocument(StoredDocument document)
    {
        var json = new JsonOut();
        DocumentJson.WriteMembers(json, document, document.Winner, new(Conflicts: true));
        WriteStubs(json, document.Attachments);
        json.Raw("}"u8);
        return Encoding.UTF8.GetString(json.Written.Span);
    }

    /// <summary>The member <c>_attachments</c> without content; nothing when there are none.</summary>
    public static void WriteStubs(JsonOut json, string? attachments)
    {
        if (attachments is null)
        {
            return;
        }
        json.Raw(",\"_attachments\":"u8);
        json.Raw(JsonSerializer.Serialize(Attachment.Read(attachments).ToDictionary(
            file => file.Name, file => new { content_type = file.ContentType, revpos = file.RevPos, digest = file.Digest, length = file.Length, stub = true })));
    }

    /// <summary>The filter that a feed names as <c>design document/filter</c>.</summary>
    /// <exception cref="SyncException">It is not there, or does not compile.</exception>
    public static async Task<Selector.Condition> FilterAsync(SyncCall call, ChangeQuery query, DatabaseRow database, DocumentStore documents)
    {
        var names = query.Filter.Function!.Split('/', 2);
        var design = await documents.FindAsync(database.Id, $"_design/{names[0]}", call.Aborted);
        if (design is null or { Deleted: true })
        {
            throw new SyncException(404, "not_found", $"missing: there is no design document _design/{names[0]}.");
        }
        if (query.Filter.IsView)
        {
            var view = View.AllOf(design.Id, design.Body, call.Options).Find(one => one.Name == names[1]).View ?? throw new SyncException(404, "not_found", $"missing_named_view: there is no view {names[1]} in _design/{names[0]}.");
            var map = view.Index.OpenMap();
            return document => map(document!.Value.GetRawText(), document.Value.GetProperty("_id").GetString()!).Count > 0;
        }
        var source = Source(design.Body, "filters", names[1]) ?? throw new SyncException(404, "not_found", $"missing json key: filters.{names[1]} in _design/{names[0]}.");
        var function = new ScriptFunction($"The filter {query.Filter.Function}", source, call.Options);
        var user = UserContext(call);
        var request = JsonSerializer.Serialize(new
        {
            method = call.Http.Request.Method,
            path = call.Segments,
            query = call.Http.Request.Query.ToDictionary(pair => pair.Key, pair => pair.Value[^1]),
            userCtx = JsonDocument.Parse(user).RootElement,
            secObj = JsonDocument.Parse(Security(call.Options, call.Database, database.Security)).RootElement,
            info = new { db_name = database.Name, update_seq = database.Sequence(database.UpdateSeq) },
        });
        return document => Jint.Runtime.TypeConverter.ToBoolean(function.Call(document!.Value.GetRawText(), request));
    }
}
