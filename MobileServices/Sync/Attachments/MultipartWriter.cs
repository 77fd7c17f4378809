using System.Text;
using MobileServices.Sync.Documents;

namespace MobileServices.Sync.Attachments;

/// <summary>Answers in parts (RFC 2046): documents, and the content of their attachments in the order in which the document names them.</summary>
internal sealed class MultipartWriter
{
    private readonly SyncCall _call;
    private readonly string _boundary = Guid.NewGuid().ToString("n");
    private readonly JsonOut _out;

    private MultipartWriter(SyncCall call, string kind)
    {
        _call = call;
        _out = new(call.Http.Response);
        call.Http.Response.ContentType = $"multipart/{kind}; boundary=\"{_boundary}\"";
    }

    public static MultipartWriter Mixed(SyncCall call) => new(call, "mixed");

    /// <summary>For <c>_bulk_get</c>: of the kind that the client accepts.</summary>
    public static MultipartWriter Accepted(SyncCall call) =>
        new(call, call.Http.Request.Headers.Accept.ToString().Contains("multipart/mixed", StringComparison.OrdinalIgnoreCase) ? "mixed" : "related");

    /// <summary>One revision with its attachments.</summary>
    public static async Task RelatedAsync(
        SyncCall call, StoredDocument document, StoredBody body, DocumentParts parts, List<Attachment> sends, DocumentJson json, BlobStore blobs)
    {
        var writer = new MultipartWriter(call, "related");
        await writer.PartsAsync(writer._boundary, document, body, parts, sends, json, blobs);
        await writer.EndAsync();
    }

    /// <summary>Several revisions of a document, with what of them is missing.</summary>
    public static async Task MixedAsync(
        SyncCall call, StoredDocument document, IAsyncEnumerable<(string Rev, StoredBody? Body)> found, DocumentParts parts, DocumentJson json, BlobStore blobs)
    {
        var writer = Mixed(call);
        await foreach (var (rev, body) in found)
        {
            if (body is null)
            {
                writer.Begin(writer._boundary, "application/json; error=\"true\"");
                writer._out.Raw("{\"missing\":"u8);
                writer._out.Text(rev);
                writer._out.Raw("}"u8);
                continue;
            }
            await writer.DocumentAsync(document, body, parts, json, blobs);
        }
        await writer.EndAsync();
    }

    /// <summary>One result of <c>_bulk_get</c>.</summary>
    public async Task ResultAsync(BulkGet.Result result, DocumentParts parts, DocumentJson json, BlobStore blobs)
    {
        if (result is { Body: { } body, Document: { } document })
        {
            await DocumentAsync(document, body, result.PartsOf(parts), json, blobs, isNamed: true);
            return;
        }
        Begin(_boundary, "application/json; error=\"true\"");
        result.WriteFailure(_out);
        await _out.SendSomeAsync(_call.Aborted);
    }

    public async Task EndAsync()
    {
        _out.Raw($"\r\n--{_boundary}--");
        await _out.SendAsync(_call.Aborted);
    }

    /// <param name="isNamed">Of a document in parts of its own the header says which it is, as of CouchDB.</param>
    private async Task DocumentAsync(StoredDocument document, StoredBody body, DocumentParts parts, DocumentJson json, BlobStore blobs, bool isNamed = false)
    {
        var sends = parts.Sends(document, body);
        if (sends.Count is 0)
        {
            Begin(_boundary, "application/json");
            await json.WriteAsync(_out, document, body, parts, _call.Aborted);
        }
        else
        {
            var inner = Guid.NewGuid().ToString("n");
            // No header can hold a line break; the id stands in the document too.
            var named = !isNamed ? "" : document.Id.Any(char.IsControl) ? $"X-Rev-Id: {body.Rev}\r\n" : $"X-Doc-Id: {document.Id}\r\nX-Rev-Id: {body.Rev}\r\n";
            Begin(_boundary, $"multipart/related; boundary=\"{inner}\"", named);
            await PartsAsync(inner, document, body, parts, sends, json, blobs);
            _out.Raw($"\r\n--{inner}--");
        }
        await _out.SendSomeAsync(_call.Aborted);
    }

    private async Task PartsAsync(
        string boundary, StoredDocument document, StoredBody body, DocumentParts parts, List<Attachment> sends, DocumentJson json, BlobStore blobs)
    {
        Begin(boundary, "application/json");
        await json.WriteAsync(_out, document, body, parts, _call.Aborted);
        foreach (var one in sends)
        {
            var name = new StringBuilder();
            foreach (var character in one.Name)
            {
                name.Append(character is '"' or '\\' ? "\\" : "").Append(char.IsControl(character) ? ' ' : character);
            }
            Begin(boundary, one.ContentType, $"Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Length: {one.StoredLength}\r\n{(one.IsGzip ? "Content-Encoding: gzip\r\n" : "")}");
            await foreach (var piece in blobs.ReadAsync(one.Blob, 0, one.StoredLength, _call.Aborted))
            {
                _out.Raw(piece.Span);
                await _out.SendSomeAsync(_call.Aborted);
            }
        }
    }

    private void Begin(string boundary, string type, string more = "") => _out.Raw($"\r\n--{boundary}\r\n{more}Content-Type: {type}\r\n\r\n");
}
