using Microsoft.Net.Http.Headers;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;

namespace MobileServices.Sync.Attachments;

/// <summary>A document with its attachments in parts (<c>multipart/related</c>): those of the document that say <c>follows</c>, in its order.</summary>
internal static class MultipartReader
{
    public static async Task<NewDocument> ReadAsync(SyncCall call, DatabaseRow database, RequestBodies bodies, BlobStore blobs)
    {
        var request = call.Http.Request;
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || HeaderUtilities.RemoveQuotes(type.Boundary).Value is not { Length: > 0 and <= 200 } boundary)
        {
            throw SyncException.Bad("The content type multipart/related needs a boundary.");
        }
        RequestBodies.AllowLarge(call.Http, long.MaxValue);
        var reader = new Microsoft.AspNetCore.WebUtilities.MultipartReader(boundary, request.Body);
        try
        {
            var first = await reader.ReadNextSectionAsync(call.Aborted) ?? throw SyncException.Bad("The body has no part.");
            NewDocument document;
            using (var body = bodies.Parse(await bodies.ReadBytesAsync(call, first.Body, null)))
            {
                document = NewDocument.Read(body.Object, call.Options);
            }
            // The part of the document counts what a JSON body may have; the others are counted as attachments.
            RequestBodies.AllowLarge(call.Http, long.MaxValue);
            long taken = 0;
            foreach (var attachment in document.Attachments?.Where(one => one.Follows) ?? [])
            {
                var part = await reader.ReadNextSectionAsync(call.Aborted) ?? throw SyncException.Bad($"The part of the attachment {attachment.Name} does not follow.");
                if (database.BodyBytes + database.AttachmentBytes + taken + (attachment.Length ?? 0) > call.Options.MostBytes)
                {
                    throw SyncException.Full(call.Options);
                }
                var blob = await blobs.SaveAsync(database.Id, part.Body, attachment.IsGzip, call.Aborted);
                var length = blob.EncodedLength ?? blob.Length;
                if (attachment.Length is { } told && told != length)
                {
                    throw SyncException.Bad($"The attachment {attachment.Name} has {length} bytes, not {told}.");
                }
                if (attachment.Digest?.StartsWith("md5-", StringComparison.Ordinal) is true && attachment.Digest != blob.Digest)
                {
                    throw new SyncException(400, "content_md5_mismatch", "Possible message corruption.");
                }
                attachment.Blob = blob;
                taken += length;
            }
            return document;
        }
        catch (Exception exception) when (exception is IOException and not BadHttpRequestException or InvalidDataException)
        {
            throw SyncException.Bad("The parts of the body cannot be read.");
        }
    }
}
