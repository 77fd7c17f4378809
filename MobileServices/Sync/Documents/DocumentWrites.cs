using MobileServices.Sync.Attachments;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Indexes;
using MobileServices.Sync.Scripts;

namespace MobileServices.Sync.Documents;

/// <summary>Writes what clients send: first the content of attachments, then the documents that name it.</summary>
internal sealed class DocumentWrites(DatabaseStore databases, DocumentWriter writer, BlobStore blobs, DesignIndexes indexes)
{
    public async Task WriteAsync(SyncCall call, IReadOnlyList<Edit> edits)
    {
        var user = DesignFunctions.UserContext(call);
        foreach (var edit in edits)
        {
            edit.UserContext = user;
            edit.From = (call.Device, call.DeviceApp);
            edit.Failure = call.IsAdmin || !edit.Id.StartsWith("_design/", StringComparison.Ordinal) ? null
                : new(403, "forbidden", "You are not a db or server admin: design documents of a shared database are written by Sync:Shared:{name}:Admins.");
        }
        if (edits.Any(edit => edit.Failure is null && edit.Document.Attachments is { Count: > 0 }))
        {
            var database = await databases.FindAsync(call);
            foreach (var edit in edits.Where(edit => edit.Failure is null))
            {
                try
                {
                    await SaveAsync(call, database, edit);
                }
                catch (SyncException failure) when (edits.Count > 1)
                {
                    edit.Failure = failure;
                }
            }
        }
        var good = edits.Any(edit => edit.Failure is not null) ? [.. edits.Where(edit => edit.Failure is null)] : edits;
        try
        {
            await writer.WriteAsync(call.Database, good);
        }
        catch (SyncException failure) when (call.IsShared && failure.Status is 404)
        {
            await databases.CreateSharedAsync(call.Database, call.Aborted);
            await writer.WriteAsync(call.Database, good);
        }
        if (good.Any(edit => edit.Written is not null && edit.Id.StartsWith("_design/", StringComparison.Ordinal)))
        {
            await indexes.TidyAsync(call.Database, databases, call.Aborted);
        }
    }

    /// <exception cref="SyncException">It was not written.</exception>
    public async Task WriteOneAsync(SyncCall call, Edit edit)
    {
        await WriteAsync(call, [edit]);
        if (edit.Failure is { } failure)
        {
            // A stack trace of its own: the exception is of another thread.
            throw new SyncException(failure.Status, failure.Error, failure.Message);
        }
    }

    private async Task SaveAsync(SyncCall call, DatabaseRow database, Edit edit)
    {
        foreach (var attachment in edit.Document.Attachments ?? [])
        {
            if (attachment.Data is { } data && attachment.Blob is null)
            {
                if (database.BodyBytes + database.AttachmentBytes + data.Length > call.Options.MostBytes)
                {
                    throw SyncException.Full(call.Options);
                }
                using var content = new MemoryStream(data, writable: false);
                attachment.Blob = await blobs.SaveAsync(database.Id, content, isGzip: false, call.Aborted);
            }
        }
    }
}
