using System.Text.Json;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Revisions;

namespace MobileServices.Sync.Documents;

/// <summary>Many revisions of many documents: https://docs.couchdb.org/en/stable/api/database/bulk-api.html#db-bulk-get.</summary>
internal sealed class BulkGet(DatabaseStore databases, DocumentStore documents, DocumentJson json, BlobStore blobs)
{
    private const int MostAtOnce = 10_000;

    /// <summary>Documents that are in memory at a time.</summary>
    private const int Page = 100;

    public static Task PostAsync(HttpContext http, BulkGet get, RequestBodies bodies) => get.AnswerAsync(SyncCall.ToRead(http), bodies);

    private async Task AnswerAsync(SyncCall call, RequestBodies bodies)
    {
        using var body = await bodies.ReadAsync(call);
        if (!body.Object.TryGetProperty("docs", out var docs) || docs.ValueKind is not JsonValueKind.Array)
        {
            throw SyncException.Bad("Missing JSON list of 'docs'.");
        }
        if (docs.GetArrayLength() > MostAtOnce)
        {
            throw SyncException.TooLarge($"There are more than {MostAtOnce} documents. Ask for less at a time.");
        }
        var asked = docs.EnumerateArray().Select(Read).ToList();
        var database = await databases.FindAsync(call);
        var accept = call.Http.Request.Headers.Accept.ToString();
        var parts = new DocumentParts(call.Query.Flag("revs"), Attachments: call.Query.Flag("attachments"));
        MultipartWriter? multipart = null;
        if (accept.Contains("multipart/", StringComparison.OrdinalIgnoreCase) && !accept.Contains("application/json", StringComparison.OrdinalIgnoreCase))
        {
            multipart = MultipartWriter.Mixed(call);
            parts = parts with { Follows = true };
        }
        else
        {
            call.Http.Response.ContentType = "application/json";
        }
        var answer = new JsonOut(call.Http.Response);
        answer.Raw(multipart is null ? "{\"results\":["u8 : ""u8);
        var isFirst = true;
        foreach (var some in asked.Chunk(Page))
        {
            foreach (var result in await FindAsync(call, database, some))
            {
                if (multipart is not null)
                {
                    await multipart.ResultAsync(result, parts, json, blobs);
                    continue;
                }
                answer.Raw(isFirst ? "{\"id\":"u8 : ",{\"id\":"u8);
                isFirst = false;
                answer.Text(result.Id);
                answer.Raw(",\"docs\":["u8);
                await WriteAsync(answer, result, parts, call.Aborted);
                answer.Raw("]}"u8);
                await answer.SendSomeAsync(call.Aborted);
            }
        }
        if (multipart is not null)
        {
            await multipart.EndAsync();
            return;
        }
        answer.Raw("]}\n"u8);
        await answer.SendAsync(call.Aborted);
    }

    private async Task<List<Result>> FindAsync(SyncCall call, DatabaseRow database, Asked[] asked)
    {
        var found = await documents.FindAsync(database.Id, [.. asked.Where(one => one.Failure is null).Select(one => one.Id).Distinct()], call.Aborted);
        var latest = call.Query.Flag("latest");
        var wanted = new List<(Asked Asked, StoredDocument? Document, string? Rev)>(asked.Length);
        foreach (var one in asked)
        {
            var document = found.GetValueOrDefault(one.Id);
            if (document is not null && one.Rev is { } given && latest && document.Tree.LeavesUnder(given) is { Count: > 0 } leaves)
            {
                wanted.AddRange(leaves.Select(leaf => (one, (StoredDocument?)document, (string?)leaf.Rev.ToString())));
                continue;
            }
            wanted.Add((one, document, one.Rev?.ToString() ?? document?.Rev));
        }
        var others = wanted.FindAll(one => one.Document?.HasOther(one.Rev!) is true);
        var bodies = await documents.BodiesAsync(database.Id, [.. others.Select(one => one.Asked.Id)], [.. others.Select(one => one.Rev!)], call.Aborted);
        return [.. wanted.Select(one => new Result(
            one.Asked.Id, one.Rev, one.Document,
            one.Document is null ? null : one.Rev == one.Document.Rev ? one.Document.Winner : bodies.GetValueOrDefault((one.Asked.Id, one.Rev!)),
            one.Asked.Failure))];
    }

    private async Task WriteAsync(JsonOut answer, Result result, DocumentParts parts, CancellationToken ct)
    {
        if (result is { Body: { } body, Document: { } document })
        {
            answer.Raw("{\"ok\":"u8);
            await json.WriteAsync(answer, document, body, parts, ct);
            answer.Raw("}"u8);
            return;
        }
        answer.Raw("{\"error\":"u8);
        result.WriteFailure(answer);
        answer.Raw("}"u8);
    }

    private static Asked Read(JsonElement json)
    {
        if (json.ValueKind is not JsonValueKind.Object || !json.TryGetProperty("id", out var id) || id.ValueKind is not JsonValueKind.String)
        {
            return new("", null, SyncException.Bad("Document id missing"));
        }
        try
        {
            NewDocument.CheckId(id.GetString()!);
            var rev = json.TryGetProperty("rev", out var given) && given.ValueKind is JsonValueKind.String ? NewDocument.ParseRev(given.GetString()) : (Rev?)null;
            return new(id.GetString()!, rev, null);
        }
        catch (SyncException failure)
        {
            return new(id.GetString()!, null, failure);
        }
    }

    private sealed record Asked(string Id, Rev? Rev, SyncException? Failure);

    internal sealed record Result(string Id, string? Rev, StoredDocument? Document, StoredBody? Body, SyncException? Failure)
    {
        public void WriteFailure(JsonOut answer)
        {
            answer.Raw("{\"id\":"u8);
            answer.Text(Id);
            answer.Raw(",\"rev\":"u8);
            answer.Text(Rev ?? "undefined");
            answer.Raw(",\"error\":"u8);
            answer.Text(Failure?.Error ?? "not_found");
            answer.Raw(",\"reason\":"u8);
            answer.Text(Failure?.Message ?? "missing");
            answer.Raw("}"u8);
        }
    }
}
