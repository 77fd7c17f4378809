using System.Text;
using System.Text.Json;
using MobileServices.Sync.Databases;
using Npgsql;

namespace MobileServices.Sync.Documents;

/// <summary>The documents in the order of their ids, bytes compared: https://docs.couchdb.org/en/stable/api/database/bulk-api.html#db-all-docs.</summary>
internal sealed class AllDocs(NpgsqlDataSource source, DatabaseStore databases, DocumentStore documents, DocumentJson json)
{
    private const int PageRows = 500;

    public static Task GetAsync(HttpContext http, AllDocs all) => all.AnswerAsync(SyncCall.ToRead(http), default, "");

    public static async Task PostAsync(HttpContext http, AllDocs all, RequestBodies bodies)
    {
        var call = SyncCall.ToRead(http);
        using var body = await bodies.ReadAsync(call, emptyIsObject: true);
        await all.AnswerAsync(call, body.Object, "");
    }

    /// <summary>The same of design documents alone.</summary>
    public static Task DesignDocsAsync(HttpContext http, AllDocs all) => all.AnswerAsync(SyncCall.ToRead(http), default, "_design/");

    private async Task AnswerAsync(SyncCall call, JsonElement body, string prefix)
    {
        var range = Range.Read(call, body, prefix);
        var database = await databases.FindAsync(call);
        call.Http.Response.ContentType = "application/json";
        var answer = new JsonOut(call.Http.Response);
        answer.Raw("{\"total_rows\":"u8);
        answer.Number(database.DocCount);
        answer.Raw(",\"offset\":"u8);
        answer.Number(range.Skip);
        if (call.Query.Flag("update_seq"))
        {
            answer.Raw(",\"update_seq\":\""u8);
            answer.Raw(database.Sequence(database.UpdateSeq));
            answer.Raw("\""u8);
        }
        answer.Raw(",\"rows\":[\n"u8);
        if (range.Keys is { } keys)
        {
            await KeysAsync(call, database, keys, range, answer);
        }
        else
        {
            await RangeAsync(call, database, range, answer);
        }
        answer.Raw("\n]}\n"u8);
        await answer.SendAsync(call.Aborted);
    }

    private async Task RangeAsync(SyncCall call, DatabaseRow database, Range range, JsonOut answer)
    {
        var left = range.Limit;
        var skip = range.Skip;
        string? after = null;
        var isFirst = true;
        while (left > 0)
        {
            var rows = (int)Math.Min(left, PageRows);
            var (page, isLast) = await PageAsync(database.Id, range, after, skip, rows, call.Aborted);
            skip = 0;
            foreach (var row in page)
            {
                answer.Raw(isFirst ? ""u8 : ",\n"u8);
                isFirst = false;
                await RowAsync(answer, row.Id, row, range, call.Aborted);
                after = row.Id;
                left--;
            }
            if (isLast)
            {
                return;
            }
        }
    }

    private async Task<(List<StoredDocument> Rows, bool IsLast)> PageAsync(long databaseId, Range range, string? after, long skip, int rows, CancellationToken ct)
    {
        var sql = new StringBuilder(range.IncludeDocs ? "select *" : "select d.doc_id, d.seq, d.rev, d.deleted, d.others").Append(" from sync.document d where d.db_id = $1 and not d.deleted");
        await using var command = source.CreateCommand();
        command.Parameters.Add(new() { Value = databaseId });
        Compare(range.From, range.Descending ? "<=" : ">=");
        Compare(range.To, (range.Descending, range.IncludesEnd) switch { (true, true) => ">=", (true, false) => ">", (false, true) => "<=", _ => "<" });
        Compare(after, range.Descending ? "<" : ">");
        var order = range.Descending ? "d.doc_id desc" : "d.doc_id";
        command.Parameters.Add(new() { Value = rows });
        sql.Append(" order by ").Append(order).Append(" limit $").Append(command.Parameters.Count);
        command.Parameters.Add(new() { Value = skip });
        sql.Append(" offset $").Append(command.Parameters.Count);
        command.CommandText = range.IncludeDocs ? DocumentStore.Page(sql.ToString(), order) : sql.ToString();
        await using var reader = await command.ExecuteReaderAsync(ct);
        var (found, count) = (new List<StoredDocument>(), 0L);
        while (await reader.ReadAsync(ct))
        {
            found.Add(range.IncludeDocs
                ? DocumentStore.Read(reader)
                : new(reader.GetString(0), reader.GetInt64(1), reader.GetString(2), reader.GetBoolean(3), reader.IsDBNull(4) ? null : reader.GetString(4), [], [], null));
            count = range.IncludeDocs ? reader.GetInt64(reader.FieldCount - 1) : found.Count;
        }
        return (found, found.Count == count && count < rows);

        void Compare(string? key, string how)
        {
            if (key is not null)
            {
                command.Parameters.Add(new() { Value = key });
                sql.Append(" and d.doc_id ").Append(how).Append(" $").Append(command.Parameters.Count);
            }
        }
    }

    private async Task KeysAsync(SyncCall call, DatabaseRow database, List<string> keys, Range range, JsonOut answer)
    {
        IEnumerable<string> wanted = range.Descending ? Enumerable.Reverse(keys) : keys;
        var isFirst = true;
        var left = wanted.Skip((int)Math.Min(range.Skip, int.MaxValue)).Take((int)Math.Min(range.Limit, int.MaxValue)).ToList();
        for (var next = 0; next < left.Count;)
        {
            var page = await documents.PageAsync(database.Id, left.Skip(next).Select(id => id.Contains('\0', StringComparison.Ordinal) ? "" : id), call.Aborted);
            foreach (var row in page)
            {
                answer.Raw(isFirst ? ""u8 : ",\n"u8);
                isFirst = false;
                await RowAsync(answer, left[next++], row, range, call.Aborted);
            }
        }
    }

    private async Task RowAsync(JsonOut answer, string key, StoredDocument? row, Range range, CancellationToken ct)
    {
        if (row is null)
        {
            answer.Raw("{\"key\":"u8);
            answer.Text(key);
            answer.Raw(",\"error\":\"not_found\"}"u8);
            return;
        }
        answer.Raw("{\"id\":"u8);
        answer.Text(row.Id);
        answer.Raw(",\"key\":"u8);
        answer.Text(row.Id);
        answer.Raw(",\"value\":{\"rev\":\""u8);
        answer.Raw(row.Rev);
        answer.Raw(row.Deleted ? "\",\"deleted\":true}"u8 : "\"}"u8);
        if (range.IncludeDocs)
        {
            answer.Raw(",\"doc\":"u8);
            if (row.Deleted)
            {
                answer.Raw("null"u8);
            }
            else
            {
                await json.WriteAsync(answer, row, row.Winner, new(Conflicts: range.Conflicts, Attachments: range.Attachments) { EncodingInfo = range.EncodingInfo }, ct);
            }
        }
        answer.Raw("}"u8);
        await answer.SendSomeAsync(ct);
    }

    private sealed record Range(
        List<string>? Keys, string? From, string? To, bool IncludesEnd, bool Descending, long Skip, long Limit, bool IncludeDocs, bool Conflicts, bool Attachments, bool EncodingInfo)
    {
        public static Range Read(SyncCall call, JsonElement body, string prefix)
        {
            var query = call.Query;
            var key = Text("key", null);
            var descending = Is("descending");
            var from = key ?? Text("startkey", "start_key");
            var to = key ?? Text("endkey", "end_key");
            if (prefix.Length > 0)
            {
                var (low, high) = descending ? (to, from) : (from, to);
                low = low is null || string.CompareOrdinal(low, prefix) < 0 ? prefix : low;
                high = high is null || string.CompareOrdinal(high, "_design0") > 0 ? "_design0" : high;
                (from, to) = descending ? (high, low) : (low, high);
            }
            var keys = Member("keys") is { } list ? SyncQuery.Texts(list, "keys") : null;
            return new(
                keys, from, to, Is("inclusive_end", true), descending, Count("skip") ?? 0, Count("limit") ?? long.MaxValue,
                Is("include_docs"), Is("conflicts"), Is("attachments"), Is("att_encoding_info"));

            JsonElement? Member(string name) => body.ValueKind is JsonValueKind.Object && body.TryGetProperty(name, out var sent) ? sent : query.Json(name);

            string? Text(string name, string? other) => (Member(name) ?? (other is null ? null : Member(other))) switch
            {
                null or { ValueKind: JsonValueKind.Null } => null,
                { ValueKind: JsonValueKind.String } text => text.GetString(),
                // Ids are texts, and all texts come after numbers and before objects.
                { ValueKind: JsonValueKind.Object or JsonValueKind.Array } => "\U0010FFFF",
                _ => "",
            };

            bool Is(string name, bool otherwise = false) => body.ValueKind is JsonValueKind.Object && body.TryGetProperty(name, out var sent)
                ? sent.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => throw SyncException.Query($"Invalid boolean parameter: {sent}") }
                : query.Flag(name, otherwise);

            long? Count(string name) => body.ValueKind is JsonValueKind.Object && body.TryGetProperty(name, out var sent)
                ? sent.ValueKind is JsonValueKind.Number && sent.TryGetInt64(out var count) && count >= 0 ? count : throw SyncException.Query($"Invalid value for integer: {sent}")
                : query.Number(name);
        }
    }
}
