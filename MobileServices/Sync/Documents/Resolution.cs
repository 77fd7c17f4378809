using MobileServices.Sync.Revisions;

namespace MobileServices.Sync.Documents;

/// <summary>What the service makes of a document itself, as a client would: a revision on a leaf, and tombstones on the leaves that it settles.</summary>
/// <param name="Parent">A leaf, also a deleted one; null for a document that is not there.</param>
/// <param name="Body">Null to write no revision: then the winner stays, and only the others are closed.</param>
/// <param name="ClosesOthers">Every other living leaf is closed.</param>
internal sealed record Resolution(Rev? Parent, byte[]? Body, string? Attachments, bool ClosesOthers)
{
    /// <returns>The new revision; null when none was written.</returns>
    public Rev? Apply(OpenDocument document)
    {
        Rev? written = Body is null ? null : Add(document, Parent, NewDocument.Of(Body), Attachments);
        if (ClosesOthers)
        {
            var living = document.Tree.Leaves().FindAll(leaf => !leaf.Deleted);
            var kept = written ?? (living.Count > 0 ? living[0].Rev : default);
            foreach (var leaf in living.Where(leaf => leaf.Rev != kept))
            {
                Close(document, leaf.Rev, null);
            }
        }
        return written;
    }

    /// <summary>A tombstone on a leaf.</summary>
    /// <param name="note">Its body.</param>
    public static void Close(OpenDocument document, Rev leaf, byte[]? note)
    {
        var tombstone = NewDocument.Of(note);
        tombstone.Deleted = true;
        Add(document, leaf, tombstone, null);
    }

    private static Rev Add(OpenDocument document, Rev? parent, NewDocument content, string? attachments)
    {
        var generation = EditTransaction.GenerationAfter(parent);
        var rev = EditTransaction.NewRev(generation, parent, content, attachments);
        if (!document.Tree.Contains(rev))
        {
            document.Tree.Add(rev, parent, content.Deleted);
            document.Fresh[rev] = new(content.Deleted, content.Body, attachments);
        }
        return rev;
    }
}
