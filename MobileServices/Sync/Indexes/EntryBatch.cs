using System.Text;
using Npgsql;

namespace MobileServices.Sync.Indexes;

/// <summary>The entries of some documents on their way into an index.</summary>
internal sealed class EntryBatch
{
    private readonly List<byte[]> _heads = [];
    private readonly List<byte[]> _rests = [];
    private readonly List<string> _owners = [];
    private readonly List<int> _numbers = [];
    private readonly List<string?> _keys = [];
    private readonly List<string?> _values = [];
    private readonly List<string?> _links = [];

    /// <summary>All that were looked at, those without entries included.</summary>
    public List<string> Documents { get; } = [];

    public int Count => _heads.Count;

    public long Bytes { get; private set; }

    public bool HasLongKeys { get; private set; }

    public void Add(string document, IReadOnlyList<IndexEntry> entries)
    {
        Documents.Add(document);
        for (var n = 0; n < entries.Count; n++)
        {
            var entry = entries[n];
            var (head, rest) = Parts(entry.Key);
            HasLongKeys |= rest.Length > 0;
            _heads.Add(head);
            _rests.Add(rest);
            _owners.Add(document);
            _numbers.Add(n);
            _keys.Add(entry.KeyJson);
            _values.Add(entry.ValueJson);
            _links.Add(entry.Link);
            Bytes += entry.Key.Length + (2 * Encoding.UTF8.GetByteCount(document)) + Encoding.UTF8.GetByteCount(entry.KeyJson ?? "") + Encoding.UTF8.GetByteCount(entry.ValueJson ?? "");
        }
    }

    public static (byte[] Head, byte[] Tail) Parts(byte[] key) =>
        key.Length <= IndexStore.HeadBytes ? (key, []) : (key[..IndexStore.HeadBytes], key[IndexStore.HeadBytes..]);

    public async Task InsertAsync(NpgsqlConnection connection, long indexId, CancellationToken ct)
    {
        if (Count is 0)
        {
            return;
        }
        await using var command = new NpgsqlCommand("""
            insert into sync.index_entry (index_id, head, rest, doc_id, n, key, value, link)
            select $1, * from unnest($2::bytea[], $3::bytea[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[])
            """, connection)
        { CommandTimeout = 120 };
        command.Parameters.Add(new() { Value = indexId });
        foreach (var column in new object[] { _heads, _rests, _owners, _numbers, _keys, _values, _links })
        {
            command.Parameters.Add(new() { Value = column });
        }
        await command.ExecuteNonQueryAsync(ct);
    }
}
