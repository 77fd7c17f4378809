using MobileServices.Sync.Attachments;
using MobileServices.Sync.Revisions;

namespace MobileServices.Sync.Documents;

/// <summary>What a client wants to be told with a document.</summary>
internal sealed record DocumentParts(
    bool Revisions = false, bool Conflicts = false, bool DeletedConflicts = false, bool LocalSeq = false, bool Attachments = false, List<string>? AttachmentsSince = null)
{
    public HashSet<string>? Available { get; init; }

    /// <summary>How attachments are kept is told with them (<c>att_encoding_info</c>).</summary>
    public bool EncodingInfo { get; init; }

    /// <summary>Their content comes behind the document, in parts of their own.</summary>
    public bool Follows { get; init; }

    /// <summary>It tells more than the revision itself, which other revisions change.</summary>
    public bool HasMeta => Conflicts || DeletedConflicts || LocalSeq || Available is not null;

    /// <summary>The attachments whose content goes with the revision; the others are stubs.</summary>
    public List<Attachment> Sends(StoredDocument document, StoredBody body)
    {
        if (AttachmentsSince is null || body.AttachmentText is null)
        {
            return Attachments ? body.Attachments : [];
        }
        // Who has another branch alone does not have what came on this one.
        var known = document.Tree.PathOf(NewDocument.ParseRev(body.Rev)).Find(rev => AttachmentsSince.Contains(rev.ToString())).Generation;
        return body.Attachments.FindAll(attachment => attachment.RevPos > known);
    }
}

/// <summary>Documents as clients read them.</summary>
internal sealed class DocumentJson(BlobStore blobs)
{
    public async Task WriteAsync(JsonOut json, StoredDocument document, StoredBody body, DocumentParts parts, CancellationToken ct)
    {
        WriteMembers(json, document, body, parts);
        if (body.AttachmentText is not null)
        {
            await WriteAttachmentsAsync(json, document, body, parts, ct);
        }
        json.Raw("}"u8);
    }

    /// <summary>All but the attachments and the end.</summary>
    public static void WriteMembers(JsonOut json, StoredDocument document, StoredBody body, DocumentParts parts)
    {
        json.Raw("{\"_id\":"u8);
        json.Text(document.Id);
        json.Raw(",\"_rev\":\""u8);
        json.Raw(body.Rev);
        json.Raw(body.Deleted ? "\",\"_deleted\":true"u8 : "\""u8);
        if (body.Body.Length > 2)
        {
            json.Raw(","u8);
            json.Raw(body.Body.AsSpan(1, body.Body.Length - 2));
        }
        if (parts.LocalSeq)
        {
            json.Raw(",\"_local_seq\":"u8);
            json.Number(document.Seq);
        }
        if (parts.Revisions && Rev.TryParse(body.Rev, out var rev))
        {
            WriteRevisions(json, document.Tree.PathOf(rev));
        }
        if (parts.Available is { } available && Rev.TryParse(body.Rev, out var newest))
        {
            WriteInfo(json, document, newest, available);
        }
        if (parts.Conflicts)
        {
            WriteList(json, "_conflicts", document.Losers().Where(loser => !loser.Deleted).Select(loser => loser.Rev));
        }
        if (parts.DeletedConflicts)
        {
            WriteList(json, "_deleted_conflicts", document.Losers().Where(loser => loser.Deleted).Select(loser => loser.Rev));
        }
    }

    private async Task WriteAttachmentsAsync(JsonOut json, StoredDocument document, StoredBody body, DocumentParts parts, CancellationToken ct)
    {
        json.Raw(",\"_attachments\":{"u8);
        var sent = parts.Sends(document, body);
        var isFirst = true;
        foreach (var one in body.Attachments)
        {
            json.Raw(isFirst ? ""u8 : ","u8);
            isFirst = false;
            json.Text(one.Name);
            json.Raw(":{\"content_type\":"u8);
            json.Text(one.ContentType);
            json.Raw(",\"revpos\":"u8);
            json.Number(one.RevPos);
            json.Raw(",\"digest\":"u8);
            json.Text(one.Digest);
            var sends = sent.Contains(one);
            if (sends && !parts.Follows)
            {
                json.Raw(",\"data\":\""u8);
                await foreach (var piece in blobs.ContentAsync(one, ct))
                {
                    json.Base64(piece.Span);
                    await json.SendSomeAsync(ct);
                }
                json.Raw("\""u8);
            }
            else
            {
                json.Raw(",\"length\":"u8);
                json.Number(one.Length);
                json.Raw(sends ? ",\"follows\":true"u8 : ",\"stub\":true"u8);
            }
            if (one.EncodedLength is { } encoded && (parts.EncodingInfo || parts.Follows))
            {
                json.Raw(",\"encoding\":\"gzip\",\"encoded_length\":"u8);
                json.Number(encoded);
            }
            json.Raw("}"u8);
        }
        json.Raw("}"u8);
    }

    private static void WriteRevisions(JsonOut json, List<Rev> path)
    {
        json.Raw(",\"_revisions\":{\"start\":"u8);
        json.Number(path[0].Generation);
        json.Raw(",\"ids\":["u8);
        for (var i = 0; i < path.Count; i++)
        {
            json.Raw(i is 0 ? "\""u8 : ",\""u8);
            json.Raw(path[i].Hash);
            json.Raw("\""u8);
        }
        json.Raw("]}"u8);
    }

    private static void WriteInfo(JsonOut json, StoredDocument document, Rev newest, HashSet<string> available)
    {
        json.Raw(",\"_revs_info\":["u8);
        var isFirst = true;
        foreach (var rev in document.Tree.PathOf(newest))
        {
            var name = rev.ToString();
            json.Raw(isFirst ? "{\"rev\":\""u8 : ",{\"rev\":\""u8);
            isFirst = false;
            json.Raw(name);
            var there = name == document.Rev || available.Contains(name);
            json.Raw(!there ? "\",\"status\":\"missing\"}"u8 : document.Tree.IsDeleted(rev) ? "\",\"status\":\"deleted\"}"u8 : "\",\"status\":\"available\"}"u8);
        }
        json.Raw("]"u8);
    }

    private static void WriteList(JsonOut json, string name, IEnumerable<string> revs)
    {
        var isFirst = true;
        foreach (var rev in revs)
        {
            if (isFirst)
            {
                json.Raw($",\"{name}\":[\"");
            }
            json.Raw(isFirst ? ""u8 : ",\""u8);
            isFirst = false;
            json.Raw(rev);
            json.Raw("\""u8);
        }
        json.Raw(isFirst ? ""u8 : "]"u8);
    }
}
