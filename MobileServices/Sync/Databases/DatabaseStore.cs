using System.Globalization;
using Dapper;
using Microsoft.Extensions.Options;
using MobileServices.Sync.Revisions;
using Npgsql;

namespace MobileServices.Sync.Databases;

/// <summary>Whose database it is and its name; the owner '' is everybody.</summary>
internal readonly record struct DatabaseKey(string App, string Owner, string Name);

/// <summary>Where a client began that had nothing: what was deleted up to there it does not hold. Part of its sequences until they are beyond it.</summary>
/// <param name="IsFresh">It has said so itself, and is told of no such deletion.</param>
internal readonly record struct Floor(long Seq, bool IsFresh);

internal sealed class DatabaseRow
{
    public long Id { get; init; }

    public required string Name { get; init; }

    public required string Epoch { get; init; }

    public long UpdateSeq { get; init; }

    public long PurgeSeq { get; init; }

    public long DocCount { get; init; }

    public long DeletedCount { get; init; }

    /// <summary>Tombstones up to here may be gone.</summary>
    public long Horizon { get; init; }

    /// <summary>Of bodies and of trees.</summary>
    public long BodyBytes { get; init; }

    public long AttachmentBytes { get; init; }

    public int RevsLimit { get; init; }

    public required string Security { get; init; }

    /// <summary>What clients see of a sequence. One of an earlier database of this name means nothing to them any more.</summary>
    public string Sequence(long seq, Floor floor = default) => seq > 0 && seq < floor.Seq
        ? string.Create(CultureInfo.InvariantCulture, $"{seq}-{Epoch}.{floor.Seq}{(floor.IsFresh ? "n" : "")}")
        : string.Create(CultureInfo.InvariantCulture, $"{seq}-{Epoch}");

    /// <summary>Reads a sequence of this database, and no other.</summary>
    public bool TrySequence(string text, out long seq, out Floor floor)
    {
        (seq, floor) = (0, default);
        var dash = text.IndexOf('-', StringComparison.Ordinal);
        if (dash < 0 || !TryNumber(text.AsSpan(0, dash), out seq) || seq > UpdateSeq || !text.AsSpan(dash + 1).StartsWith(Epoch, StringComparison.Ordinal))
        {
            return false;
        }
        var rest = text.AsSpan(dash + 1 + Epoch.Length);
        if (rest.Length is 0)
        {
            return true;
        }
        var isFresh = rest[^1] is 'n';
        if (rest[0] is not '.' || !TryNumber(isFresh ? rest[1..^1] : rest[1..], out var number) || number > UpdateSeq)
        {
            return false;
        }
        floor = new(number, isFresh);
        return true;
    }

    /// <returns>0, from where nothing is missed, when it is of another database.</returns>
    public (long Seq, Floor Floor) SequenceOf(string text)
    {
        if (text is "now")
        {
            return (UpdateSeq, default);
        }
        text = text.Trim('"');
        if (TrySequence(text, out var seq, out var floor))
        {
            return (seq, floor);
        }
        var dash = text.IndexOf('-', StringComparison.Ordinal);
        return !TryNumber(dash < 0 ? text : text.AsSpan(0, dash), out seq) ? throw SyncException.Bad("Malformed sequence supplied in 'since' parameter.")
            : dash < 0 && seq <= UpdateSeq ? (seq, default)
            : (0, default);
    }

    /// <summary>What <see cref="SequenceOf"/> makes of it in all likelihood: unless it is of another database, or of a client that had nothing.</summary>
    public static long? Guess(string text)
    {
        var number = text.AsSpan().Trim('"');
        var dash = number.IndexOf('-');
        return TryNumber(dash < 0 ? number : number[..dash], out var seq) ? seq : null;
    }

    /// <exception cref="SyncException">Deletions after that sequence have left the feed.</exception>
    public void CheckHorizon(long seq, Floor floor, long horizon)
    {
        if (seq > 0 && Math.Max(seq, floor.Seq) < horizon)
        {
            throw SyncException.Resync(Sequence(seq), Sequence(horizon));
        }
    }

    private static bool TryNumber(ReadOnlySpan<char> text, out long number) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}

internal sealed class DatabaseStore([FromKeyedServices(SyncSetup.Prepared)] NpgsqlDataSource database, IOptions<SyncOptions> options, TimeProvider time)
{
    /// <summary>Content may stand there that long before the document that names it.</summary>
    private static readonly TimeSpan BeingWritten = TimeSpan.FromHours(1);

    private const string Columns = "id, name, epoch, update_seq, purge_seq, horizon, doc_count, deleted_count, body_bytes, attachment_bytes, revs_limit, security";

    /// <exception cref="SyncException">There is none.</exception>
    public async Task<DatabaseRow> FindAsync(SyncCall call) =>
        await TryFindAsync(call.Database, call.Aborted)
        ?? (call.IsShared ? await CreateSharedAsync(call.Database, call.Aborted) : throw SyncException.NoDatabase());

    public async Task<DatabaseRow?> TryFindAsync(DatabaseKey key, CancellationToken ct)
    {
        await using var batch = database.CreateBatch();
        batch.BatchCommands.Add(ToFind(key));
        await using var reader = await batch.ExecuteReaderAsync(ct);
        return await ReadAsync(reader, ct);
    }

    /// <summary>The row of a database, for <see cref="ReadAsync"/>; perhaps with what is asked of it in the same round trip.</summary>
    public static NpgsqlBatchCommand ToFind(DatabaseKey key, string locked = "") => new($"select {Columns} from sync.database where app = $1 and owner = $2 and name = $3 {locked}")
    {
        Parameters = { new NpgsqlParameter<string> { TypedValue = key.App }, new NpgsqlParameter<string> { TypedValue = key.Owner }, new NpgsqlParameter<string> { TypedValue = key.Name } },
    };

    /// <returns>Null when there is none.</returns>
    public static async Task<DatabaseRow?> ReadAsync(NpgsqlDataReader reader, CancellationToken ct) => !await reader.ReadAsync(ct) ? null : new()
    {
        Id = reader.GetInt64(0),
        Name = reader.GetString(1),
        Epoch = reader.GetString(2),
        UpdateSeq = reader.GetInt64(3),
        PurgeSeq = reader.GetInt64(4),
        Horizon = reader.GetInt64(5),
        DocCount = reader.GetInt64(6),
        DeletedCount = reader.GetInt64(7),
        BodyBytes = reader.GetInt64(8),
        AttachmentBytes = reader.GetInt64(9),
        RevsLimit = reader.GetInt32(10),
        Security = reader.GetString(11),
    };

    /// <summary>A shared database is there once it is in the settings.</summary>
    public async Task<DatabaseRow> CreateSharedAsync(DatabaseKey key, CancellationToken ct)
    {
        await CreateAsync(key, ct);
        return await TryFindAsync(key, ct) ?? throw SyncException.NoDatabase();
    }

    /// <returns>False when it is there.</returns>
    /// <exception cref="SyncException">The user has as many as he may.</exception>
    public async Task<bool> CreateAsync(DatabaseKey key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // The user's databases are counted by one who creates at a time.
        await connection.ExecuteAsync(new CommandDefinition("select pg_advisory_xact_lock(hashtextextended(@App, hashtext(@Owner)))", new { key.App, key.Owner }, transaction, cancellationToken: ct));
        var others = key.Owner.Length is 0 ? 0 : await connection.ExecuteScalarAsync<long>(new CommandDefinition(
            "select count(*) from sync.database where app = @App and owner = @Owner and name <> @Name", key, transaction, cancellationToken: ct));
        if (others >= options.Value.MostDatabases)
        {
            throw new SyncException(403, "forbidden", $"You have {others} databases, which is as many as you may (Sync:MostDatabases). Delete one.");
        }
        var created = await connection.ExecuteAsync(new CommandDefinition("""
            insert into sync.database (app, owner, name, epoch, revs_limit, created_at) values (@App, @Owner, @Name, @Epoch, @RevsLimit, @Now)
            on conflict (app, owner, name) do nothing
            """,
            new { key.App, key.Owner, key.Name, Epoch = Guid.NewGuid().ToString("n")[..8], options.Value.RevsLimit, Now = time.GetUtcNow() }, transaction, cancellationToken: ct)) is 1;
        await transaction.CommitAsync(ct);
        return created;
    }

    public async Task<long?> DeleteAsync(DatabaseKey key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // Behind whoever writes to it: none of their documents is left over.
        var id = await connection.ExecuteScalarAsync<long?>(new CommandDefinition(
            "select id from sync.database where app = @App and owner = @Owner and name = @Name for update", key, transaction, cancellationToken: ct));
        await connection.ExecuteAsync(new CommandDefinition(
            "delete from sync.document where db_id = @id; delete from sync.database where id = @id", new { id }, transaction, commandTimeout: 120, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        return id;
    }

    public async Task<List<string>> NamesAsync(string app, string owner, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await connection.QueryAsync<string>(new CommandDefinition(
            "select name from sync.database where app = @app and owner = @owner order by name", new { app, owner }, cancellationToken: ct))).AsList();
    }

    public async Task SetAsync(long id, string column, object value, CancellationToken ct)
    {
        // The column is a word of this program, never of a client.
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition($"update sync.database set {column} = @value where id = @id", new { id, value }, cancellationToken: ct));
    }

    /// <summary>Shortens trees to the limit of their database, throws away the bodies of revisions that are no leaves (of databases that merge, those of long ago), and content that no revision has any more.</summary>
    public async Task CompactAsync(long id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var name = await connection.ExecuteScalarAsync<string>(new CommandDefinition("select name from sync.database where id = @id", new { id }, transaction, cancellationToken: ct)) ?? "";
        TimeSpan? keep = options.Value.Merge.TryGetValue(name, out var merge) ? TimeSpan.FromDays(merge.KeepDays) : null;
        var limit = await connection.ExecuteScalarAsync<int>(new CommandDefinition("select revs_limit from sync.database where id = @id for update", new { id }, transaction, cancellationToken: ct));
        await StemAsync(connection, id, limit, ct);
        await connection.ExecuteAsync(new CommandDefinition("""
            delete from sync.body b using sync.document d
            where b.db_id = @id and d.db_id = @id and d.doc_id = b.doc_id and (@keep::interval is null or b.stored_at < now() - @keep)
              and not (b.rev = any (string_to_array(replace(coalesce(d.others, ''), '!', ''), ' ')));
            update sync.database set
                body_bytes = coalesce((select sum(octet_length(body) + octet_length(tree)) from sync.document where db_id = @id), 0) + coalesce((select sum(octet_length(body)) from sync.body where db_id = @id), 0)
            where id = @id;
            """, new { id, keep }, transaction, commandTimeout: 300, cancellationToken: ct));
        await DropContentAsync(connection, id, ct);
        await transaction.CommitAsync(ct);
    }

    /// <summary>Trees that were written before the limit was lowered forget what they no longer need to know.</summary>
    private static async Task StemAsync(NpgsqlConnection connection, long id, int limit, CancellationToken ct)
    {
        const int Page = 500;
        var after = "";
        while (true)
        {
            // A revision has two bytes at least.
            var rows = (await connection.QueryAsync<(string Id, byte[] Tree)>(new CommandDefinition(
                "select doc_id, tree from sync.document where db_id = @id and doc_id > @after and octet_length(tree) > @limit * 2 order by doc_id limit @Page",
                new { id, after, limit, Page }, cancellationToken: ct))).AsList();
            var stemmed = new List<(string Id, byte[] Tree)>();
            foreach (var row in rows)
            {
                var tree = RevisionTree.Read(row.Tree);
                tree.Stem(limit, SyncOptions.MostRevs);
                if (tree.ToBytes() is var bytes && bytes.Length < row.Tree.Length)
                {
                    stemmed.Add((row.Id, bytes));
                }
            }
            await connection.ExecuteAsync(new CommandDefinition(
                "update sync.document d set tree = n.tree from unnest(@ids, @trees) as n (id, tree) where d.db_id = @id and d.doc_id = n.id",
                new { id, ids = stemmed.ConvertAll(one => one.Id).ToArray(), trees = stemmed.ConvertAll(one => one.Tree).ToArray() }, cancellationToken: ct));
            if (rows.Count < Page)
            {
                return;
            }
            after = rows[^1].Id;
        }
    }

    /// <summary>Throws away content that no revision has any more, in the transaction that holds the database's lock.</summary>
    public Task DropContentAsync(NpgsqlConnection connection, long id, CancellationToken ct) => connection.ExecuteAsync(new CommandDefinition("""
        delete from sync.blob where db_id = @id and created_at < @before and id not in (
            select (regexp_matches(attachments, '"blob":(\d+)\}', 'g'))[1]::bigint from sync.document where db_id = @id and attachments is not null
            union select (regexp_matches(attachments, '"blob":(\d+)\}', 'g'))[1]::bigint from sync.body where db_id = @id and attachments is not null);
        update sync.database set attachment_bytes = coalesce((select sum(length) from sync.blob where db_id = @id and sha256 is not null), 0) where id = @id;
        """, new { id, before = time.GetUtcNow() - BeingWritten }, commandTimeout: 300, cancellationToken: ct));
}
