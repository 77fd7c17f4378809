using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Queries;
using MobileServices.Sync.Revisions;

namespace MobileServices.Sync.Indexes;

/// <summary>Indexes for <c>_find</c>, kept in design documents: https://docs.couchdb.org/en/stable/api/database/find.html#db-index.</summary>
internal static class MangoIndexes
{
    private const int MostFields = 50;
    private const int Attempts = 5;

    public static async Task PostAsync(HttpContext http, DatabaseStore databases, DocumentStore documents, DocumentWrites writes, RequestBodies bodies)
    {
        var call = SyncCall.ToWrite(http);
        using var body = await bodies.ReadAsync(call);
        var asked = Read(body.Object);
        await databases.FindAsync(call);
        var isNew = false;
        await ChangeAsync(call, databases, documents, writes, asked.Design!, design =>
        {
            if (design["language"] is JsonValue language && (string?)language is not "query")
            {
                throw SyncException.Bad($"{asked.Design} is a design document of another language. Name another with `ddoc`.");
            }
            var known = DesignIndexes.FieldsOf(asked.Design!, Encoding.UTF8.GetBytes(design.ToJsonString())).Find(index => index.Name == asked.Name);
            isNew = known is null || known.Signature != asked.Signature || known.Descending != asked.Descending;
            if (isNew)
            {
                design["language"] = "query";
                var views = design["views"] as JsonObject ?? [];
                design["views"] = views;
                views[asked.Name] = ViewOf(asked);
            }
            return isNew;
        });
        await http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            json.WriteString("result", isNew ? "created" : "exists");
            json.WriteString("id", asked.Design);
            json.WriteString("name", asked.Name);
            json.WriteEndObject();
        });
    }

    public static async Task GetAsync(HttpContext http, DatabaseStore databases, DesignIndexes designs)
    {
        var call = SyncCall.ToRead(http);
        var fields = await designs.FieldsAsync((await databases.FindAsync(call)).Id, call.Aborted);
        await http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            json.WriteNumber("total_rows", fields.Count + 1);
            json.WriteStartArray("indexes");
            WriteAllDocs(json);
            fields.ForEach(index => index.Write(json));
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    public static async Task DeleteAsync(HttpContext http, DatabaseStore databases, DocumentStore documents, DocumentWrites writes)
    {
        var call = SyncCall.ToWrite(http);
        string[] path = call.Segments[2] is "_design" ? [$"_design/{call.Segments.ElementAtOrDefault(3)}", .. call.Segments.Skip(4)] : [DesignId(call.Segments[2]), .. call.Segments.Skip(3)];
        if (path is not [var id, "json", var name])
        {
            throw SyncException.Bad("An index is deleted as /{db}/_index/{ddoc}/json/{name}.");
        }
        await databases.FindAsync(call);
        await ChangeAsync(call, databases, documents, writes, id, design =>
        {
            if ((string?)(design["language"] as JsonValue) is not "query" || design["views"] is not JsonObject views || !views.Remove(name))
            {
                throw new SyncException(404, "not_found", $"There is no index '{name}' in {id}.");
            }
            if (views.Count is 0)
            {
                design.Clear();
                design["_deleted"] = true;
            }
            return true;
        });
        await http.Response.OkAsync();
    }

    /// <summary>The index that is always there.</summary>
    public static void WriteAllDocs(Utf8JsonWriter json) =>
        json.WriteRawValue("""{"ddoc":null,"name":"_all_docs","type":"special","def":{"fields":[{"_id":"asc"}]}}""");

    public static string DesignId(string name) => name.StartsWith("_design/", StringComparison.Ordinal) ? name : $"_design/{name}";

    /// <summary>Names of fields, or objects of a name and a direction, or one object of all of them.</summary>
    /// <exception cref="SyncException">They are none, or of both directions.</exception>
    public static (List<string> Fields, bool Descending) ReadFields(JsonElement json)
    {
        var fields = new List<(string Name, string Direction)>();
        foreach (var item in json.ValueKind is JsonValueKind.Array ? json.EnumerateArray().ToArray() : [json])
        {
            if (item.ValueKind is JsonValueKind.String)
            {
                fields.Add((item.GetString()!, "asc"));
                continue;
            }
            if (item.ValueKind is not JsonValueKind.Object || item.EnumerateObject().Any(member => member.Value.ValueKind is not JsonValueKind.String))
            {
                throw Bad("`index.fields` must be a list of fields, or of {\"field\": \"asc\" or \"desc\"}.");
            }
            fields.AddRange(item.EnumerateObject().Select(member => (member.Name, member.Value.GetString()!)));
        }
        if (fields.Count is 0 or > MostFields || fields.Exists(field => field.Name.Length is 0 || field.Direction is not ("asc" or "desc")) || fields.DistinctBy(field => field.Direction).Count() > 1)
        {
            throw Bad($"`index.fields` must name 1 to {MostFields} fields, all in one direction.");
        }
        return (fields.ConvertAll(field => field.Name), fields[0].Direction is "desc");
    }

    private static FieldIndex Read(JsonElement body)
    {
        if (!body.TryGetProperty("index", out var index) || index.ValueKind is not JsonValueKind.Object || !index.TryGetProperty("fields", out var named))
        {
            throw new SyncException(400, "missing_required_key", "Missing required key: index, with `fields`");
        }
        if (Text("type") is not (null or "json"))
        {
            throw Bad("There are only indexes of the type json here.");
        }
        var (fields, descending) = ReadFields(named);
        var filter = index.TryGetProperty("partial_filter_selector", out var selector) || body.TryGetProperty("partial_filter_selector", out selector) ? selector.Clone() : (JsonElement?)null;
        if (filter is { } given)
        {
            Selector.Read(given);
            filter = given.EnumerateObject().Any() ? given : null;
        }
        var made = new FieldIndex(null, "", fields, descending, filter);
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{made.Signature} {descending}")))[..40];
        var id = DesignId(Text("ddoc") ?? hash);
        NewDocument.CheckId(id);
        return new(id, Text("name") ?? hash, fields, descending, filter);

        string? Text(string name) => !body.TryGetProperty(name, out var value) || value.ValueKind is JsonValueKind.Null ? null
            : value.ValueKind is JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : throw Bad($"`{name}` must be a text.");
    }

    private static JsonObject ViewOf(FieldIndex index) => new()
    {
        ["map"] = new JsonObject
        {
            ["fields"] = new JsonObject(index.Fields.Distinct().Select(field => KeyValuePair.Create(field, (JsonNode?)JsonValue.Create(index.Descending ? "desc" : "asc")))),
            ["partial_filter_selector"] = index.Filter is { } filter ? JsonNode.Parse(filter.GetRawText()) : new JsonObject(),
        },
        ["reduce"] = "_count",
        ["options"] = new JsonObject
        {
            ["def"] = new JsonObject { ["fields"] = new JsonArray([.. index.Fields.Select(field => (JsonNode)new JsonObject { [field] = index.Descending ? "desc" : "asc" })]) },
        },
    };

    /// <summary>Changes a design document that others may change at the same time.</summary>
    /// <param name="change">False when nothing is to be written.</param>
    private static async Task ChangeAsync(SyncCall call, DatabaseStore databases, DocumentStore documents, DocumentWrites writes, string id, Func<JsonObject, bool> change)
    {
        for (var attempt = 1; ; attempt++)
        {
            var stored = await documents.FindAsync((await databases.FindAsync(call)).Id, id, call.Aborted);
            var design = stored is null or { Deleted: true } ? [] : JsonNode.Parse(stored.Body)!.AsObject();
            if (!change(design))
            {
                return;
            }
            using var json = JsonDocument.Parse(design.ToJsonString(), new() { MaxDepth = 1100 });
            var document = NewDocument.Read(json.RootElement, call.Options);
            document.Rev = stored is null or { Deleted: true } ? null : Rev.TryParse(stored.Rev, out var rev) ? rev : null;
            try
            {
                await writes.WriteOneAsync(call, new(id, document, IsReplicated: false));
                return;
            }
            catch (SyncException failure) when (failure.Status is 409 && attempt < Attempts)
            {
                // Somebody else was first.
            }
        }
    }

    private static SyncException Bad(string reason) => SyncException.Bad(reason);
}
