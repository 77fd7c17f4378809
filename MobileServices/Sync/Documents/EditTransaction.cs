using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Bound;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Merging;
using MobileServices.Sync.Revisions;
using MobileServices.Sync.Scripts;
using Npgsql;

namespace MobileServices.Sync.Documents;

/// <summary>
/// Writes documents in one transaction. It holds the lock of the database's row from before it reads a tree until its commit: whoever sees a sequence
/// sees all that are lower.
/// </summary>
internal sealed class EditTransaction([FromKeyedServices(SyncSetup.Prepared)] NpgsqlDataSource source, BoundOutbox outbox, IOptions<SyncOptions> options)
{
    /// <summary>How many times as many leaves may be with those that are deleted: each conflict that is resolved leaves one for good.</summary>
    private const int DeletedLeaves = 10;

    // The plans of both are kept, and may be as old as the empty table. Each leaves no choice but the key: a plan that reads a database's documents one by one
    // looks as good while there are few, and stays.
    internal const string ToReadDocuments = """
        select d.doc_id, d.rev, d.deleted, d.tree, d.attachments from sync.database s cross join unnest($4) as asked (id)
        cross join lateral (select * from sync.document where db_id = s.id and doc_id = asked.id limit 1) d
        where s.app = $1 and s.owner = $2 and s.name = $3
        """;
    internal const string ToReadRules = """
        select d.doc_id, d.body from sync.database s
        cross join lateral (select * from sync.document where db_id = s.id and doc_id >= '_design/' and doc_id < '_design0' order by doc_id offset 0) d
        where s.app = $1 and s.owner = $2 and s.name = $3 and not d.deleted and position('validate_doc_update' in d.body) > 0
        """;

    /// <returns>The database when documents of it changed.</returns>
    /// <exception cref="SyncException">The database is not there.</exception>
    public async Task<long?> RunAsync(DatabaseKey key, List<Edit> edits, CancellationToken ct)
    {
        // Its begin and commit go with other statements, in two round trips for all. What is not committed when the connection is given back is rolled back.
        await using var connection = await source.OpenConnectionAsync(ct);
        var documents = new Dictionary<string, OpenDocument>(StringComparer.Ordinal);
        foreach (var edit in edits)
        {
            documents.TryAdd(edit.Id, new(edit.Id));
            (edit.Written, edit.Failure) = (null, null);
        }
        var (database, validation) = await OpenAsync(connection, key, documents, ct) ?? throw SyncException.NoDatabase();
        foreach (var edit in edits)
        {
            try
            {
                await ApplyAsync(connection, database, validation, documents[edit.Id], edit, ct);
            }
            catch (SyncException failure)
            {
                edit.Failure = failure;
            }
        }
        await Merger.MergeAsync(connection, database, documents.Values.Where(document => document.IsChanged), options.Value, ct);
        var changed = documents.Values.Where(document => document.IsChanged).ToList();
        if (changed.Count is 0)
        {
            if (edits.Exists(edit => edit.Decide is not null))
            {
                await CommitAsync(connection, ct);
            }
            return null;
        }
        var more = outbox.Takes(key);
        await new DocumentChanges(database, changed, Wakes(key) ? Waking.Of(edits) : null).SaveAsync(connection, commits: !more, ct);
        if (more)
        {
            await outbox.AddAsync(connection, database.Id, edits, ct);
            await CommitAsync(connection, ct);
        }
        return database.Id;
    }

    private static async Task CommitAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("commit", connection);
        await command.ExecuteNonQueryAsync(ct);
    }

    private bool Wakes(DatabaseKey key) => options.Value.WakeUp && (key.Owner.Length > 0 || options.Value.Shared.GetValueOrDefault(key.Name) is { WakeUp: true });

    private async Task<(DatabaseRow Database, Validation Validation)?> OpenAsync(NpgsqlConnection connection, DatabaseKey key, Dictionary<string, OpenDocument> documents, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new("begin isolation level read committed"));
        batch.BatchCommands.Add(DatabaseStore.ToFind(key, "for no key update"));
        // A statement of its own, that sees what was committed while the lock was waited for.
        batch.BatchCommands.Add(new(ToReadDocuments)
        { Parameters = { new() { Value = key.App }, new() { Value = key.Owner }, new() { Value = key.Name }, new() { Value = documents.Keys.ToArray() } } });
        batch.BatchCommands.Add(new(ToReadRules)
        { Parameters = { new() { Value = key.App }, new() { Value = key.Owner }, new() { Value = key.Name } } });
        await using var reader = await batch.ExecuteReaderAsync(ct);
        if (await DatabaseStore.ReadAsync(reader, ct) is not { } row)
        {
            return null;
        }
        await reader.NextResultAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            var document = documents[reader.GetString(0)];
            document.StoredRev = reader.GetString(1);
            document.StoredDeleted = reader.GetBoolean(2);
            var tree = reader.GetFieldValue<byte[]>(3);
            (document.Tree, document.StoredTreeBytes) = (RevisionTree.Read(tree), tree.Length);
            document.StoredAttachments = reader.IsDBNull(4) ? null : reader.GetString(4);
        }
        await reader.NextResultAsync(ct);
        var validation = new Validation(row.Id, DesignFunctions.Security(options.Value, key, row.Security), options.Value);
        while (await reader.ReadAsync(ct))
        {
            validation.Add(reader.GetString(0), reader.GetFieldValue<byte[]>(1));
        }
        return (row, validation);
    }

    private async Task ApplyAsync(
        NpgsqlConnection connection, DatabaseRow database, Validation validation, OpenDocument document, Edit edit, CancellationToken ct)
    {
        if (edit.Decide is { } decide)
        {
            edit.Written = (await decide(connection, database, document, ct))?.Apply(document);
            return;
        }
        var sent = edit.Document;
        if (edit.IsReplicated)
        {
            await TakeInAsync(connection, database, validation, document, edit, ct);
            return;
        }
        CheckRoom(database, sent);
        var leaves = document.Tree.Leaves();
        if (edit.MustExist && (leaves.Count is 0 || leaves[0].Deleted))
        {
            throw leaves.Count is 0 ? SyncException.Missing() : SyncException.Deleted();
        }
        Rev? parent = sent.Rev;
        if (parent is { } given)
        {
            var leaf = leaves.FindIndex(one => one.Rev == given);
            if (leaf < 0)
            {
                throw SyncException.Conflict();
            }
            if (leaves[leaf].Deleted && sent.Deleted)
            {
                throw SyncException.Conflict();
            }
        }
        else if (leaves.Count > 0)
        {
            if (!leaves[0].Deleted)
            {
                throw SyncException.Conflict();
            }
            parent = leaves[0].Rev;
        }
        var generation = GenerationAfter(parent);
        var attachments = await AttachAsync(connection, database.Id, document, sent, parent is { } one ? [one] : [], generation, ct);
        var rev = NewRev(generation, parent, sent, attachments);
        if (document.Tree.Contains(rev))
        {
            throw SyncException.Conflict();
        }
        await validation.CheckAsync(connection, document, edit, parent is { } last ? [last] : [], parent, attachments, ct);
        document.Tree.Add(rev, parent, sent.Deleted);
        document.Fresh[rev] = new(sent.Deleted, sent.Body, attachments);
        edit.Written = rev;
    }

    private async Task TakeInAsync(
        NpgsqlConnection connection, DatabaseRow database, Validation validation, OpenDocument document, Edit edit, CancellationToken ct)
    {
        var sent = edit.Document;
        var path = sent.Path ?? (sent.Rev is { } rev ? [rev] : throw SyncException.Bad("Document must have a _rev or _revisions with new_edits=false."));
        if (sent.Rev is { } named && named != path[0])
        {
            throw new SyncException(400, "doc_validation", "_rev is not the first of _revisions.");
        }
        if (document.Tree.Contains(path[0]))
        {
            return;
        }
        CheckRoom(database, sent);
        // What is further back would be forgotten after it, unless it leads to what is known.
        var kept = path.Count > database.RevsLimit ? path[..Math.Max(database.RevsLimit, path.FindIndex(document.Tree.Contains) + 1)] : path;
        if (IsFull(database) && !path.Exists(document.Tree.Contains))
        {
            // A deletion, which is taken for what it closes: here nothing.
            kept = path[..1];
        }
        CheckLeaves(document.Tree, kept, sent.Deleted);
        var attachments = await AttachAsync(connection, database.Id, document, sent, path.Skip(1), path[0].Generation, ct);
        await validation.CheckAsync(connection, document, edit, path.Skip(1), path[0], attachments, ct);
        document.Tree.Merge(kept, sent.Deleted);
        document.Fresh[path[0]] = new(sent.Deleted, sent.Body, attachments);
        edit.Written = path[0];
    }

    /// <summary>Deletions are taken all the same, but none that takes room itself when there is none.</summary>
    private void CheckRoom(DatabaseRow database, NewDocument sent)
    {
        if (IsFull(database) ? !sent.IsBareTombstone : !sent.Deleted && database.DocCount >= options.Value.MostDocuments)
        {
            throw SyncException.TooLarge($"The database is full: it may hold {options.Value.MostDocuments} documents and {options.Value.MostBytes} bytes. Delete some, or lower _revs_limit, and compact it.");
        }
    }

    private bool IsFull(DatabaseRow database) => database.BodyBytes + database.AttachmentBytes >= options.Value.MostBytes;

    /// <summary>
    /// What goes on from a leaf is always taken, a deletion too. At any other word than <c>forbidden</c> PouchDB would try the document again for ever, and
    /// nothing after it would be replicated.
    /// </summary>
    private void CheckLeaves(RevisionTree tree, List<Rev> path, bool deleted)
    {
        var leaves = tree.Leaves();
        if (leaves.Count is 0 || tree.LeavesWith(path) <= leaves.Count)
        {
            return;
        }
        var living = leaves.FindIndex(leaf => leaf.Deleted) is >= 0 and var first ? first : leaves.Count;
        if (leaves.Count >= options.Value.MostLeaves * DeletedLeaves || (!deleted && living >= options.Value.MostLeaves))
        {
            throw new SyncException(403, "forbidden",
                $"The document has {living} leaves and {leaves.Count - living} that are deleted, which is as many as it may (Sync:MostLeaves, and {DeletedLeaves} times as many with deleted ones). Edit one of them, or purge some.");
        }
    }

    /// <exception cref="SyncException">There is none that could be read again.</exception>
    internal static int GenerationAfter(Rev? parent) => parent is not { } rev ? 1
        : rev.Generation < Rev.MostGenerations ? rev.Generation + 1
        : throw SyncException.Bad($"A revision has at most {Rev.MostGenerations} generations, so this one cannot be edited.");

    /// <summary>The attachments of the new revision as the table has them: stubs are looked up in its ancestors, the nearest first.</summary>
    private static async Task<string?> AttachAsync(
        NpgsqlConnection connection, long databaseId, OpenDocument document, NewDocument sent, IEnumerable<Rev> ancestors, int generation, CancellationToken ct)
    {
        if (sent.Attachments is not { Count: > 0 } attachments)
        {
            return null;
        }
        List<Attachment>? before = null;
        var all = new List<Attachment>(attachments.Count);
        foreach (var one in attachments)
        {
            if (one.Blob is { } blob)
            {
                all.Add(new(one.Name, one.ContentType ?? "application/octet-stream", Math.Min(one.RevPos ?? generation, generation), blob.Digest, blob.Length, blob.Id, blob.EncodedLength));
                continue;
            }
            before ??= await AttachmentsOfAsync(connection, databaseId, document, ancestors, ct);
            var known = before.Find(attachment => attachment.Name == one.Name && (one.Digest is null || one.Digest == attachment.Digest))
                ?? throw new SyncException(412, "missing_stub", $"Invalid attachment stub in {document.Id} for {one.Name}");
            all.Add(known);
        }
        return Attachment.Write(all);
    }

    private static async Task<List<Attachment>> AttachmentsOfAsync(
        NpgsqlConnection connection, long databaseId, OpenDocument document, IEnumerable<Rev> ancestors, CancellationToken ct)
    {
        var known = new Dictionary<string, string?>(StringComparer.Ordinal);
        var path = new List<string>();
        foreach (var rev in ancestors)
        {
            path.Add(rev.ToString());
            if (document.Fresh.TryGetValue(rev, out var fresh))
            {
                known[path[^1]] = fresh.Attachments;
            }
        }
        if (document.StoredRev is { } winner)
        {
            known[winner] = document.StoredAttachments;
        }
        var others = path.Where(rev => !known.ContainsKey(rev)).ToArray();
        if (document.StoredRev is not null && others.Length > 0)
        {
            await using var command = new NpgsqlCommand("select rev, attachments from sync.body where db_id = $1 and doc_id = $2 and rev = any ($3) and attachments is not null", connection);
            command.Parameters.Add(new() { Value = databaseId });
            command.Parameters.Add(new() { Value = document.Id });
            command.Parameters.Add(new() { Value = others });
            await using var reader = await command.ExecuteReaderAsync(ct);
            while (await reader.ReadAsync(ct))
            {
                known[reader.GetString(0)] = reader.GetString(1);
            }
        }
        return [.. path.SelectMany(rev => Attachment.Read(known.GetValueOrDefault(rev)))];
    }

    /// <summary>The same edit of the same revision has the same name, wherever it is made.</summary>
    internal static Rev NewRev(int generation, Rev? parent, NewDocument sent, string? attachments)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        hash.AppendData(sent.Deleted ? "1"u8 : "0"u8);
        hash.AppendData(Encoding.UTF8.GetBytes(parent?.ToString() ?? ""));
        foreach (var one in Attachment.Read(attachments))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{one.Name}\0{one.ContentType}\0{one.Digest}\0{(one.IsGzip ? "gzip\0" : "")}"));
        }
        hash.AppendData(sent.Body);
        Span<byte> md5 = stackalloc byte[16];
        hash.GetHashAndReset(md5);
        return Rev.Of(generation, md5);
    }
}
