using System.Text.Json;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Revisions;

namespace MobileServices.Sync.Documents;

/// <summary>Many documents in one request: what replication does nearly all of its work with.</summary>
internal static class BulkEndpoints
{
    private const int MostAtOnce = 10_000;

    /// <summary>Of all <c>_revisions</c> of a request; with ids as long as they are everywhere a body of the default size holds no more.</summary>
    private const int MostRevsAtOnce = 1_000_000;

    public static async Task WriteAsync(HttpContext http, DocumentWrites writes, RequestBodies bodies, LocalDocuments local, DatabaseStore databases)
    {
        var call = SyncCall.ToWrite(http);
        using var body = await bodies.ReadAsync(call);
        if (!body.Object.TryGetProperty("docs", out var docs) || docs.ValueKind is not JsonValueKind.Array)
        {
            throw SyncException.Bad("POST body must include `docs` parameter.");
        }
        var isReplicated = body.Object.TryGetProperty("new_edits", out var flag) && flag.ValueKind is JsonValueKind.False;
        if (docs.GetArrayLength() > MostAtOnce)
        {
            throw SyncException.TooLarge($"There are more than {MostAtOnce} documents. Send less at a time.");
        }
        if (docs.EnumerateArray().Sum(RevsOf) > MostRevsAtOnce)
        {
            throw SyncException.TooLarge($"There are more than {MostRevsAtOnce} revisions in _revisions. Send less at a time.");
        }
        var rows = new List<Row>(docs.GetArrayLength());
        foreach (var json in docs.EnumerateArray())
        {
            rows.Add(await ReadAsync(call, json, isReplicated, local));
        }
        if (rows.Count is 0)
        {
            await databases.FindAsync(call);
        }
        await writes.WriteAsync(call, [.. rows.Select(row => row.Edit).OfType<Edit>()]);
        await AnswerAsync(http, rows, isReplicated);
    }

    private static int RevsOf(JsonElement json) => json.ValueKind is JsonValueKind.Object && json.TryGetProperty("_revisions", out var revisions)
        && revisions.ValueKind is JsonValueKind.Object && revisions.TryGetProperty("ids", out var ids) && ids.ValueKind is JsonValueKind.Array ? ids.GetArrayLength() : 0;

    private static async Task<Row> ReadAsync(SyncCall call, JsonElement json, bool isReplicated, LocalDocuments local)
    {
        string? id = null;
        try
        {
            if (json.ValueKind is not JsonValueKind.Object)
            {
                throw SyncException.Bad("Document must be a JSON object");
            }
            id = json.TryGetProperty("_id", out var named) && named.ValueKind is JsonValueKind.String ? named.GetString() : null;
            if (id?.StartsWith("_local/", StringComparison.Ordinal) is true)
            {
                NewDocument.CheckId(id);
                return new(id, null, await local.SaveAsync(call, id, json) ?? throw SyncException.Conflict(), null);
            }
            var document = NewDocument.Read(json, call.Options);
            id = document.Id ?? (isReplicated ? throw new SyncException(400, "illegal_docid", "Document id must be given with new_edits=false.") : Guid.CreateVersion7().ToString("n"));
            NewDocument.CheckId(id);
            return new(id, new(id, document, isReplicated), null, null);
        }
        // A malformed document is the whole request's failure, as in CouchDB; what is refused of a good one is its own.
        catch (SyncException failure) when (failure.Status is not 404 && (isReplicated || failure.Error is not ("bad_request" or "doc_validation" or "illegal_docid")))
        {
            return new(id, null, null, failure);
        }
    }

    private static async Task AnswerAsync(HttpContext http, List<Row> rows, bool isReplicated)
    {
        http.Response.StatusCode = 201;
        http.Response.ContentType = "application/json";
        var json = new JsonOut(http.Response);
        json.Raw("["u8);
        var isFirst = true;
        foreach (var row in rows)
        {
            var failure = row.Failure ?? row.Edit?.Failure;
            if (failure is null && isReplicated)
            {
                continue;
            }
            json.Raw(isFirst ? "{"u8 : ",{"u8);
            isFirst = false;
            json.Raw(failure is null ? "\"ok\":true,\"id\":"u8 : "\"id\":"u8);
            json.Text(row.Id ?? "");
            if (failure is null)
            {
                json.Raw(",\"rev\":\""u8);
                json.Raw(row.LocalRev ?? row.Edit!.Written!.Value.ToString());
                json.Raw("\"}"u8);
                continue;
            }
            if (row.Edit?.Document is { } sent && (sent.Path?[0] ?? sent.Rev) is { } rev && isReplicated)
            {
                json.Raw(",\"rev\":\""u8);
                json.Raw(rev.ToString());
                json.Raw("\""u8);
            }
            json.Raw(",\"error\":"u8);
            json.Text(failure.Error);
            json.Raw(",\"reason\":"u8);
            json.Text(failure.Message);
            json.Raw("}"u8);
        }
        json.Raw("]\n"u8);
        http.Response.ContentLength = json.Written.Length;
        await json.SendAsync(http.RequestAborted);
    }

    /// <summary>Which of the revisions are not here: the question before a push.</summary>
    public static Task DiffAsync(HttpContext http, RequestBodies bodies, DatabaseStore databases, DocumentStore documents) => DiffAsync(http, bodies, databases, documents, isOld: false);

    /// <summary>The same as it was asked before CouchDB 1.</summary>
    public static Task MissingAsync(HttpContext http, RequestBodies bodies, DatabaseStore databases, DocumentStore documents) => DiffAsync(http, bodies, databases, documents, isOld: true);

    private static async Task DiffAsync(HttpContext http, RequestBodies bodies, DatabaseStore databases, DocumentStore documents, bool isOld)
    {
        var call = SyncCall.ToRead(http);
        using var body = await bodies.ReadAsync(call);
        var database = await databases.FindAsync(call);
        var asked = new Dictionary<string, List<Rev>>(StringComparer.Ordinal);
        foreach (var member in body.Object.EnumerateObject())
        {
            asked[member.Name] = [.. SyncQuery.Texts(member.Value, member.Name).Select(NewDocument.ParseRev)];
        }
        if (asked.Count > MostAtOnce)
        {
            throw SyncException.TooLarge($"There are more than {MostAtOnce} documents. Ask for less at a time.");
        }
        var found = await documents.FindAsync(database.Id, [.. asked.Keys.Where(id => !id.Contains('\0', StringComparison.Ordinal))], call.Aborted);
        await http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            if (isOld)
            {
                json.WriteStartObject("missing_revs");
            }
            foreach (var (id, revs) in asked)
            {
                var tree = found.GetValueOrDefault(id)?.Tree;
                var missing = revs.FindAll(rev => tree?.Contains(rev) is not true);
                if (missing.Count is 0)
                {
                    continue;
                }
                if (isOld)
                {
                    json.WriteStartArray(id);
                }
                else
                {
                    json.WriteStartObject(id);
                    json.WriteStartArray("missing");
                }
                missing.ForEach(rev => json.WriteStringValue(rev.ToString()));
                json.WriteEndArray();
                if (isOld)
                {
                    continue;
                }
                var highest = missing.Max(rev => rev.Generation);
                var ancestors = tree?.Leaves().Where(leaf => leaf.Rev.Generation < highest).Select(leaf => leaf.Rev.ToString()).ToList();
                if (ancestors is { Count: > 0 })
                {
                    json.WriteStartArray("possible_ancestors");
                    ancestors.ForEach(json.WriteStringValue);
                    json.WriteEndArray();
                }
                json.WriteEndObject();
            }
            if (isOld)
            {
                json.WriteEndObject();
            }
            json.WriteEndObject();
        });
    }

    private sealed record Row(string? Id, Edit? Edit, string? LocalRev, SyncException? Failure);
}
