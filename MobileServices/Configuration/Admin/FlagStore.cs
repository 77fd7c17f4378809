using System.Text.Json;
using Dapper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileServices.Configuration.Admin;

/// <summary>Drafts, publications and their history: each change audited in its own transaction.</summary>
internal sealed class FlagStore(NpgsqlDataSource database, IOptions<ConfigurationOptions> options, TimeProvider time)
{
    private const string DraftColumns =
        "app_id as AppId, key, body::text as Body, revision, updated_at as UpdatedAt, updated_by as UpdatedBy, publish_at as PublishAt, note, problem";

    public async Task<IReadOnlyList<FlagSummary>> ListAsync(string appId, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<SummaryRow>(new CommandDefinition(
            """
            select coalesce(flag.key, draft.key) as Key, flag.version, flag.body::text as Body, flag.published_at as PublishedAt, flag.published_by as PublishedBy,
                   draft.key is not null as HasDraft, draft.publish_at as PublishAt, draft.problem
            from (select * from configuration.flag where app_id = @appId and body is not null) flag
            full join (select * from configuration.draft where app_id = @appId) draft using (app_id, key)
            order by 1
            """,
            new { appId }, cancellationToken: ct));
        return [.. rows.Select(row => row.ToSummary())];
    }

    /// <returns>What is in force and the draft; null when there is neither.</returns>
    public async Task<(FlagVersion? Live, FlagDraft? Draft)> GetAsync(string appId, string key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await LiveAsync(connection, null, appId, key, ct), await DraftAsync(connection, null, appId, key, ct));
    }

    /// <param name="condition">Given the draft that is there.</param>
    public async Task<(FlagDraft? Draft, Refusal? Refusal)> SaveDraftAsync(
        string appId, string key, Flag flag, string who, Func<FlagDraft?, Refusal?> condition, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await LockAsync(transaction, ct);
        var before = await DraftAsync(connection, transaction, appId, key, ct);
        if (condition(before) is { } refusal)
        {
            return (null, refusal);
        }
        var count = await connection.ExecuteScalarAsync<long>(new CommandDefinition(
            """
            select count(*) from (
                select key from configuration.flag where app_id = @appId and body is not null
                union select key from configuration.draft where app_id = @appId) known
            where key <> @key
            """, new { appId, key }, transaction, cancellationToken: ct));
        if (count >= options.Value.MostFlags)
        {
            return (null, new(409, $"The app has {count} flags, and {options.Value.MostFlags} at most (Configuration:MostFlags). Remove some first."));
        }
        var body = JsonSerializer.Serialize(flag, Flag.Json);
        var row = await connection.QuerySingleAsync<DraftRow>(new CommandDefinition(
            $"""
            delete from configuration.draft where app_id = @appId and key = @key;
            insert into configuration.draft (app_id, key, body, updated_at, updated_by) values (@appId, @key, @body::jsonb, @now, @who)
            returning {DraftColumns}
            """, new { appId, key, body, who, now = time.GetUtcNow() }, transaction, cancellationToken: ct));
        await AuditAsync(transaction, who, appId, key, "draft", before?.Flag, flag, null, ct);
        await transaction.CommitAsync(ct);
        return (row.ToDraft(), null);
    }

    public async Task<Refusal?> DropDraftAsync(string appId, string key, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var before = await connection.QuerySingleOrDefaultAsync<string>(new CommandDefinition(
            "delete from configuration.draft where app_id = @appId and key = @key returning body::text", new { appId, key }, transaction, cancellationToken: ct));
        if (before is null)
        {
            return NoDraft(key);
        }
        await AuditAsync(transaction, who, appId, key, "drop draft", Read(before), null, null, ct);
        await transaction.CommitAsync(ct);
        return null;
    }

    /// <summary>The draft comes into force at a time to come.</summary>
    /// <param name="at">Null takes that back.</param>
    public async Task<Refusal?> ScheduleAsync(string appId, string key, DateTimeOffset? at, string? note, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var body = await connection.QuerySingleOrDefaultAsync<string>(new CommandDefinition(
            "update configuration.draft set publish_at = @at, note = @note, problem = null, updated_by = @who where app_id = @appId and key = @key returning body::text",
            new { appId, key, at = at?.ToUniversalTime(), note, who }, transaction, cancellationToken: ct));
        if (body is null)
        {
            return NoDraft(key);
        }
        await AuditAsync(transaction, who, appId, key, at is null ? "unschedule" : $"schedule {at.Value.UtcDateTime:O}", null, Read(body), note, ct);
        await transaction.CommitAsync(ct);
        return null;
    }

    /// <summary>The draft comes into force now.</summary>
    public Task<(long Version, Refusal? Refusal)> PublishAsync(string appId, string key, string? note, string who, CancellationToken ct) => ChangeAsync(
        appId, key, "publish", note, who, async (transaction, _) =>
        {
            var draft = await transaction.Connection!.QuerySingleOrDefaultAsync<string>(new CommandDefinition(
                "delete from configuration.draft where app_id = @appId and key = @key returning body::text", new { appId, key }, transaction, cancellationToken: ct));
            return draft is null ? (null, NoDraft(key)) : (Read(draft), null);
        }, ct);

    /// <summary>What was in force in a version comes into force again, as a new one.</summary>
    public Task<(long Version, Refusal? Refusal)> RollbackAsync(string appId, string key, long version, string? note, string who, CancellationToken ct) => ChangeAsync(
        appId, key, $"rollback to {version}", note, who, async (transaction, _) =>
        {
            var body = await transaction.Connection!.QuerySingleOrDefaultAsync<string>(new CommandDefinition(
                "select body::text from configuration.flag_version where app_id = @appId and key = @key and version = @version", new { appId, key, version }, transaction, cancellationToken: ct));
            return body is null ? (null, new(404, $"The flag '{key}' has no version {version} with something in it.")) : (Read(body), null);
        }, ct);

    /// <param name="condition">Given what is in force.</param>
    public Task<(long Version, Refusal? Refusal)> RemoveAsync(string appId, string key, string who, Func<FlagVersion, Refusal?> condition, CancellationToken ct) => ChangeAsync(
        appId, key, "remove", null, who, (_, live) => Task.FromResult<(Flag?, Refusal?)>((null, live is null ? NoFlag(key) : condition(live))), ct);

    /// <summary>The newest first.</summary>
    public async Task<IReadOnlyList<FlagVersion>> VersionsAsync(string appId, string key, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<VersionRow>(new CommandDefinition(
            """
            select version, body::text as Body, published_at as PublishedAt, published_by as PublishedBy, note
            from configuration.flag_version where app_id = @appId and key = @key order by version desc limit 200
            """, new { appId, key }, cancellationToken: ct));
        return [.. rows.Select(row => row.ToVersion())];
    }

    /// <param name="before">The number of the last entry that the caller has seen; null for the newest.</param>
    /// <returns>The newest first.</returns>
    public async Task<IReadOnlyList<FlagAudit>> AuditAsync(string? appId, string? key, long? before, int limit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<AuditRow>(new CommandDefinition(
            """
            select id, at, who, app_id as AppId, key, action, before::text as Before, after::text as After, note
            from configuration.audit
            where (@appId::text is null or app_id = @appId) and (@key::text is null or key = @key) and (@before::bigint is null or id < @before)
            order by id desc limit @limit
            """, new { appId, key, before, limit }, cancellationToken: ct));
        return [.. rows.Select(row => row.ToAudit())];
    }

    /// <summary>The next draft that is due, or when that will be.</summary>
    public async Task<(string AppId, string Key, DateTimeOffset At)?> NextDueAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var row = await connection.QuerySingleOrDefaultAsync<DraftRow>(new CommandDefinition(
            $"select {DraftColumns} from configuration.draft where publish_at is not null order by publish_at limit 1", cancellationToken: ct));
        return row is null ? null : (row.AppId, row.Key, row.PublishAt!.Value);
    }

    /// <summary>Publishes a draft for whom scheduled it, if its time is still come; what is against it is noted at the draft.</summary>
    public async Task PublishDueAsync(string appId, string key, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var who = "";
        string? note = null;
        var (_, refusal) = await ChangeAsync(appId, key, "publish as scheduled", null, null, async (transaction, _) =>
        {
            var draft = await transaction.Connection!.QuerySingleOrDefaultAsync<DraftRow>(new CommandDefinition(
                $"delete from configuration.draft where app_id = @appId and key = @key and publish_at <= @now returning {DraftColumns}",
                new { appId, key, now }, transaction, cancellationToken: ct));
            (who, note) = (draft?.UpdatedBy ?? "", draft?.Note);
            return draft is null ? (null, NotDue) : (Read(draft.Body), null);
        }, ct, () => (who, note));
        if (refusal is not null && refusal != NotDue)
        {
            await using var connection = await database.OpenConnectionAsync(ct);
            await connection.ExecuteAsync(new CommandDefinition(
                "update configuration.draft set publish_at = null, problem = @Detail where app_id = @appId and key = @key and publish_at <= @now",
                new { appId, key, now, refusal.Detail }, cancellationToken: ct));
        }
    }

    private static readonly Refusal NotDue = new(409, "Another replica was first, or it was taken back.");

    private static Refusal NoDraft(string key) => new(404, $"There is no draft of the flag '{key}'. Save one first.");

    private static Refusal NoFlag(string key) => new(404, $"There is no flag '{key}' in force.");

    private static Flag Read(string body) => JsonSerializer.Deserialize<Flag>(body, Flag.Json)!;

    /// <summary>The lock on the one row puts all changes one after the other.</summary>
    private static Task<int> LockAsync(NpgsqlTransaction transaction, CancellationToken ct) => transaction.Connection!.ExecuteAsync(new CommandDefinition(
        "select version from configuration.state for update", transaction: transaction, cancellationToken: ct));

    /// <summary>One flag gets a new version, when what it and the others require is so.</summary>
    private async Task<(long Version, Refusal? Refusal)> ChangeAsync(
        string appId, string key, string action, string? note, string? who, Func<NpgsqlTransaction, FlagVersion?, Task<(Flag? Flag, Refusal? Refusal)>> next,
        CancellationToken ct, Func<(string Who, string? Note)>? byWhom = null)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await LockAsync(transaction, ct);
        var live = await LiveAsync(connection, transaction, appId, key, ct);
        var (flag, refusal) = await next(transaction, live);
        if (refusal is not null)
        {
            return (0, refusal);
        }
        var others = await connection.QueryAsync<(string Key, string Body)>(new CommandDefinition(
            "select key, body::text from configuration.flag where app_id = @appId and body is not null", new { appId }, transaction, cancellationToken: ct));
        if (FlagRules.CheckRequirements(key, flag, others.ToDictionary(one => one.Key, one => Read(one.Body), StringComparer.Ordinal)) is { } wrong)
        {
            return (0, new(409, wrong));
        }
        if (byWhom is not null)
        {
            (who, note) = byWhom();
        }
        var version = await connection.ExecuteScalarAsync<long>(new CommandDefinition(
            """
            update configuration.state set version = version + 1;
            insert into configuration.flag_version (app_id, key, version, body, published_at, published_by, note)
            select @appId, @key, version, @body::jsonb, @now, @who, @note from configuration.state;
            insert into configuration.flag (app_id, key, version, body, published_at, published_by)
            select @appId, @key, version, @body::jsonb, @now, @who from configuration.state
            on conflict (app_id, key) do update set version = excluded.version, body = excluded.body, published_at = excluded.published_at, published_by = excluded.published_by
            returning version
            """,
            new { appId, key, body = flag is null ? null : JsonSerializer.Serialize(flag, Flag.Json), now = time.GetUtcNow(), who, note }, transaction, cancellationToken: ct));
        await AuditAsync(transaction, who!, appId, key, action, live?.Flag, flag, note, ct);
        await transaction.CommitAsync(ct);
        return (version, null);
    }

    private Task<int> AuditAsync(NpgsqlTransaction transaction, string who, string appId, string key, string action, Flag? before, Flag? after, string? note, CancellationToken ct) =>
        transaction.Connection!.ExecuteAsync(new CommandDefinition(
            """
            insert into configuration.audit (at, who, app_id, key, action, before, after, note)
            values (@now, @who, @appId, @key, @action, @before::jsonb, @after::jsonb, @note)
            """,
            new
            {
                now = time.GetUtcNow(),
                who,
                appId,
                key,
                action,
                before = before is null ? null : JsonSerializer.Serialize(before, Flag.Json),
                after = after is null ? null : JsonSerializer.Serialize(after, Flag.Json),
                note,
            }, transaction, cancellationToken: ct));

    private static async Task<FlagVersion?> LiveAsync(NpgsqlConnection connection, NpgsqlTransaction? transaction, string appId, string key, CancellationToken ct) =>
        (await connection.QuerySingleOrDefaultAsync<VersionRow>(new CommandDefinition(
            """
            select version, body::text as Body, published_at as PublishedAt, published_by as PublishedBy
            from configuration.flag where app_id = @appId and key = @key and body is not null
            """, new { appId, key }, transaction, cancellationToken: ct)))?.ToVersion();

    private static async Task<FlagDraft?> DraftAsync(NpgsqlConnection connection, NpgsqlTransaction? transaction, string appId, string key, CancellationToken ct) =>
        (await connection.QuerySingleOrDefaultAsync<DraftRow>(new CommandDefinition(
            $"select {DraftColumns} from configuration.draft where app_id = @appId and key = @key", new { appId, key }, transaction, cancellationToken: ct)))?.ToDraft();
}
