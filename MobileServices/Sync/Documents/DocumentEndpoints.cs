using System.Text.Json;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Revisions;

namespace MobileServices.Sync.Documents;

/// <summary>One document: https://docs.couchdb.org/en/stable/api/document/common.html.</summary>
internal static class DocumentEndpoints
{
    public static async Task GetAsync(HttpContext http, DatabaseStore databases, DocumentStore documents, DocumentJson json, BlobStore blobs, LocalDocuments local)
    {
        var call = SyncCall.ToRead(http);
        var (id, _) = call.Document();
        NewDocument.CheckId(id);
        if (id.StartsWith("_local/", StringComparison.Ordinal))
        {
            await local.GetAsync(call, id);
            return;
        }
        var database = await databases.FindAsync(call);
        var document = await documents.FindAsync(database.Id, id, call.Aborted);
        if (call.Query.Has("open_revs"))
        {
            await new OpenRevs(call, database, documents, json, blobs).AnswerAsync(document);
            return;
        }
        var rev = call.Query.Text("rev") is { Length: > 0 } text ? NewDocument.ParseRev(text) : (Rev?)null;
        if (document is null)
        {
            throw SyncException.Missing();
        }
        var body = await ChooseAsync(call, database, documents, document, rev);
        var parts = await PartsAsync(call, database, documents, document);
        if (!parts.HasMeta)
        {
            var tag = $"\"{body.Rev}\"";
            http.Response.Headers.ETag = tag;
            if (http.Request.Headers.IfNoneMatch.Any(sent => sent is not null && (sent == "*" || sent.Contains(tag, StringComparison.Ordinal))))
            {
                http.Response.StatusCode = StatusCodes.Status304NotModified;
                return;
            }
        }
        var sends = parts.Sends(document, body);
        if (sends.Count > 0 && http.Request.Headers.Accept.ToString().Contains("multipart/related", StringComparison.OrdinalIgnoreCase))
        {
            await MultipartWriter.RelatedAsync(call, document, body, parts with { Follows = true }, sends, json, blobs);
            return;
        }
        http.Response.ContentType = "application/json";
        var answer = new JsonOut(http.Response);
        await json.WriteAsync(answer, document, body, parts, call.Aborted);
        answer.Raw("\n"u8);
        if (sends.Count is 0)
        {
            http.Response.ContentLength = answer.Written.Length;
        }
        await answer.SendAsync(call.Aborted);
    }

    public static async Task PutAsync(HttpContext http, DocumentWrites writes, RequestBodies bodies, LocalDocuments local, DatabaseStore databases, BlobStore blobs)
    {
        var call = SyncCall.ToWrite(http);
        var (id, _) = call.Document();
        NewDocument.CheckId(id);
        NewDocument document;
        if (http.Request.ContentType?.StartsWith("multipart/related", StringComparison.OrdinalIgnoreCase) is true)
        {
            LocalDocuments.RefuseAttachments(id);
            document = await MultipartReader.ReadAsync(call, await databases.FindAsync(call), bodies, blobs);
        }
        else
        {
            using var body = await bodies.ReadAsync(call);
            if (id.StartsWith("_local/", StringComparison.Ordinal))
            {
                await local.PutAsync(call, id, body.Object);
                return;
            }
            document = NewDocument.Read(body.Root, call.Options);
        }
        if (document.Id is { } named && named != id)
        {
            throw SyncException.Bad("Document ID must match the one in the URL.");
        }
        document.Rev = RevOf(call, document.Rev);
        var isReplicated = !call.Query.Flag("new_edits", true);
        var edit = new Edit(id, document, isReplicated);
        await writes.WriteOneAsync(call, edit);
        await WrittenAsync(call, Uri.EscapeDataString(id), id, edit.Written ?? (document.Path?[0] ?? document.Rev!.Value), 201);
    }

    /// <summary>A new document, with an id of the server's when it has none.</summary>
    public static async Task PostAsync(HttpContext http, DocumentWrites writes, RequestBodies bodies, LocalDocuments local)
    {
        var call = SyncCall.ToWrite(http);
        using var body = await bodies.ReadAsync(call);
        var document = NewDocument.Read(body.Root, call.Options);
        var id = document.Id ?? Guid.CreateVersion7().ToString("n");
        NewDocument.CheckId(id);
        if (id.StartsWith("_local/", StringComparison.Ordinal))
        {
            await local.PutAsync(call, id, body.Object);
            return;
        }
        var edit = new Edit(id, document, IsReplicated: false);
        await writes.WriteOneAsync(call, edit);
        await WrittenAsync(call, Uri.EscapeDataString(id), id, edit.Written!.Value, 201);
    }

    public static async Task DeleteAsync(HttpContext http, DocumentWrites writes, LocalDocuments local)
    {
        var call = SyncCall.ToWrite(http);
        var (id, _) = call.Document();
        NewDocument.CheckId(id);
        if (id.StartsWith("_local/", StringComparison.Ordinal))
        {
            await local.DeleteAsync(call, id);
            return;
        }
        var edit = new Edit(id, new() { Deleted = true, Rev = RevOf(call, null) }, IsReplicated: false) { MustExist = true };
        await writes.WriteOneAsync(call, edit);
        await WrittenAsync(call, Uri.EscapeDataString(id), id, edit.Written!.Value, 200);
    }

    public static async Task CopyAsync(HttpContext http, DatabaseStore databases, DocumentStore documents, DocumentWrites writes, LocalDocuments local)
    {
        var call = SyncCall.ToWrite(http);
        var (id, _) = call.Document();
        var target = http.Request.Headers["Destination"].FirstOrDefault() is { Length: > 0 } destination
            ? destination.Split("?rev=", 2)
            : throw SyncException.Bad("Destination header is mandatory for COPY.");
        var to = Uri.UnescapeDataString(target[0]);
        NewDocument.CheckId(to);
        var database = await databases.FindAsync(call);
        byte[] content;
        List<Attachment> attachments = [];
        var isLocal = id.StartsWith("_local/", StringComparison.Ordinal);
        if (isLocal)
        {
            content = await local.BodyAsync(database.Id, id, call.Aborted) ?? throw SyncException.Missing();
        }
        else
        {
            var document = await documents.FindAsync(database.Id, id, call.Aborted) ?? throw SyncException.Missing();
            var body = await ChooseAsync(call, database, documents, document, RevOf(call, null));
            (content, attachments) = (body.Body, body.Attachments);
        }
        if (to.StartsWith("_local/", StringComparison.Ordinal))
        {
            if (attachments.Count > 0)
            {
                LocalDocuments.RefuseAttachments(to);
            }
            await local.PutCopyAsync(call, database, to, content, target.ElementAtOrDefault(1));
            return;
        }
        // What a local document may hold is not all for others to replicate.
        using var json = isLocal ? JsonDocument.Parse(content, new() { MaxDepth = 1100 }) : null;
        var copy = json is null ? NewDocument.Of(content) : NewDocument.Read(json.RootElement, call.Options);
        copy.Rev = target.Length > 1 ? NewDocument.ParseRev(target[1]) : null;
        copy.Attachments = [.. attachments.Select(one => new NewAttachment(one.Name, one.ContentType, null, false, one.Length, one.Digest, null) { Blob = new(one.Blob, one.Digest, one.Length, one.EncodedLength) })];
        var edit = new Edit(to, copy, IsReplicated: false);
        await writes.WriteOneAsync(call, edit);
        await WrittenAsync(call, Uri.EscapeDataString(to), to, edit.Written!.Value, 201);
    }

    /// <summary>The revision that the client updates: in the document, the query or If-Match.</summary>
    /// <exception cref="SyncException">They do not agree.</exception>
    public static Rev? RevOf(SyncCall call, Rev? named)
    {
        var query = call.Query.Text("rev") is { Length: > 0 } text ? NewDocument.ParseRev(text) : (Rev?)null;
        var header = call.Http.Request.Headers.IfMatch.FirstOrDefault() is { Length: > 0 } match ? NewDocument.ParseRev(match.Trim('"')) : (Rev?)null;
        return (named is { } one && query is { } two && one != two) || ((named ?? query) is { } first && header is { } third && first != third)
            ? throw SyncException.Bad("Document rev and etag have different values")
            : named ?? query ?? header;
    }

    /// <param name="path">Of what was written, behind its database.</param>
    public static Task WrittenAsync(SyncCall call, string path, string id, Rev rev, int status)
    {
        var http = call.Http;
        http.Response.StatusCode = status;
        if (status is 201)
        {
            http.Response.Headers.Location = $"{SyncCall.Prefix}/{Uri.EscapeDataString(call.Database.Name)}/{path}";
        }
        http.Response.Headers.ETag = $"\"{rev}\"";
        return http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("ok", true);
            json.WriteString("id", id);
            json.WriteString("rev", rev.ToString());
            json.WriteEndObject();
        });
    }

    /// <summary>The revision that is asked for, the winner otherwise; with <c>latest</c>, what became of it.</summary>
    public static async Task<StoredBody> ChooseAsync(SyncCall call, DatabaseRow database, DocumentStore documents, StoredDocument document, Rev? asked)
    {
        if (asked is not { } rev)
        {
            return document.Deleted ? throw SyncException.Deleted() : document.Winner;
        }
        if (call.Query.Flag("latest") && document.Tree.LeavesUnder(rev) is { Count: > 0 } leaves)
        {
            rev = leaves[0].Rev;
        }
        if (!document.Tree.Contains(rev))
        {
            // Its body may be there until the database is compacted.
            throw SyncException.Missing();
        }
        return await documents.BodyAsync(database.Id, document, rev.ToString(), call.Aborted) ?? throw SyncException.Missing();
    }

    private static async Task<DocumentParts> PartsAsync(SyncCall call, DatabaseRow database, DocumentStore documents, StoredDocument document)
    {
        var query = call.Query;
        var meta = query.Flag("meta");
        return new(
            query.Flag("revs"), meta || query.Flag("conflicts"), meta || query.Flag("deleted_conflicts"), query.Flag("local_seq"), query.Flag("attachments"),
            query.Texts("atts_since"))
        {
            EncodingInfo = query.Flag("att_encoding_info"),
            Available = meta || query.Flag("revs_info") ? await documents.AvailableAsync(database.Id, document.Id, call.Aborted) : null,
        };
    }
}
