using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using MobileServices.Sync.Checkpoints;
using MobileServices.Sync.Databases;
using Npgsql;

namespace MobileServices.Sync.Documents;

/// <summary>
/// Documents that are not replicated, such as the checkpoints of replications: https://docs.couchdb.org/en/stable/api/local.html. Each has one revision, <c>0-N</c>.
/// </summary>
internal sealed class LocalDocuments([FromKeyedServices(SyncSetup.Prepared)] NpgsqlDataSource source, DatabaseStore databases, DeviceStates devices, IOptions<SyncOptions> options)
{
    private const int PageRows = 500;
    private const int PageBytes = 2_097_152;

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
            throw await IsThereAsync(database.Id, id, call.Aborted) ? SyncException.Conflict() : SyncException.Missing();
        }
        await AnswerAsync(call.Http, id, 0, 200);
    }

    /// <exception cref="SyncException">It is one of them.</exception>
    public static void RefuseAttachments(string id)
    {
        if (id.StartsWith("_local/", StringComparison.Ordinal))
        {
            throw SyncException.Bad("_local documents do not accept attachments.");
        }
    }

    /// <summary>Its members; null when it is not there.</summary>
    public async Task<byte[]?> BodyAsync(long databaseId, string id, CancellationToken ct)
    {
        await using var command = source.CreateCommand("select body from sync.local_document where db_id = $1 and doc_id = $2");
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = id });
        await using var reader = await command.ExecuteReaderAsync(ct);
        return await reader.ReadAsync(ct) ? reader.GetFieldValue<byte[]>(0) : null;
    }

    /// <summary>A copy of another document, with the members that it has.</summary>
    public async Task PutCopyAsync(SyncCall call, DatabaseRow database, string id, byte[] members, string? rev) =>
        await AnswerAsync(call.Http, id, await SaveAsync(database.Id, id, Encoding.UTF8.GetString(members), rev, call.Aborted) ?? throw SyncException.Conflict(), 201);

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

    /// <summary>All of them in the order of their ids, a page in memory at a time.</summary>
    public async Task ListAsync(SyncCall call)
    {
        var database = await databases.FindAsync(call);
        var withBody = call.Query.Flag("include_docs");
        var json = new JsonOut(call.Http.Response);
        call.Http.Response.ContentType = "application/json";
        json.Raw("{\"total_rows\":null,\"offset\":null,\"rows\":[\n"u8);
        var after = "";
        for (var page = await PageAsync(database.Id, after, withBody, call.Aborted); page.Count > 0; page = await PageAsync(database.Id, after, withBody, call.Aborted))
        {
            foreach (var (id, rev, body) in page)
            {
                json.Raw(after.Length is 0 ? "{\"id\":"u8 : ",\n{\"id\":"u8);
                after = id;
                json.Text(id);
                json.Raw(",\"key\":"u8);
                json.Text(id);
                json.Raw(",\"value\":{\"rev\":\"0-"u8);
                json.Number(rev);
                json.Raw("\"}"u8);
                if (body is not null)
                {
                    json.Raw(",\"doc\":"u8);
                    Write(json, id, rev, body);
                }
                json.Raw("}"u8);
                await json.SendSomeAsync(call.Aborted);
            }
        }
        json.Raw("\n]}\n"u8);
        await json.SendAsync(call.Aborted);
    }

    private async Task<List<(string Id, long Rev, byte[]? Body)>> PageAsync(long databaseId, string after, bool withBody, CancellationToken ct)
    {
        await using var command = source.CreateCommand($"""
            select doc_id, rev, body from (
                select doc_id, rev, {(withBody ? "body" : "null::text as body")}, {(withBody ? "coalesce(sum(octet_length(body)) over (order by doc_id rows between unbounded preceding and 1 preceding), 0)" : "0")} as before
                from (select * from sync.local_document where db_id = $1 and doc_id > $2 order by doc_id limit {PageRows}) as next) as page
            where before < {PageBytes} order by doc_id
            """);
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = after });
        await using var reader = await command.ExecuteReaderAsync(ct);
        var page = new List<(string, long, byte[]?)>();
        while (await reader.ReadAsync(ct))
        {
            page.Add((reader.GetString(0), reader.GetInt64(1), reader.IsDBNull(2) ? null : reader.GetFieldValue<byte[]>(2)));
        }
        return page;
    }

    /// <param name="body">Null to delete it.</param>
    /// <returns>The new revision, 0 of what is deleted; null for a conflict.</returns>
    /// <exception cref="SyncException">The database holds as much of them as it may.</exception>
    private async Task<long?> SaveAsync(long databaseId, string id, string? body, string? expected, CancellationToken ct)
    {
        if (body is null)
        {
            return await DeleteAsync(databaseId, id, NumberOf(expected), ct) || !await IsThereAsync(databaseId, id, ct) ? 0 : null;
        }
        // The first of them has no revision to name; a checkpoint that was lost may name one that is not there.
        var (rev, fits) = await CountedAsync(databaseId, """
            with added as (
                select count(*) = 0 as is_new, octet_length($3) - coalesce(sum(octet_length(body)), 0) as bytes from sync.local_document where db_id = $1 and doc_id = $2),
            fitting as (
                select from sync.local_total t, added a where t.db_id = $1
                    and (not a.is_new or t.documents < $5) and (a.bytes <= 0 or t.bytes + a.bytes <= $6)),
            written as (
                insert into sync.local_document as d (db_id, doc_id, rev, body) select $1, $2, 1, $3 where exists (select from fitting)
                on conflict (db_id, doc_id) do update set rev = d.rev + 1, body = excluded.body where d.rev = $4
                returning rev),
            counted as (
                update sync.local_total t set documents = t.documents + a.is_new::int, bytes = t.bytes + a.bytes from added a where t.db_id = $1 and exists (select from written))
            select (select rev from written), exists (select from fitting)
            """, ct, id, body, NumberOf(expected) ?? -1, options.Value.MostLocalDocuments, options.Value.MostLocalBytes);
        return fits ? rev : throw SyncException.TooLarge(
            $"The database is full: it may hold {options.Value.MostLocalDocuments} documents that are not replicated (Sync:MostLocalDocuments) and {options.Value.MostLocalBytes} bytes of them (Sync:MostLocalBytes). Delete some.");
    }

    private async Task<bool> DeleteAsync(long databaseId, string id, long? rev, CancellationToken ct) => (await CountedAsync(databaseId, """
        with gone as (
            delete from sync.local_document where db_id = $1 and doc_id = $2 and ($3::bigint is null or rev = $3) returning rev, octet_length(body) as bytes),
        counted as (
            update sync.local_total t set documents = t.documents - 1, bytes = t.bytes - g.bytes from gone g where t.db_id = $1)
        select (select rev from gone), true
        """, ct, id, new NpgsqlParameter { Value = rev ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bigint })).Rev is not null;

    /// <summary>A statement in a transaction of its own, that sees what was counted before: under the lock of the count.</summary>
    private async Task<(long? Rev, bool Fits)> CountedAsync(long databaseId, string sql, CancellationToken ct, params object[] values)
    {
        await using var batch = source.CreateBatch();
        Add("insert into sync.local_total (db_id) values ($1) on conflict do nothing", []);
        Add("select 1 from sync.local_total where db_id = $1 for update", []);
        Add(sql, values);
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        await reader.ReadAsync(ct);
        return (reader.IsDBNull(0) ? null : reader.GetInt64(0), reader.GetBoolean(1));

        void Add(string text, object[] more)
        {
            var command = new NpgsqlBatchCommand(text) { Parameters = { new() { Value = databaseId } } };
            foreach (var value in more)
            {
                command.Parameters.Add(value as NpgsqlParameter ?? new() { Value = value });
            }
            batch.BatchCommands.Add(command);
        }
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
