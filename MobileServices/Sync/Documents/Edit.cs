using MobileServices.Sync.Databases;
using MobileServices.Sync.Revisions;
using Npgsql;

namespace MobileServices.Sync.Documents;

/// <summary>A document to be written and what came of it.</summary>
/// <param name="IsReplicated">It comes with its revisions from another peer (<c>new_edits=false</c>): it is taken in as it is and can conflict with nothing.</param>
internal sealed record Edit(string Id, NewDocument Document, bool IsReplicated)
{
    /// <summary>A DELETE of what is not there is refused; a tombstone in <c>_bulk_docs</c> is written.</summary>
    public bool MustExist { get; init; }

    /// <summary>Who writes it, as functions of design documents are told.</summary>
    public string UserContext { get; set; } = "null";

    /// <summary>For what the service writes itself: what is to become of the document, found out under the lock of its database and in its transaction.</summary>
    public DecideAsync? Decide { get; init; }

    /// <summary>The installation that writes it and its app, where they are known.</summary>
    public (Guid? Device, string? App) From { get; set; }

    /// <summary>What was written; null when nothing was, for <see cref="Failure"/> or because it was known.</summary>
    public Rev? Written { get; set; }

    public SyncException? Failure { get; set; }
}

/// <returns>Null to leave it as it is.</returns>
internal delegate Task<Resolution?> DecideAsync(NpgsqlConnection connection, DatabaseRow database, OpenDocument document, CancellationToken ct);

/// <summary>Devices are to be woken up.</summary>
/// <param name="Device">The one that made all the changes, which is not; null when several did, or one that is not known.</param>
internal sealed record Waking(Guid? Device, string[] Apps)
{
    public static Waking Of(List<Edit> edits)
    {
        var written = edits.FindAll(edit => edit.Written is not null);
        var device = written.Count > 0 ? written[0].From.Device : null;
        return new(written.TrueForAll(edit => edit.From.Device == device) ? device : null, [.. written.Select(edit => edit.From.App).OfType<string>().Distinct()]);
    }
}

/// <summary>A document while a transaction works on it.</summary>
internal sealed class OpenDocument(string id)
{
    public string Id => id;

    public RevisionTree Tree { get; set; } = new();

    /// <summary>The winner in the table; null when the document is not there.</summary>
    public string? StoredRev { get; set; }

    public bool StoredDeleted { get; set; }

    public string? StoredAttachments { get; set; }

    /// <summary>How many bytes its tree has in the table.</summary>
    public int StoredTreeBytes { get; set; }

    public bool IsChanged => Fresh.Count > 0;

    /// <summary>The bodies that came in this transaction.</summary>
    public Dictionary<Rev, FreshBody> Fresh { get; } = [];
}

internal readonly record struct FreshBody(bool Deleted, byte[] Body, string? Attachments);
