using System.Globalization;
using System.Text;
using System.Text.Json;
using MobileServices.Sync.Checkpoints;
using MobileServices.Sync.Databases;
using Npgsql;

namespace MobileServices.Sync.Documents;

/// <summary>Documents that are not replicated: the checkpoints of replications. Each has one revision, <c>0-N</c>.</summary>
internal sealed class LocalDocuments([FromKeyedServices(SyncSetup.Prepared)] NpgsqlDataSource source, DatabaseStore databases, DeviceStates devices)
{
    public async Task GetAsync(SyncCall call, string id)
    {
        var database = await databases.FindAsync(call);
        await using var command = source.CreateCommand("select rev, body from sync.local_document where db_id = $1 and doc_id = $2");
        command.Parameters.Add(new() { Value = database.Id });
        command.Parameters.Add(new() { Value = id });
        await using var reader = await command.ExecuteReaderAsync(call.Aborted);
        if (!await reader.ReadAsync(call.Aborted))
        {
            throw SyncException.Missing();
        }
        var json = new JsonOut(call.Http.Response);
        Write(json, id, reader.GetInt64(0), reader.GetFieldValue<byte[]>(1));
        json.Raw("\n"u8);
        call.Http.Response.ContentType = "application/json";
        call.Http.Response.ContentLength = json.Written.Length;
        await json.SendAsync(call.Aborted);
    }

    public async Task PutAsync(SyncCall call, string id, JsonElement body)
    {
        var database = await databases.FindAsync(call);
        var document = Read(call, body, out var expected);
        var written = await SaveAsync(database.Id, id, document, call.Query.Text("rev") ?? expected, call.Aborted) ?? throw SyncException.Conflict();
        if (document is not null)
        {
            devices.Kept(call, database, body);
        }
        await AnswerAsync(call.Http, id, written, document is null ? 200 : 201);
    }

    public async Task DeleteAsync(SyncCall call, string id)
    {
        var database = await databases.FindAsync(call);
        if (!await DeleteAsync(database.Id, id, NumberOf(call.Query.Text("rev")), call.Aborted))
        {
            throw SyncException.Missing();
        }
        await AnswerAsync(call.Http, id, 0, 200);
    }

    /// <summary>As part of <c>_bulk_docs</c>.</summary>
    public async Task<string?> SaveAsync(SyncCall call, string id, JsonElement body)
    {
        var database = await databases.FindAsync(call);
        var document = Read(call, body, out var expected);
        if (await SaveAsync(database.Id, id, document, expected, call.Aborted) is not { } rev)
        {
            return null;
        }
        if (document is not null)
        {
            devices.Kept(call, database, body);
        }
        return string.Create(CultureInfo.InvariantCulture, $"0-{rev}");
    }

    public async Task ListAsync(SyncCall call)
    {
        var database = await databases.FindAsync(call);
        await using var command = source.CreateCommand("select doc_id, rev, body from sync.local_document where db_id = $1 order by doc_id limit 1000");
        command.Parameters.Add(new() { Value = database.Id });
        await using var reader = await command.ExecuteReaderAsync(call.Aborted);
        var json = new JsonOut(call.Http.Response);
        call.Http.Response.ContentType = "application/json";
        json.Raw("{\"total_rows\":null,\"offset\":null,\"rows\":[\n"u8);
        var isFirst = true;
        while (await reader.ReadAsync(call.Aborted))
        {
            json.Raw(isFirst ? "{\"id\":"u8 : ",\n{\"id\":"u8);
            isFirst = false;
            json.Text(reader.GetString(0));
            json.Raw(",\"key\":"u8);
            json.Text(reader.GetString(0));
            json.Raw(",\"value\":{\"rev\":\"0-"u8);
            json.Number(reader.GetInt64(1));
            json.Raw("\"}"u8);
            if (call.Query.Flag("include_docs"))
            {
                json.Raw(",\"doc\":"u8);
                Write(json, reader.GetString(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(2));
            }
            json.Raw("}"u8);
        }
        json.Raw("\n]}\n"u8);
        await json.SendAsync(call.Aborted);
    }

    /// <param name="body">Null to delete it.</param>
    /// <returns>The new revision, 0 of what is deleted; null for a conflict.</returns>
    private async Task<long?> SaveAsync(long databaseId, string id, string? body, string? expected, CancellationToken ct)
    {
        if (body is null)
        {
            return await DeleteAsync(databaseId, id, NumberOf(expected), ct) || !await IsThereAsync(databaseId, id, ct) ? 0 : null;
        }
        // The first of them has no revision to name; a checkpoint that was lost may name one that is not there.
        await using var command = source.CreateCommand("""
            insert into sync.local_document as d (db_id, doc_id, rev, body) values ($1, $2, 1, $3)
            on conflict (db_id, doc_id) do update set rev = d.rev + 1, body = excluded.body where d.rev = $4
            returning rev
            """);
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = id });
        command.Parameters.Add(new() { Value = body });
        command.Parameters.Add(new() { Value = NumberOf(expected) ?? -1 });
        return await command.ExecuteScalarAsync(ct) as long?;
    }

    private async Task<bool> DeleteAsync(long databaseId, string id, long? rev, CancellationToken ct)
    {
        await using var command = source.CreateCommand("delete from sync.local_document where db_id = $1 and doc_id = $2 and ($3::bigint is null or rev = $3)");
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = id });
        command.Parameters.Add(new() { Value = rev ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bigint });
        return await command.ExecuteNonQueryAsync(ct) > 0;
    }

    private async Task<bool> IsThereAsync(long databaseId, string id, CancellationToken ct)
    {
        await using var command = source.CreateCommand("select 1 from sync.local_document where db_id = $1 and doc_id = $2");
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = id });
        return await command.ExecuteScalarAsync(ct) is not null;
    }

    private static long? NumberOf(string? rev) => rev is not { Length: > 0 } ? null
        : rev.StartsWith("0-", StringComparison.Ordinal) && long.TryParse(rev.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : throw SyncException.Bad("Invalid rev format");

    /// <summary>The members but for <c>_id</c>, <c>_rev</c> and <c>_deleted</c>; null when that is true.</summary>
    private static string? Read(SyncCall call, JsonElement body, out string? rev)
    {
        rev = body.TryGetProperty("_rev", out var named) && named.ValueKind is JsonValueKind.String ? named.GetString() : null;
        if (body.TryGetProperty("_deleted", out var deleted) && NewDocument.IsDeleted(deleted))
        {
            return null;
        }
        var json = new JsonOut();
        json.Raw("{"u8);
        var isFirst = true;
        foreach (var member in body.EnumerateObject().Where(member => member.Name is not ("_id" or "_rev" or "_deleted")))
        {
            json.Raw(isFirst ? ""u8 : ","u8);
            isFirst = false;
            json.Text(member.Name);
            json.Raw(":"u8);
            json.Raw(member.Value.GetRawText());
        }
        json.Raw("}"u8);
        return json.Written.Length <= call.Options.DocumentBytes ? Encoding.UTF8.GetString(json.Written.Span)
            : throw SyncException.TooLarge($"The document has more than {call.Options.DocumentBytes} bytes.");
    }

    private static void Write(JsonOut json, string id, long rev, byte[] body)
    {
        json.Raw("{\"_id\":"u8);
        json.Text(id);
        json.Raw(",\"_rev\":\"0-"u8);
        json.Number(rev);
        json.Raw(body.Length > 2 ? "\","u8 : "\""u8);
        json.Raw(body.AsSpan(1));
    }

    private static Task AnswerAsync(HttpContext http, string id, long rev, int status)
    {
        http.Response.StatusCode = status;
        return http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("ok", true);
            json.WriteString("id", id);
            json.WriteString("rev", string.Create(CultureInfo.InvariantCulture, $"0-{rev}"));
            json.WriteEndObject();
        });
    }
}
