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
            foreach (var attachment in document.Attachments?.Where(one => one.Follows) ?? [])
            {
                var part = await reader.ReadNextSectionAsync(call.Aborted) ?? throw SyncException.Bad($"The part of the attachment {attachment.Name} does not follow.");
                if (database.BodyBytes + database.AttachmentBytes + (attachment.Length ?? 0) > call.Options.MostBytes)
                {
                    throw SyncException.TooLarge($"The database is full: it may hold {call.Options.MostBytes} bytes. Delete some and compact it.");
                }
                attachment.Blob = await blobs.SaveAsync(database.Id, part.Body, call.Aborted);
                if (attachment.Length is { } told && told != attachment.Blob.Value.Length)
                {
                    throw SyncException.Bad($"The attachment {attachment.Name} has {attachment.Blob.Value.Length} bytes, not {told}.");
                }
            }
            return document;
        }
        catch (Exception exception) when (exception is IOException and not BadHttpRequestException or InvalidDataException)
        {
            throw SyncException.Bad("The parts of the body cannot be read.");
        }
    }
}
