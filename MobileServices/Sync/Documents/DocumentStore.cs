using System.Text.Json;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Revisions;
using MobileServices.Sync.Scripts;
using Npgsql;

namespace MobileServices.Sync.Documents;

/// <summary>A document as the table has it, with the body of the winning revision.</summary>
/// <param name="TreeBytes">Empty in the feed of changes, which tells nothing of the tree but its leaves.</param>
internal sealed record StoredDocument(string Id, long Seq, string Rev, bool Deleted, string? Others, byte[] TreeBytes, byte[] Body, string? Attachments)
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    private RevisionTree? _tree;

    public RevisionTree Tree => _tree ??= RevisionTree.Read(TreeBytes);

    public StoredBody Winner => new(Rev, Deleted, Body, Attachments);

    /// <summary>A revision besides the winner that it remembers: of what it has forgotten, bodies may be there until the database is compacted.</summary>
    public bool HasOther(string rev) => rev != Rev && Revisions.Rev.TryParse(rev, out var other) && Tree.Contains(other);

    /// <summary>The winner as selectors and filters see it, with stubs for its attachments.</summary>
    public JsonDocument ToJson(bool conflicts = false)
    {
        var json = new JsonOut();
        DocumentJson.WriteMembers(json, this, Winner, new(Conflicts: conflicts));
        DesignFunctions.WriteStubs(json, Attachments);
        json.Raw("}"u8);
        return JsonDocument.Parse(json.Written, Reading);
    }

    /// <summary>The leaves that do not win.</summary>
    public IEnumerable<(string Rev, bool Deleted)> Losers() => Read(Others);

    public static IEnumerable<(string Rev, bool Deleted)> Read(string? others) =>
        (others ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(rev => (rev.TrimEnd('!'), rev.EndsWith('!')));
}

/// <summary>A revision that has its body.</summary>
internal sealed record StoredBody(string Rev, bool Deleted, byte[] Body, string? AttachmentText)
{
    private List<Attachment>? _attachments;

    public List<Attachment> Attachments => _attachments ??= Attachment.Read(AttachmentText);
}

/// <summary>Reads documents and their bodies.</summary>
internal sealed class DocumentStore([FromKeyedServices(SyncSetup.Prepared)] NpgsqlDataSource source)
{
    public const string Columns = "d.doc_id, d.seq, d.rev, d.deleted, d.others, d.tree, d.body, d.attachments";

    public async Task<StoredDocument?> FindAsync(long databaseId, string id, CancellationToken ct) =>
        (await FindAsync(databaseId, [id], ct)).GetValueOrDefault(id);

    public async Task<Dictionary<string, StoredDocument>> FindAsync(long databaseId, string[] ids, CancellationToken ct)
    {
        await using var command = source.CreateCommand($"select {Columns} from sync.document d where d.db_id = $1 and d.doc_id = any ($2)");
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = ids });
        await using var reader = await command.ExecuteReaderAsync(ct);
        var found = new Dictionary<string, StoredDocument>(ids.Length, StringComparer.Ordinal);
        while (await reader.ReadAsync(ct))
        {
            var document = Read(reader);
            found[document.Id] = document;
        }
        return found;
    }

    /// <param name="first">The column that <see cref="Columns"/> begin with.</param>
    public static StoredDocument Read(NpgsqlDataReader reader, int first = 0) => new(
        reader.GetString(first), reader.GetInt64(first + 1), reader.GetString(first + 2), reader.GetBoolean(first + 3), reader.IsDBNull(first + 4) ? null : reader.GetString(first + 4),
        reader.GetFieldValue<byte[]>(first + 5), reader.GetFieldValue<byte[]>(first + 6), reader.IsDBNull(first + 7) ? null : reader.GetString(first + 7));

    /// <summary>A revision of it that has its body, which an ancestor may not.</summary>
    public async Task<StoredBody?> BodyAsync(long databaseId, StoredDocument document, string rev, CancellationToken ct) =>
        rev == document.Rev ? document.Winner : (await BodiesAsync(databaseId, [document.Id], [rev], ct)).GetValueOrDefault((document.Id, rev));

    /// <summary>Bodies of revisions that do not win, by pairs of document and revision.</summary>
    public async Task<Dictionary<(string Id, string Rev), StoredBody>> BodiesAsync(long databaseId, string[] ids, string[] revs, CancellationToken ct)
    {
        var found = new Dictionary<(string, string), StoredBody>(ids.Length);
        if (ids.Length is 0)
        {
            return found;
        }
        await using var command = source.CreateCommand("""
            select b.doc_id, b.rev, b.deleted, b.body, b.attachments from unnest($2::text[], $3::text[]) as n (doc_id, rev)
            join sync.body b on b.db_id = $1 and b.doc_id = n.doc_id and b.rev = n.rev
            """);
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = ids });
        command.Parameters.Add(new() { Value = revs });
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            found[(reader.GetString(0), reader.GetString(1))] = new(
                reader.GetString(1), reader.GetBoolean(2), reader.GetFieldValue<byte[]>(3), reader.IsDBNull(4) ? null : reader.GetString(4));
        }
        return found;
    }

    /// <summary>The revisions of a document that have their bodies, besides the winner.</summary>
    public async Task<HashSet<string>> AvailableAsync(long databaseId, string id, CancellationToken ct)
    {
        await using var command = source.CreateCommand("select rev from sync.body where db_id = $1 and doc_id = $2");
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = id });
        await using var reader = await command.ExecuteReaderAsync(ct);
        var found = new HashSet<string>(StringComparer.Ordinal);
        while (await reader.ReadAsync(ct))
        {
            found.Add(reader.GetString(0));
        }
        return found;
    }
}
