using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http.Timeouts;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Revisions;

namespace MobileServices.Sync.Attachments;

/// <summary>One attachment by itself: https://docs.couchdb.org/en/stable/api/document/attachments.html.</summary>
internal static class AttachmentEndpoints
{
    public static async Task GetAsync(HttpContext http, DatabaseStore databases, DocumentStore documents, BlobStore blobs)
    {
        var call = SyncCall.ToRead(http);
        var (id, _) = call.Document();
        var name = call.Attachment();
        var database = await databases.FindAsync(call);
        var document = await documents.FindAsync(database.Id, id, call.Aborted) ?? throw SyncException.Missing();
        // The header names a revision or, as with any resource, the tag of what is sent.
        var match = http.Request.Headers.IfMatch.ToString();
        var isTag = match.Length > 0 && !Rev.TryParse(match.Trim('"'), out _);
        var rev = !isTag ? DocumentEndpoints.RevOf(call, null) : call.Query.Text("rev") is { Length: > 0 } named ? NewDocument.ParseRev(named) : null;
        var body = await DocumentEndpoints.ChooseAsync(call, database, documents, document, rev);
        var one = body.Attachments.Find(attachment => attachment.Name == name) ?? throw new SyncException(404, "not_found", "Document is missing attachment");
        var response = http.Response;
        var tag = $"\"{one.Digest["md5-".Length..]}\"";
        if (isTag && match is not "*" && !match.Contains(tag, StringComparison.Ordinal))
        {
            throw new SyncException(412, "precondition_failed", "The attachment has another tag than those in If-Match.");
        }
        response.Headers.ETag = tag;
        response.Headers.AcceptRanges = one.IsGzip ? "none" : "bytes";
        var sendsGzip = one.IsGzip && AcceptsGzip(http.Request);
        if (sendsGzip == one.IsGzip)
        {
            response.Headers["Content-MD5"] = one.Digest["md5-".Length..];
        }
        if (one.IsGzip)
        {
            response.Headers.Vary = "Authorization, Accept-Encoding";
        }
        // What a user stored is not to run as a page of this host.
        response.Headers["X-Content-Type-Options"] = "nosniff";
        response.Headers.ContentSecurityPolicy = "sandbox";
        if (http.Request.Headers.IfNoneMatch.Any(sent => sent is not null && (sent == "*" || sent.Contains(tag, StringComparison.Ordinal))))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }
        response.ContentType = one.ContentType;
        response.Headers.ContentEncoding = sendsGzip ? Attachment.Gzip : default(string);
        var (from, length) = (0L, sendsGzip ? one.StoredLength : one.Length);
        // Of HEAD a range is nothing (RFC 9110, section 14.2).
        if (!one.IsGzip && HttpMethods.IsGet(http.Request.Method) && RangeHeaderValue.TryParse(http.Request.Headers.Range.ToString(), out var asked) && asked is { Unit: "bytes", Ranges.Count: 1 })
        {
            var range = asked.Ranges.First();
            var start = range.From ?? Math.Max(0, one.Length - range.To!.Value);
            var end = range.From is null ? one.Length - 1 : Math.Min(range.To ?? long.MaxValue, one.Length - 1);
            if (start > end || start >= one.Length)
            {
                response.Headers.ContentRange = $"bytes */{one.Length}";
                throw new SyncException(416, "requested_range_not_satisfiable", "Requested range not satisfiable");
            }
            (from, length) = (start, end - start + 1);
            response.StatusCode = StatusCodes.Status206PartialContent;
            response.Headers.ContentRange = $"bytes {start}-{end}/{one.Length}";
        }
        response.ContentLength = length;
        if (HttpMethods.IsHead(http.Request.Method))
        {
            return;
        }
        http.Features.Get<IHttpRequestTimeoutFeature>()?.DisableTimeout();
        await foreach (var piece in sendsGzip == one.IsGzip ? blobs.ReadAsync(one.Blob, from, length, call.Aborted) : blobs.ContentAsync(one, call.Aborted))
        {
            await response.Body.WriteAsync(piece, call.Aborted);
        }
    }

    /// <summary>By name or by <c>*</c>, and not with a quality of 0 (RFC 9110, section 12.5.3). Who does not say gets it unpacked, as of CouchDB.</summary>
    private static bool AcceptsGzip(HttpRequest request)
    {
        var accepted = request.GetTypedHeaders().AcceptEncoding;
        var gzip = accepted.FirstOrDefault(one => one.Value.Equals(Attachment.Gzip, StringComparison.OrdinalIgnoreCase)) ?? accepted.FirstOrDefault(one => one.Value == "*");
        return gzip is not null && gzip.Quality is not 0;
    }

    public static async Task PutAsync(HttpContext http, DatabaseStore databases, DocumentStore documents, DocumentWrites writes, BlobStore blobs)
    {
        var call = SyncCall.ToWrite(http);
        var (id, name) = (call.Document().Id, call.Attachment());
        Check(id, name);
        var type = NewAttachment.CheckType(http.Request.ContentType is { Length: > 0 } sent ? sent : "application/octet-stream");
        var isGzip = Attachment.IsGzipCoding(http.Request.Headers.ContentEncoding.ToString());
        var most = call.Options.AttachmentBytes;
        if (http.Request.ContentLength > most)
        {
            throw SyncException.TooLarge($"The attachment has more than {most} bytes.");
        }
        RequestBodies.AllowLarge(http, most + 1);
        http.Features.Get<IHttpRequestTimeoutFeature>()?.DisableTimeout();
        var database = await databases.FindAsync(call);
        if (database.BodyBytes + database.AttachmentBytes + (http.Request.ContentLength ?? 0) > call.Options.MostBytes)
        {
            throw SyncException.Full(call.Options);
        }
        var rev = DocumentEndpoints.RevOf(call, null);
        // Before the content is taken in: most mistakes are known now.
        var before = await OpenAsync(call, database, documents, id, rev);
        var blob = await blobs.SaveAsync(database.Id, http.Request.Body, isGzip, call.Aborted);
        var content = new NewAttachment(name, type, null, false, null, null, null) { Blob = blob };
        await WriteAsync(call, writes, id, name, rev, before, [.. Others(before, name), content], 201);
    }

    public static async Task DeleteAsync(HttpContext http, DatabaseStore databases, DocumentStore documents, DocumentWrites writes)
    {
        var call = SyncCall.ToWrite(http);
        var (id, name) = (call.Document().Id, call.Attachment());
        Check(id, name);
        var database = await databases.FindAsync(call);
        var rev = DocumentEndpoints.RevOf(call, null);
        if (await documents.FindAsync(database.Id, id, call.Aborted) is null)
        {
            throw SyncException.Missing();
        }
        var before = await OpenAsync(call, database, documents, id, rev) ?? throw SyncException.Missing();
        if (!before.Attachments.Exists(attachment => attachment.Name == name))
        {
            throw new SyncException(404, "not_found", "Document is missing attachment");
        }
        await WriteAsync(call, writes, id, name, rev, before, Others(before, name), 200);
    }

    private static async Task<StoredBody?> OpenAsync(SyncCall call, DatabaseRow database, DocumentStore documents, string id, Rev? rev)
    {
        var document = await documents.FindAsync(database.Id, id, call.Aborted);
        if (document is null || (document.Deleted && rev is null))
        {
            return rev is null ? null : throw SyncException.Conflict();
        }
        return rev is { } given && document.Tree.IsLeaf(given)
            ? await documents.BodyAsync(database.Id, document, given.ToString(), call.Aborted)
            : throw SyncException.Conflict();
    }

    private static List<NewAttachment> Others(StoredBody? before, string name) =>
        [.. (before?.Attachments ?? []).Where(attachment => attachment.Name != name).Select(one => new NewAttachment(one.Name, one.ContentType, null, false, one.Length, one.Digest, one.RevPos))];

    private static async Task WriteAsync(SyncCall call, DocumentWrites writes, string id, string name, Rev? rev, StoredBody? before, List<NewAttachment> attachments, int status)
    {
        var document = NewDocument.Of(before?.Body);
        document.Rev = rev;
        document.Attachments = attachments;
        var edit = new Edit(id, document, IsReplicated: false);
        await writes.WriteOneAsync(call, edit);
        await DocumentEndpoints.WrittenAsync(call, $"{Uri.EscapeDataString(id)}/{Uri.EscapeDataString(name)}", id, edit.Written!.Value, status);
    }

    private static void Check(string id, string name)
    {
        NewDocument.CheckId(id);
        LocalDocuments.RefuseAttachments(id);
        if (name.Length is 0 || name[0] is '_')
        {
            throw SyncException.Bad($"Attachment name '{name}' starts with prohibited character '_'");
        }
    }
}
