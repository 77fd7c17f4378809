using Dapper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileServices.Sync.Databases;

/// <summary>Whose database it is and its name; the owner '' is everybody.</summary>
internal readonly record struct DatabaseKey(string App, string Owner, string Name);

internal sealed class DatabaseRow
{
    public long Id { get; init; }

    public required string Name { get; init; }

    public required string Epoch { get; init; }

    public long UpdateSeq { get; init; }

    public long PurgeSeq { get; init; }

    public long DocCount { get; init; }

    public long DeletedCount { get; init; }

    public long BodyBytes { get; init; }

    public long AttachmentBytes { get; init; }

    public int RevsLimit { get; init; }

    public required string Security { get; init; }

    /// <summary>What clients see of a sequence. One of an earlier database of this name means nothing to them any more.</summary>
    public string Sequence(long seq) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{seq}-{Epoch}");

    /// <summary>Reads a sequence of this database, and no other.</summary>
    public bool TrySequence(string text, out long seq)
    {
        seq = 0;
        return text.EndsWith($"-{Epoch}", StringComparison.Ordinal)
            && long.TryParse(text.AsSpan(0, text.Length - Epoch.Length - 1), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out seq) && seq <= UpdateSeq;
    }

    /// <returns>0, from where nothing is missed, when it is of another database.</returns>
    public long SequenceOf(string text)
    {
        if (text is "now")
        {
            return UpdateSeq;
        }
        var dash = text.IndexOf('-', StringComparison.Ordinal);
        var number = dash < 0 ? text : text[..dash];
        if (!long.TryParse(number.Trim('"'), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var seq))
        {
            throw SyncException.Bad("Malformed sequence supplied in 'since' parameter.");
        }
        return (dash >= 0 && text[(dash + 1)..].Trim('"') != Epoch) || seq > UpdateSeq ? 0 : seq;
    }
}

internal sealed class DatabaseStore(NpgsqlDataSource database, IOptions<SyncOptions> options, TimeProvider time)
{
    /// <summary>Content may stand there that long before the document that names it.</summary>
    private static readonly TimeSpan BeingWritten = TimeSpan.FromHours(1);

    public const string Columns =
        "id as Id, name as Name, epoch as Epoch, update_seq as UpdateSeq, purge_seq as PurgeSeq, doc_count as DocCount, deleted_count as DeletedCount, "
        + "body_bytes as BodyBytes, attachment_bytes as AttachmentBytes, revs_limit as RevsLimit, security as Security";

    /// <exception cref="SyncException">There is none.</exception>
    public async Task<DatabaseRow> FindAsync(SyncCall call) =>
        await TryFindAsync(call.Database, call.Aborted)
        ?? (call.IsShared ? await CreateSharedAsync(call.Database, call.Aborted) : throw SyncException.NoDatabase());

    public async Task<DatabaseRow?> TryFindAsync(DatabaseKey key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.QuerySingleOrDefaultAsync<DatabaseRow>(new CommandDefinition(
            $"select {Columns} from sync.database where app = @App and owner = @Owner and name = @Name", key, cancellationToken: ct));
    }

    /// <summary>A shared database is there once it is in the settings.</summary>
    public async Task<DatabaseRow> CreateSharedAsync(DatabaseKey key, CancellationToken ct)
    {
        await CreateAsync(key, ct);
        return await TryFindAsync(key, ct) ?? throw SyncException.NoDatabase();
    }

    public async Task<bool> CreateAsync(DatabaseKey key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var others = key.Owner.Length is 0 ? 0 : await connection.ExecuteScalarAsync<long>(new CommandDefinition(
            "select count(*) from sync.database where app = @App and owner = @Owner and name <> @Name", key, cancellationToken: ct));
        if (others >= options.Value.MostDatabases)
        {
            throw new SyncException(403, "forbidden", $"You have {others} databases, which is as many as you may (Sync:MostDatabases). Delete one.");
        }
        return await connection.ExecuteAsync(new CommandDefinition("""
            insert into sync.database (app, owner, name, epoch, revs_limit, created_at) values (@App, @Owner, @Name, @Epoch, @RevsLimit, @Now)
            on conflict (app, owner, name) do nothing
            """,
            new { key.App, key.Owner, key.Name, Epoch = Guid.NewGuid().ToString("n")[..8], options.Value.RevsLimit, Now = time.GetUtcNow() }, cancellationToken: ct)) is 1;
    }

    public async Task<long?> DeleteAsync(DatabaseKey key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<long?>(new CommandDefinition(
            "delete from sync.database where app = @App and owner = @Owner and name = @Name returning id", key, commandTimeout: 120, cancellationToken: ct));
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

    /// <summary>Throws away the bodies of revisions that are no leaves, and content that no revision has any more.</summary>
    public async Task CompactAsync(long id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("""
            select 1 from sync.database where id = @id for update;
            delete from sync.body b using sync.document d
            where b.db_id = @id and d.db_id = @id and d.doc_id = b.doc_id
              and not (b.rev = any (string_to_array(replace(coalesce(d.others, ''), '!', ''), ' ')));
            delete from sync.blob where db_id = @id and created_at < @before and id not in (
                select (regexp_matches(attachments, '"blob":(\d+)\}', 'g'))[1]::bigint from sync.document where db_id = @id and attachments is not null
                union select (regexp_matches(attachments, '"blob":(\d+)\}', 'g'))[1]::bigint from sync.body where db_id = @id and attachments is not null);
            update sync.database set
                body_bytes = coalesce((select sum(octet_length(body)) from sync.document where db_id = @id), 0) + coalesce((select sum(octet_length(body)) from sync.body where db_id = @id), 0),
                attachment_bytes = coalesce((select sum(length) from sync.blob where db_id = @id and sha256 is not null), 0)
            where id = @id;
            """, new { id, before = time.GetUtcNow() - BeingWritten }, transaction, commandTimeout: 300, cancellationToken: ct));
        await transaction.CommitAsync(ct);
    }
}
