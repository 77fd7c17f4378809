using System.Globalization;
using System.Text;
using System.Text.Json;
using Dapper;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Queries;
using MobileServices.Sync.Revisions;
using Npgsql;

namespace MobileServices.Sync.Bound;

/// <summary>
/// Writes what the back office says into documents. It is the authority: its revision stands on the winner, and other living leaves are closed. What a
/// client asked for is in the outbox by then. Notes about changes and reads are settled in the same transaction.
/// </summary>
internal sealed class BoundDocuments(DocumentWriter writer)
{
    private sealed record Shown(string? Body, string? Problem, bool Cancels);

    /// <summary>An order as it was read; an older version than the one that is there changes nothing.</summary>
    public Task WriteAsync(BoundRead read, string documentId, long version, string order) => ShowAsync(read.Database, documentId, async (connection, ct) =>
    {
        var shows = await connection.QuerySingleOrDefaultAsync<string>(new CommandDefinition(
            """
            insert into sync.bound_document as d (db_id, doc_id, order_id, version, body) values (@DbId, @documentId, @OrderId, @version, @order)
            on conflict (db_id, order_id) do update set version = excluded.version, body = excluded.body where d.version is null or d.version < excluded.version;
            delete from sync.bound_read where db_id = @DbId and order_id = @OrderId and (wanted is null or wanted <= @version);
            select doc_id from sync.bound_document where db_id = @DbId and order_id = @OrderId
            """, new { read.DbId, documentId, read.OrderId, version, order }, cancellationToken: ct));
        if (shows != documentId)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"The order {read.OrderId} is shown by another document by now; it is read again."));
        }
    });

    /// <summary>Integration has done it: what became of the order is read.</summary>
    /// <param name="orderId">Null when there was nothing to do.</param>
    public Task DoneAsync(BoundChange change, string? orderId) => ShowAsync(change.Database, change.DocId, (connection, ct) => connection.ExecuteAsync(new CommandDefinition(
        """
        update sync.bound_change set state = 'done', reason = null, failures = 0, ended_at = now() where id = @Id;
        insert into sync.bound_document (db_id, doc_id, order_id) select @DbId, @DocId, @orderId where @orderId::text is not null on conflict do nothing;
        update sync.bound_document set problem = null where db_id = @DbId and doc_id = @DocId and (@orderId::text is not null or @acknowledges);
        insert into sync.bound_read (db_id, order_id) select @DbId, @orderId where @orderId::text is not null
        on conflict (db_id, order_id) do update set due_at = now(), failures = 0
        """, new { change.Id, change.DbId, change.DocId, orderId, acknowledges = !change.Deleted && !HasProblem(change.Body) && change.Base is { } before && HasProblem(before) }, cancellationToken: ct)));

    /// <summary>The document gets a new revision with the reason: the Erp's order with it, or the client's own with the status refused.</summary>
    public Task RefuseAsync(BoundChange change, string code, string detail)
    {
        var problem = JsonSerializer.Serialize(new { code, detail, rev = change.Rev }, JsonSerializerOptions.Web);
        return WriteAsync(change.Database, change.DocId, async (connection, database, document, ct) =>
        {
            await connection.ExecuteAsync(new CommandDefinition(
                """
                update sync.bound_change set state = 'refused', reason = @reason, ended_at = now() where id = @Id;
                update sync.bound_document set problem = @problem where db_id = @DbId and doc_id = @DocId;
                """, new { change.Id, change.DbId, change.DocId, reason = $"{code}: {detail}", problem }, cancellationToken: ct));
            return await ShownAsync(connection, database.Id, document.Id, ct) is { Body: not null } shown
                ? await ResolveAsync(connection, database.Id, document, shown, ct)
                : await RefuseNewAsync(connection, database.Id, document, change, problem, ct);
        });
    }

    /// <summary>When the client has gone on from there, its newer revision is judged by itself.</summary>
    private static async Task<Resolution?> RefuseNewAsync(
        NpgsqlConnection connection, long databaseId, OpenDocument document, BoundChange change, string problem, CancellationToken ct)
    {
        if (!Rev.TryParse(change.Rev, out var rev) || !document.Tree.IsLeaf(rev) || document.Tree.IsDeleted(rev))
        {
            return null;
        }
        var (_, attachments) = await BodyAsync(connection, databaseId, document, rev, ct);
        return new(rev, OrderEdit.With(change.Body, ["status", "problem"], $"\"status\":\"refused\",\"problem\":{problem}"), attachments, ClosesOthers: false);
    }

    private Task ShowAsync(DatabaseKey key, string documentId, Func<NpgsqlConnection, CancellationToken, Task> firstAsync) => WriteAsync(key, documentId, async (connection, database, document, ct) =>
    {
        await firstAsync(connection, ct);
        return await ShownAsync(connection, database.Id, documentId, ct) is { Body: not null } shown ? await ResolveAsync(connection, database.Id, document, shown, ct) : null;
    });

    private async Task WriteAsync(DatabaseKey key, string documentId, DecideAsync decide)
    {
        var edit = new Edit(documentId, new(), IsReplicated: false) { Decide = decide };
        await writer.WriteAsync(key, [edit]);
        if (edit.Failure is { } failure)
        {
            throw new InvalidOperationException(failure.Message, failure);
        }
    }

    private static Task<Shown?> ShownAsync(NpgsqlConnection connection, long databaseId, string documentId, CancellationToken ct) => connection.QuerySingleOrDefaultAsync<Shown>(new CommandDefinition(
        """
        select body as Body, problem as Problem, exists (
            select from sync.bound_change c where c.db_id = d.db_id and c.doc_id = d.doc_id and c.cancels and c.state in ('waiting', 'sent')) as Cancels
        from sync.bound_document d where db_id = @databaseId and doc_id = @documentId
        """, new { databaseId, documentId }, cancellationToken: ct));

    private static async Task<Resolution?> ResolveAsync(NpgsqlConnection connection, long databaseId, OpenDocument document, Shown shown, CancellationToken ct)
    {
        string[] added = [.. Added(shown)];
        var body = added.Length is 0 ? Encoding.UTF8.GetBytes(shown.Body!) : OrderEdit.With(shown.Body!, ["cancelled", "problem"], string.Join(',', added));
        var leaves = document.Tree.Leaves();
        if (leaves.Count is 0)
        {
            return new(null, body, null, ClosesOthers: false);
        }
        var (before, attachments) = await BodyAsync(connection, databaseId, document, leaves[0].Rev, ct);
        if (leaves[0].Deleted || before is null || !AreSame(before, body))
        {
            return new(leaves[0].Rev, body, attachments, ClosesOthers: true);
        }
        return leaves.Count(leaf => !leaf.Deleted) > 1 ? new(null, null, null, ClosesOthers: true) : null;
    }

    private static IEnumerable<string> Added(Shown shown)
    {
        if (shown.Cancels)
        {
            yield return "\"cancelled\":true";
        }
        if (shown.Problem is { } problem)
        {
            yield return $"\"problem\":{problem}";
        }
    }

    private static async Task<(byte[]? Body, string? Attachments)> BodyAsync(NpgsqlConnection connection, long databaseId, OpenDocument document, Rev rev, CancellationToken ct)
    {
        if (document.Fresh.TryGetValue(rev, out var fresh))
        {
            return (fresh.Body, fresh.Attachments);
        }
        var (body, attachments) = await connection.QuerySingleOrDefaultAsync<(string? Body, string? Attachments)>(new CommandDefinition(
            """
            select body, attachments from sync.document where db_id = @databaseId and doc_id = @Id and rev = @rev
            union all select body, attachments from sync.body where db_id = @databaseId and doc_id = @Id and rev = @rev limit 1
            """, new { databaseId, document.Id, rev = rev.ToString() }, cancellationToken: ct));
        return (body is null ? null : Encoding.UTF8.GetBytes(body), attachments);
    }

    /// <summary>A client may write the same in another way.</summary>
    private static bool AreSame(byte[] one, byte[] other)
    {
        using var mine = JsonDocument.Parse(one, OrderEdit.Reading);
        using var theirs = JsonDocument.Parse(other, OrderEdit.Reading);
        return Collation.Compare(mine.RootElement, theirs.RootElement) is 0;
    }

    private static bool HasProblem(string body)
    {
        using var json = JsonDocument.Parse(body, OrderEdit.Reading);
        return json.RootElement.TryGetProperty("problem", out _);
    }
}
