using System.Text;
using System.Text.Json;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using Npgsql;

namespace MobileServices.Sync.Queries;

/// <summary>
/// Documents by a selector: https://docs.couchdb.org/en/stable/api/database/find.html. Every document of the database is looked at, as there are no
/// indexes here.
/// </summary>
internal sealed class Find(NpgsqlDataSource source, DatabaseStore databases)
{
    private const int PageRows = 200;
    private const int MostSorted = 20_000;
    private const int UsualLimit = 25;

    public static async Task PostAsync(HttpContext http, Find find, RequestBodies bodies)
    {
        var call = SyncCall.ToRead(http);
        using var body = await bodies.ReadAsync(call);
        await find.AnswerAsync(call, Query.Read(body.Object));
    }

    private async Task AnswerAsync(SyncCall call, Query query)
    {
        var database = await databases.FindAsync(call);
        var answer = new JsonOut(call.Http.Response);
        call.Http.Response.ContentType = "application/json";
        answer.Raw("{\"docs\":["u8);
        var sorted = new List<JsonElement>();
        var (skip, left, sent) = (query.Skip, query.Limit, 0L);
        var after = query.Sort.Count is 0 ? query.Bookmark ?? "" : "";
        var isFirst = true;
        while (left > 0)
        {
            var page = await PageAsync(database.Id, after, call.Aborted);
            foreach (var row in page)
            {
                after = row.Id;
                using var document = row.ToJson(query.Conflicts);
                if (!query.Where(document.RootElement))
                {
                    continue;
                }
                if (query.Sort.Count > 0)
                {
                    sorted.Add(document.RootElement.Clone());
                    if (sorted.Count > MostSorted)
                    {
                        throw SyncException.Bad($"More than {MostSorted} documents would have to be sorted. Ask for less of them.");
                    }
                    continue;
                }
                if (skip-- > 0)
                {
                    continue;
                }
                await WriteAsync(answer, document.RootElement, query, isFirst, call.Aborted);
                isFirst = false;
                sent++;
                if (--left is 0)
                {
                    break;
                }
            }
            if (page.Count < PageRows)
            {
                break;
            }
        }
        if (query.Sort.Count > 0)
        {
            var from = query.Skip + (long.TryParse(query.Bookmark, out var earlier) ? earlier : 0);
            sorted.Sort(query.Compare);
            foreach (var document in sorted.Skip((int)Math.Min(from, int.MaxValue)).Take((int)Math.Min(query.Limit, int.MaxValue)))
            {
                await WriteAsync(answer, document, query, isFirst, call.Aborted);
                isFirst = false;
                sent++;
            }
            after = (from + sent).ToString(System.Globalization.CultureInfo.InvariantCulture);
        }
        answer.Raw("],\"bookmark\":"u8);
        answer.Text(sent is 0 ? "nil" : Convert.ToBase64String(Encoding.UTF8.GetBytes(after)));
        answer.Raw(",\"warning\":\"All documents of the database were looked at: there are no indexes here.\"}\n"u8);
        await answer.SendAsync(call.Aborted);
    }

    private async Task<List<StoredDocument>> PageAsync(long databaseId, string after, CancellationToken ct)
    {
        await using var command = source.CreateCommand(
            $"select {DocumentStore.Columns} from sync.document d where d.db_id = $1 and d.doc_id > $2 and not d.deleted and not d.doc_id like '\\_design/%' order by d.doc_id limit {PageRows}");
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = after });
        await using var reader = await command.ExecuteReaderAsync(ct);
        var page = new List<StoredDocument>();
        while (await reader.ReadAsync(ct))
        {
            page.Add(DocumentStore.Read(reader));
        }
        return page;
    }

    private static async Task WriteAsync(JsonOut answer, JsonElement document, Query query, bool isFirst, CancellationToken ct)
    {
        answer.Raw(isFirst ? "\n"u8 : ",\n"u8);
        answer.Raw(query.Fields is null ? document.GetRawText() : Chosen(document, query.Fields));
        await answer.SendSomeAsync(ct);
    }

    private static string Chosen(JsonElement document, List<string[]> fields)
    {
        var chosen = new System.Text.Json.Nodes.JsonObject();
        foreach (var path in fields)
        {
            if (Selector.At(document, path) is not { } value)
            {
                continue;
            }
            var parent = chosen;
            foreach (var name in path[..^1])
            {
                if (parent[name] is not System.Text.Json.Nodes.JsonObject child)
                {
                    parent[name] = child = [];
                }
                parent = child;
            }
            parent[path[^1]] = System.Text.Json.Nodes.JsonNode.Parse(value.GetRawText());
        }
        return chosen.ToJsonString();
    }

    private sealed record Query(Func<JsonElement, bool> Where, List<string[]>? Fields, List<(string[] Path, bool Descending)> Sort, long Limit, long Skip, string? Bookmark, bool Conflicts)
    {
        public int Compare(JsonElement one, JsonElement other)
        {
            foreach (var (path, descending) in Sort)
            {
                var order = (Selector.At(one, path), Selector.At(other, path)) switch
                {
                    (null, null) => 0,
                    (null, _) => -1,
                    (_, null) => 1,
                    var (value, otherValue) => Collation.Compare(value.Value, otherValue.Value),
                };
                if (order is not 0)
                {
                    return descending ? -order : order;
                }
            }
            return string.CompareOrdinal(one.GetProperty("_id").GetString(), other.GetProperty("_id").GetString());
        }

        public static Query Read(JsonElement json)
        {
            var condition = Selector.Read(json.TryGetProperty("selector", out var selector) ? selector : throw new SyncException(400, "missing_required_key", "Missing required key: selector"));
            var fields = json.TryGetProperty("fields", out var names) && names.ValueKind is JsonValueKind.Array && names.GetArrayLength() > 0 ? SyncQuery.Texts(names, "fields").ConvertAll(Selector.PathOf) : null;
            var sort = json.TryGetProperty("sort", out var order) && order.ValueKind is JsonValueKind.Array ? order.EnumerateArray().Select(SortOf).ToList() : [];
            return new(
                document => condition(document), fields, sort, Number("limit", UsualLimit), Number("skip", 0),
                json.TryGetProperty("bookmark", out var bookmark) && bookmark.ValueKind is JsonValueKind.String && bookmark.GetString() is not ("nil" or "") ? Decode(bookmark.GetString()!) : null,
                json.TryGetProperty("conflicts", out var conflicts) && conflicts.ValueKind is JsonValueKind.True);

            long Number(string name, long otherwise) => !json.TryGetProperty(name, out var value) ? otherwise
                : value.ValueKind is JsonValueKind.Number && value.TryGetInt64(out var number) && number >= 0 ? number : throw SyncException.Bad($"`{name}` must be a whole number, not negative.");
        }

        private static (string[] Path, bool Descending) SortOf(JsonElement json) => json.ValueKind switch
        {
            JsonValueKind.String => (Selector.PathOf(json.GetString()!), false),
            JsonValueKind.Object when json.EnumerateObject().ToList() is [{ Value.ValueKind: JsonValueKind.String } one] => (Selector.PathOf(one.Name), one.Value.GetString() is "desc"),
            _ => throw new SyncException(400, "invalid_sort_json", "`sort` must be a list of fields, or of {\"field\": \"asc\" or \"desc\"}."),
        };

        private static string Decode(string bookmark)
        {
            var bytes = new byte[bookmark.Length];
            return Convert.TryFromBase64String(bookmark, bytes, out var written) ? Encoding.UTF8.GetString(bytes, 0, written) : throw new SyncException(400, "invalid_bookmark", "Invalid bookmark value");
        }
    }
}
