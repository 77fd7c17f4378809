using System.Text;
using System.Text.Json;
using Dapper;
using Microsoft.Extensions.Options;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using Npgsql;

namespace MobileServices.Sync.Bound;

/// <summary>Notes what clients change in bound databases, in the transaction that writes it. What the service writes itself is not noted, so nothing goes round.</summary>
internal sealed class BoundOutbox(BoundBell bell, IOptions<SyncOptions> options)
{
    private const string AddSql =
        """
        with gone as (
            delete from sync.bound_change where db_id = @databaseId and doc_id = @Id and rev = any (@ancestors) and state = 'waiting' and attempts = 0 returning id, base)
        insert into sync.bound_change (db_id, doc_id, rev, deleted, body, base, cancels)
        select @databaseId, @Id, @rev, @Deleted, @body, case when exists (select from gone) then (select base from gone order by id limit 1) else (
            select b.body from (
                select rev, deleted, body from sync.document where db_id = @databaseId and doc_id = @Id
                union all select rev, deleted, body from sync.body where db_id = @databaseId and doc_id = @Id) b
            where b.rev = any (@ancestors) and not b.deleted order by array_position(@ancestors, b.rev) limit 1) end, @cancels
        """;

    /// <summary>Whether what clients write there is noted.</summary>
    public bool Takes(DatabaseKey key) => key.Owner.Length > 0 && options.Value.Bound.ContainsKey(key.Name);

    public async Task AddAsync(NpgsqlConnection connection, long databaseId, List<Edit> edits, CancellationToken ct)
    {
        foreach (var edit in edits.Where(edit => edit.Written is not null && edit.Decide is null && !edit.Id.StartsWith("_design/", StringComparison.Ordinal)))
        {
            var sent = edit.Document;
            var path = edit.IsReplicated ? sent.Path?.Skip(1) ?? [] : sent.Rev is { } parent ? new[] { parent } : [];
            await connection.ExecuteAsync(new CommandDefinition(AddSql, new
            {
                databaseId,
                edit.Id,
                rev = edit.Written!.Value.ToString(),
                sent.Deleted,
                body = Encoding.UTF8.GetString(sent.Body),
                ancestors = path.Select(rev => rev.ToString()).ToArray(),
                cancels = !sent.Deleted && Cancels(sent.Body),
            }, cancellationToken: ct));
        }
        bell.Ring();
    }

    private static bool Cancels(byte[] body)
    {
        using var json = JsonDocument.Parse(body, OrderEdit.Reading);
        return OrderEdit.Cancels(json.RootElement);
    }
}
