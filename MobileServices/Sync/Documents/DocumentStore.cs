using System.Runtime.CompilerServices;
using System.Text.Json;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Queries;
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
    /// <summary>Of a page of documents or bodies, which is in memory at once.</summary>
    private const int PageRows = 100;
    private const int PageBytes = 2_097_152;

    // Each of the ids by the key, whatever the table was like when the plan was made, which is kept.
    internal const string ToFind = $"select {Columns} from unnest($2::text[]) as asked (id) cross join lateral (select * from sync.document where db_id = $1 and doc_id = asked.id limit 1) d";
    internal const string ToPage = "select n.i, d.* from unnest($2::text[]) with ordinality as n (asked, i) left join lateral (select * from sync.document where db_id = $1 and doc_id = n.asked limit 1) d on true";

    public const string Columns = "d.doc_id, d.seq, d.rev, d.deleted, d.others, d.tree, d.body, d.attachments";

    public async Task<StoredDocument?> FindAsync(long databaseId, string id, CancellationToken ct) =>
        (await FindAsync(databaseId, [id], ct)).GetValueOrDefault(id);

    public async Task<Dictionary<string, StoredDocument>> FindAsync(long databaseId, string[] ids, CancellationToken ct)
    {
        await using var command = source.CreateCommand(ToFind);
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

    /// <summary>Documents in the order of their ids as they are asked for, null where there is none.</summary>
    /// <returns>The first at least, and as many as stay within the bytes of a page.</returns>
    public async Task<List<StoredDocument?>> PageAsync(long databaseId, IEnumerable<string> ids, CancellationToken ct)
    {
        await using var command = source.CreateCommand(Page(ToPage, "d.i"));
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = ids.Take(PageRows).ToArray() });
        await using var reader = await command.ExecuteReaderAsync(ct);
        var page = new List<StoredDocument?>();
        while (await reader.ReadAsync(ct))
        {
            page.Add(reader.IsDBNull(0) ? null : Read(reader));
        }
        return page;
    }

    /// <summary>
    /// A statement for those of the rows that stay within the bytes of a page, the first at least: <see cref="Columns"/>, and in the last column how many
    /// rows there were. Sizes are read without the texts.
    /// </summary>
    /// <param name="rows">All columns of the documents.</param>
    /// <param name="narrowed">Of them only those that it lets through, and the last; the last column but one tells the how manieth it was.</param>
    public static string Page(string rows, string order, Narrowed? narrowed = null) => $"""
        select {Columns}{(narrowed is null ? "" : ", d.n")}, d.rows from (
            select d.*, coalesce(sum(octet_length(d.body)) over (order by {order} rows between unbounded preceding and 1 preceding), 0) as before, count(*) over () as rows,
                row_number() over (order by {order}) as n
            from ({rows}) as d) as d{narrowed?.From}
        where d.before < {PageBytes}{narrowed?.And($"d.n = d.rows or d.before + octet_length(d.body) >= {PageBytes}")} order by {order}
        """;

    /// <param name="first">The column that <see cref="Columns"/> begin with.</param>
    public static StoredDocument Read(NpgsqlDataReader reader, int first = 0) => new(
        reader.GetString(first), reader.GetInt64(first + 1), reader.GetString(first + 2), reader.GetBoolean(first + 3), reader.IsDBNull(first + 4) ? null : reader.GetString(first + 4),
        reader.GetFieldValue<byte[]>(first + 5), reader.GetFieldValue<byte[]>(first + 6), reader.IsDBNull(first + 7) ? null : reader.GetString(first + 7));

    /// <summary>A revision of it that has its body, which an ancestor may not.</summary>
    public async Task<StoredBody?> BodyAsync(long databaseId, StoredDocument document, string rev, CancellationToken ct)
    {
        if (rev == document.Rev)
        {
            return document.Winner;
        }
        await foreach (var body in BodiesAsync(databaseId, [(document.Id, rev)], ct))
        {
            return body;
        }
        return null;
    }

    /// <summary>Bodies of revisions that do not win, one for each that is asked for and in that order; null where there is none. Only some are in memory at a time.</summary>
    public async IAsyncEnumerable<StoredBody?> BodiesAsync(long databaseId, List<(string Id, string Rev)> asked, [EnumeratorCancellation] CancellationToken ct)
    {
        for (var next = 0; next < asked.Count;)
        {
            var page = await BodyPageAsync(databaseId, asked.GetRange(next, Math.Min(PageRows, asked.Count - next)), ct);
            next += page.Count;
            foreach (var body in page)
            {
                yield return body;
            }
        }
    }

    /// <returns>The first at least, and as many as stay within the bytes of a page.</returns>
    private async Task<List<StoredBody?>> BodyPageAsync(long databaseId, List<(string Id, string Rev)> asked, CancellationToken ct)
    {
        // Sizes are read without the texts.
        await using var command = source.CreateCommand($"""
            select rev, deleted, body, attachments from (
                select n.i, b.rev, b.deleted, b.body, b.attachments, coalesce(sum(octet_length(b.body)) over (order by n.i rows between unbounded preceding and 1 preceding), 0) as before
                from unnest($2::text[], $3::text[]) with ordinality as n (doc_id, rev, i)
                left join sync.body b on b.db_id = $1 and b.doc_id = n.doc_id and b.rev = n.rev) as page
            where before < {PageBytes} order by i
            """);
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = asked.ConvertAll(one => one.Id).ToArray() });
        command.Parameters.Add(new() { Value = asked.ConvertAll(one => one.Rev).ToArray() });
        await using var reader = await command.ExecuteReaderAsync(ct);
        var page = new List<StoredBody?>(asked.Count);
        while (await reader.ReadAsync(ct))
        {
            page.Add(reader.IsDBNull(0) ? null : new(reader.GetString(0), reader.GetBoolean(1), reader.GetFieldValue<byte[]>(2), reader.IsDBNull(3) ? null : reader.GetString(3)));
        }
        return page;
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
