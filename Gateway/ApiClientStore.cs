using System.Text.Json;
using Dapper;
using Npgsql;

namespace Gateway;

/// <summary>The tables of clients, keys and their audit.</summary>
internal sealed class ApiClientStore(NpgsqlDataSource database)
{
    private const int MostClients = 10_000;
    private const int MostKeys = 10;

    /// <returns>Null when nothing has changed since that version.</returns>
    public async Task<(long Version, IReadOnlyList<KeyRow> Keys)?> ReadAsync(long? known, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        // The version first: what changes in between is read again the next time.
        var version = await connection.ExecuteScalarAsync<long>(new CommandDefinition("select version from gateway.client_version", cancellationToken: ct));
        if (version == known)
        {
            return null;
        }
        var keys = await connection.QueryAsync<KeyRow>(new CommandDefinition(
            """
            select k.id, k.hash, k.client, c.plan
            from gateway.api_key k join gateway.client c on c.id = k.client
            where k.revoked_at is null
            """,
            cancellationToken: ct));
        return (version, [.. keys]);
    }

    /// <summary>To the minute, as a row that changes with every call would cost more than it tells.</summary>
    public async Task NoteUseAsync(Guid[] keys, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            """
            update gateway.api_key set last_used_at = now()
            where id = any (@keys) and (last_used_at is null or last_used_at < now() - interval '1 minute')
            """,
            new { keys }, cancellationToken: ct));
    }

    /// <returns>By id, from the one after <paramref name="after"/>.</returns>
    public async Task<IReadOnlyList<ListedClient>> ListAsync(string? id, string? after, int limit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var clients = (await connection.QueryAsync<ClientRow>(new CommandDefinition(
            """
            select id, name, plan, created_at as CreatedAt from gateway.client
            where (@id::text is null or id = @id) and (@after::text is null or id collate "C" > @after collate "C")
            order by id collate "C" limit @limit
            """,
            new { id, after, limit }, cancellationToken: ct))).AsList();
        var keys = (await connection.QueryAsync<ListedKeyRow>(new CommandDefinition(
            """
            select client, id, prefix, created_at as CreatedAt, last_used_at as LastUsedAt, revoked_at as RevokedAt
            from gateway.api_key where client = any (@ids) order by created_at, id
            """,
            new { ids = clients.Select(client => client.Id).ToArray() }, cancellationToken: ct))).ToLookup(key => key.Client);
        return [.. clients.Select(client => new ListedClient(client.Id, client.Name, client.Plan, client.CreatedAt,
            [.. keys[client.Id].Select(key => new ListedKey(key.Id, key.Prefix, key.CreatedAt, key.LastUsedAt, key.RevokedAt))]))];
    }

    /// <returns>What is refused; null when it is made, with its first key.</returns>
    public Task<ClientRefusal?> CreateAsync(ClientDraft client, string who, Guid keyId, string key, CancellationToken ct) =>
        ChangeAsync(async (connection, transaction) =>
        {
            if (await connection.ExecuteScalarAsync<long>(new CommandDefinition(
                "select count(*) from gateway.client", transaction: transaction, cancellationToken: ct)) >= MostClients)
            {
                return new(409, $"There are {MostClients} clients, which is the most there can be.");
            }
            var made = await connection.ExecuteAsync(new CommandDefinition(
                "insert into gateway.client (id, name, plan) values (@Id, @Name, @Plan) on conflict do nothing", client, transaction, cancellationToken: ct));
            if (made is 0)
            {
                return new(409, $"There is a client '{client.Id}' already. Take another id.");
            }
            await AuditAsync(transaction, who, client.Id!, "create", null, new { client.Name, client.Plan }, ct);
            return await InsertKeyAsync(transaction, client.Id!, who, keyId, key, ct);
        }, ct);

    public Task<ClientRefusal?> UpdateAsync(string id, ClientChange change, string who, CancellationToken ct) =>
        ChangeAsync(async (connection, transaction) =>
        {
            var before = await connection.QuerySingleOrDefaultAsync<ClientRow>(new CommandDefinition(
                "select id, name, plan, created_at as CreatedAt from gateway.client where id = @id", new { id }, transaction, cancellationToken: ct));
            if (before is null)
            {
                return NoClient(id);
            }
            var after = new { id, Name = change.Name ?? before.Name, Plan = change.Plan ?? before.Plan };
            await connection.ExecuteAsync(new CommandDefinition(
                "update gateway.client set name = @Name, plan = @Plan where id = @id", after, transaction, cancellationToken: ct));
            await AuditAsync(transaction, who, id, "update", new { before.Name, before.Plan }, new { after.Name, after.Plan }, ct);
            return null;
        }, ct);

    public Task<ClientRefusal?> AddKeyAsync(string id, string who, Guid keyId, string key, CancellationToken ct) =>
        ChangeAsync(async (connection, transaction) =>
        {
            var keys = await connection.ExecuteScalarAsync<long?>(new CommandDefinition(
                """
                select (select count(*) from gateway.api_key k where k.client = c.id and k.revoked_at is null) from gateway.client c where c.id = @id
                """,
                new { id }, transaction, cancellationToken: ct));
            return keys switch
            {
                null => NoClient(id),
                >= MostKeys => new(409, $"The client '{id}' has {MostKeys} keys, which is the most there can be. Revoke one first."),
                _ => await InsertKeyAsync(transaction, id, who, keyId, key, ct),
            };
        }, ct);

    /// <summary>Nothing changes when it is revoked already.</summary>
    public Task<ClientRefusal?> RevokeKeyAsync(string id, Guid keyId, string who, CancellationToken ct) =>
        ChangeAsync(async (connection, transaction) =>
        {
            var revoked = await connection.ExecuteScalarAsync<bool?>(new CommandDefinition(
                "select revoked_at is not null from gateway.api_key where id = @keyId and client = @id", new { id, keyId }, transaction, cancellationToken: ct));
            if (revoked is null)
            {
                return new(404, $"The client '{id}' has no key {keyId}.");
            }
            if (revoked is false)
            {
                await connection.ExecuteAsync(new CommandDefinition(
                    "update gateway.api_key set revoked_at = now() where id = @keyId", new { keyId }, transaction, cancellationToken: ct));
                await AuditAsync(transaction, who, id, "revoke key", new { Key = keyId }, null, ct);
            }
            return null;
        }, ct);

    /// <returns>The newest first.</returns>
    public async Task<IReadOnlyList<ClientAuditEntry>> AuditAsync(string id, long? before, int limit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<AuditRow>(new CommandDefinition(
            """
            select id, at, who, action, before::text as Before, after::text as After from gateway.client_audit
            where client = @id and (@before::bigint is null or id < @before) order by id desc limit @limit
            """,
            new { id, before, limit }, cancellationToken: ct));
        return [.. rows.Select(row => new ClientAuditEntry(row.Id, row.At, row.Who, row.Action, Parse(row.Before), Parse(row.After)))];
    }

    private static ClientRefusal NoClient(string id) => new(404, $"There is no client '{id}'.");

    private static JsonElement? Parse(string? json) => json is null ? null : JsonElement.Parse(json);

    private static async Task<ClientRefusal?> InsertKeyAsync(NpgsqlTransaction transaction, string id, string who, Guid keyId, string key, CancellationToken ct)
    {
        var prefix = ApiKeys.PrefixOf(key);
        await transaction.Connection!.ExecuteAsync(new CommandDefinition(
            "insert into gateway.api_key (id, client, hash, prefix) values (@keyId, @id, @hash, @prefix)",
            new { keyId, id, hash = ApiKeys.Hash(key).ToBytes(), prefix }, transaction, cancellationToken: ct));
        await AuditAsync(transaction, who, id, "add key", null, new { Key = keyId, Prefix = prefix }, ct);
        return null;
    }

    private static Task<int> AuditAsync(NpgsqlTransaction transaction, string who, string client, string action, object? before, object? after, CancellationToken ct) =>
        transaction.Connection!.ExecuteAsync(new CommandDefinition(
            "insert into gateway.client_audit (who, client, action, before, after) values (@who, @client, @action, @before::jsonb, @after::jsonb)",
            new { who, client, action, before = Json(before), after = Json(after) }, transaction, cancellationToken: ct));

    private static string? Json(object? value) => value is null ? null : JsonSerializer.Serialize(value, JsonSerializerOptions.Web);

    /// <summary>The lock on the version's row puts all changes one after the other.</summary>
    private async Task<ClientRefusal?> ChangeAsync(Func<NpgsqlConnection, NpgsqlTransaction, Task<ClientRefusal?>> change, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("update gateway.client_version set version = version + 1", transaction: transaction, cancellationToken: ct));
        if (await change(connection, transaction) is { } refusal)
        {
            return refusal;
        }
        await transaction.CommitAsync(ct);
        return null;
    }

    private sealed record ClientRow(string Id, string Name, string Plan, DateTime CreatedAt);

    private sealed record ListedKeyRow(string Client, Guid Id, string Prefix, DateTime CreatedAt, DateTime? LastUsedAt, DateTime? RevokedAt);

    private sealed record AuditRow(long Id, DateTime At, string Who, string Action, string? Before, string? After);
}

internal sealed record KeyRow(Guid Id, byte[] Hash, string Client, string Plan);

/// <summary>Why a change was not made.</summary>
internal sealed record ClientRefusal(int Status, string Detail);
