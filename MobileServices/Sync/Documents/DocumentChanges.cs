using System.Text;
using MobileServices.Sync.Databases;
using Npgsql;
using NpgsqlTypes;

namespace MobileServices.Sync.Documents;

/// <summary>The rows that come of changed documents, all in one round trip.</summary>
internal sealed class DocumentChanges
{
    private readonly DatabaseRow _database;
    private readonly int _count;
    private readonly string[] _ids;
    private readonly long[] _seqs;
    private readonly string[] _revs;
    private readonly bool[] _deleted;
    private readonly string?[] _others;
    private readonly byte[][] _trees;

    /// <summary>Null when the winner's body is in the database already.</summary>
    private readonly byte[]?[] _bodies;
    private readonly string?[] _attachments;

    private readonly List<string> _superseded = [];
    private readonly List<string> _restored = [];
    private readonly List<(string Id, string Rev, FreshBody Body)> _losers = [];
    private readonly Waking? _waking;
    private readonly long _documents;
    private readonly long _tombstones;
    private readonly long _bytes;

    /// <param name="waking">Whose devices are to be woken up; null for nobody's.</param>
    public DocumentChanges(DatabaseRow database, List<OpenDocument> changed, Waking? waking)
    {
        _waking = waking;
        _database = database;
        _count = changed.Count;
        _ids = new string[_count];
        _seqs = new long[_count];
        _revs = new string[_count];
        _deleted = new bool[_count];
        _others = new string?[_count];
        _trees = new byte[_count][];
        _bodies = new byte[]?[_count];
        _attachments = new string?[_count];
        for (var i = 0; i < _count; i++)
        {
            var document = changed[i];
            document.Tree.Stem(database.RevsLimit, SyncOptions.MostRevs);
            var leaves = document.Tree.Leaves();
            var winner = leaves[0];
            _ids[i] = document.Id;
            _seqs[i] = database.UpdateSeq + i + 1;
            _revs[i] = winner.Rev.ToString();
            _deleted[i] = winner.Deleted;
            _others[i] = leaves.Count is 1 ? null : string.Join(' ', leaves.Skip(1).Select(leaf => leaf.Deleted ? $"{leaf.Rev}!" : leaf.Rev.ToString()));
            _trees[i] = document.Tree.ToBytes();
            _bytes += _trees[i].Length - document.StoredTreeBytes;
            foreach (var (rev, fresh) in document.Fresh)
            {
                _bytes += fresh.Body.Length;
                if (rev != winner.Rev)
                {
                    _losers.Add((document.Id, rev.ToString(), fresh));
                }
            }
            if (document.Fresh.TryGetValue(winner.Rev, out var body))
            {
                _bodies[i] = body.Body;
                _attachments[i] = body.Attachments;
            }
            if (document.StoredRev is { } stored && stored != _revs[i])
            {
                _superseded.Add(document.Id);
                if (_bodies[i] is null)
                {
                    _restored.Add(document.Id);
                }
            }
            _documents += (winner.Deleted ? 0 : 1) - (document.StoredRev is not null && !document.StoredDeleted ? 1 : 0);
            _tombstones += (winner.Deleted ? 1 : 0) - (document.StoredRev is not null && document.StoredDeleted ? 1 : 0);
        }
    }

    /// <param name="commits">They end the transaction.</param>
    public async Task SaveAsync(NpgsqlConnection connection, bool commits, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection);
        if (_superseded.Count > 0)
        {
            Add(batch, """
                insert into sync.body (db_id, doc_id, rev, deleted, body, attachments)
                select d.db_id, d.doc_id, d.rev, d.deleted, d.body, d.attachments from unnest($2) as asked (id)
                cross join lateral (select * from sync.document where db_id = $1 and doc_id = asked.id limit 1) d
                on conflict do nothing
                """, _database.Id, _superseded.ToArray());
        }
        if (_losers.Count > 0)
        {
            Add(batch, """
                insert into sync.body (db_id, doc_id, rev, deleted, body, attachments)
                select $1, * from unnest($2::text[], $3::text[], $4::bool[], $5::text[], $6::text[]) on conflict do nothing
                """,
                _database.Id, _losers.Select(one => one.Id).ToArray(), _losers.Select(one => one.Rev).ToArray(), _losers.Select(one => one.Body.Deleted).ToArray(),
                Texts([.. _losers.Select(one => one.Body.Body)]), _losers.Select(one => one.Body.Attachments).ToArray());
        }
        Add(batch, """
            insert into sync.document as d (db_id, doc_id, seq, rev, deleted, others, tree, body, attachments, deleted_at)
            select $1, n.doc_id, n.seq, n.rev, n.deleted, n.others, n.tree, coalesce(n.body, ''), n.attachments, case when n.deleted then now() end
            from unnest($2::text[], $3::bigint[], $4::text[], $5::bool[], $6::text[], $7::bytea[], $8::text[], $9::text[])
                as n (doc_id, seq, rev, deleted, others, tree, body, attachments)
            on conflict (db_id, doc_id) do update set
                seq = excluded.seq, rev = excluded.rev, deleted = excluded.deleted, others = excluded.others, tree = excluded.tree, deleted_at = excluded.deleted_at,
                body = case when excluded.body = '' then d.body else excluded.body end,
                attachments = case when excluded.body = '' then d.attachments else excluded.attachments end
            """,
            _database.Id, _ids, _seqs, _revs, _deleted, _others, _trees, Texts(_bodies), _attachments);
        if (_restored.Count > 0)
        {
            Add(batch, """
                update sync.document d set body = b.body, attachments = b.attachments from sync.body b
                where d.db_id = $1 and d.doc_id = any ($2) and b.db_id = d.db_id and b.doc_id = d.doc_id and b.rev = d.rev
                """, _database.Id, _restored.ToArray());
        }
        Count(batch);
        if (commits)
        {
            Add(batch, "commit");
        }
        await batch.ExecuteNonQueryAsync(ct);
    }

    private void Count(NpgsqlBatch batch)
    {
        const string Counts = "update sync.database set update_seq = $2, doc_count = doc_count + $3, deleted_count = deleted_count + $4, body_bytes = body_bytes + $5";
        if (_waking is not { } waking)
        {
            Add(batch, $"{Counts} where id = $1", _database.Id, _database.UpdateSeq + _count, _documents, _tombstones, _bytes);
            return;
        }
        // In the statement that is there in any case: who writes does not wait for it.
        Add(batch, $"""
            {Counts}, wake_since = coalesce(wake_since, now()),
                wake_device = case when wake_since is null or wake_device = $6 then $6 end,
                wake_apps = case when wake_apps @> $7 then wake_apps else array(select distinct unnest(wake_apps || $7)) end
            where id = $1
            """,
            _database.Id, _database.UpdateSeq + _count, _documents, _tombstones, _bytes,
            new NpgsqlParameter { Value = (object?)waking.Device ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid }, waking.Apps);
    }

    private static NpgsqlParameter Texts(byte[]?[] values) => new() { Value = values.Select(value => value is null ? null : Encoding.UTF8.GetString(value)).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text };

    private static void Add(NpgsqlBatch batch, string sql, params object[] values)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(value as NpgsqlParameter ?? new() { Value = value });
        }
        batch.BatchCommands.Add(command);
    }
}
