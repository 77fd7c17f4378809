using System.Text.Json;
using Dapper;
using Npgsql;

namespace MobileServices.Push.Messages;

/// <summary>Contents with a name, for messages and for events.</summary>
internal sealed class TemplateStore(NpgsqlDataSource database, TimeProvider time)
{
    public async Task<IReadOnlyDictionary<string, PushContent>> ListAsync(string app, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await connection.QueryAsync<(string Name, string Content)>(new CommandDefinition(
            "select name, content::text from push.template where app_id = @app order by name", new { app }, cancellationToken: ct))).ToDictionary(row => row.Name, row => Read(row.Content));
    }

    public async Task<PushContent?> FindAsync(string app, string name, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await FindAsync(connection, null, app, name, ct);
    }

    public static async Task<PushContent?> FindAsync(NpgsqlConnection connection, NpgsqlTransaction? transaction, string app, string name, CancellationToken ct)
    {
        var content = await connection.ExecuteScalarAsync<string>(new CommandDefinition(
            "select content::text from push.template where app_id = @app and name = @name", new { app, name }, transaction, cancellationToken: ct));
        return content is null ? null : Read(content);
    }

    public async Task PutAsync(string app, string name, PushContent content, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            """
            insert into push.template (app_id, name, content, updated_at, updated_by) values (@app, @name, @content::jsonb, @now, @who)
            on conflict (app_id, name) do update set content = excluded.content, updated_at = excluded.updated_at, updated_by = excluded.updated_by
            """, new { app, name, content = JsonSerializer.Serialize(content, PushContent.Json), now = time.GetUtcNow(), who }, cancellationToken: ct));
    }

    public async Task<bool> DeleteAsync(string app, string name, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition("delete from push.template where app_id = @app and name = @name", new { app, name }, cancellationToken: ct)) > 0;
    }

    private static PushContent Read(string content) => JsonSerializer.Deserialize<PushContent>(content, PushContent.Json)!;
}
