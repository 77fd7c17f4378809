using System.Text.Json;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Revisions;

namespace MobileServices.Sync.Documents;

/// <summary>
/// Many revisions of many documents: https://docs.couchdb.org/en/stable/api/database/bulk-api.html#db-bulk-get. Whoever names no revision gets all leaves,
/// also those that are deleted. What is wrong with one that is asked for is an error in its place.
/// </summary>
internal sealed class BulkGet(DatabaseStore databases, DocumentStore documents, DocumentJson json, BlobStore blobs)
{
    private const int MostAtOnce = 10_000;

    /// <summary>They say of all documents what each has of its own.</summary>
    private static readonly string[] Refused = ["open_revs", "new_edits", "w", "rev", "atts_since"];

    public static Task PostAsync(HttpContext http, BulkGet get, RequestBodies bodies) => get.AnswerAsync(SyncCall.ToRead(http), bodies);

    private async Task AnswerAsync(SyncCall call, RequestBodies bodies)
    {
        if (Array.Find(Refused, call.Query.Has) is { } parameter)
        {
            throw SyncException.Bad($"\"{parameter}\" query parameter is not acceptable");
        }
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
        var parts = new DocumentParts(call.Query.Flag("revs"), Attachments: call.Query.Flag("attachments")) { EncodingInfo = call.Query.Flag("att_encoding_info") };
        if (accept.Contains("multipart/", StringComparison.OrdinalIgnoreCase) && !accept.Contains("application/json", StringComparison.OrdinalIgnoreCase))
        {
            var multipart = MultipartWriter.Accepted(call);
            await foreach (var result in FindAsync(call, database, asked))
            {
                await multipart.ResultAsync(result, parts with { Follows = true }, json, blobs);
            }
            await multipart.EndAsync();
            return;
        }
        call.Http.Response.ContentType = "application/json";
        var answer = new JsonOut(call.Http.Response);
        answer.Raw("{\"results\":["u8);
        Asked? before = null;
        await foreach (var result in FindAsync(call, database, asked))
        {
            if (result.Asked == before)
            {
                answer.Raw(","u8);
            }
            else
            {
                answer.Raw(before is null ? "{\"id\":"u8 : "]},{\"id\":"u8);
                TextOrNull(answer, result.Asked.Id);
                answer.Raw(",\"docs\":["u8);
                before = result.Asked;
            }
            await WriteAsync(answer, result, parts, call.Aborted);
            await answer.SendSomeAsync(call.Aborted);
        }
        answer.Raw(before is null ? "]}\n"u8 : "]}]}\n"u8);
        await answer.SendAsync(call.Aborted);
    }

    /// <summary>At least one for each that is asked for, those of one behind each other.</summary>
    private async IAsyncEnumerable<Result> FindAsync(SyncCall call, DatabaseRow database, List<Asked> asked)
    {
        var latest = call.Query.Flag("latest");
        for (var next = 0; next < asked.Count;)
        {
            // No document has the empty id.
            var found = await documents.PageAsync(database.Id, asked.Skip(next).Select(one => one.Failure is null ? one.Id! : ""), call.Aborted);
            var wanted = asked.Skip(next).Zip(found).SelectMany(pair => Wanted(pair.First, pair.Second, latest)).ToList();
            next += found.Count;
            var others = wanted.FindAll(one => one.Document?.HasOther(one.Rev!) is true).ConvertAll(one => (one.Asked.Id!, one.Rev!));
            await using var bodies = documents.BodiesAsync(database.Id, others, call.Aborted).GetAsyncEnumerator(call.Aborted);
            foreach (var one in wanted)
            {
                if (one.Document?.HasOther(one.Rev!) is true)
                {
                    await bodies.MoveNextAsync();
                    yield return one with { Body = bodies.Current };
                    continue;
                }
                yield return one.Document is { } document && one.Rev == document.Rev ? one with { Body = document.Winner } : one;
            }
        }
    }

    private static IEnumerable<Result> Wanted(Asked asked, StoredDocument? document, bool latest)
    {
        if (document is not null && asked.Rev is null)
        {
            return document.Losers().Select(loser => loser.Rev).Prepend(document.Rev).Select(rev => new Result(asked, rev, document));
        }
        return document is not null && latest && document.Tree.LeavesUnder(asked.Rev!.Value) is { Count: > 0 } leaves
            ? leaves.Select(leaf => new Result(asked, leaf.Rev.ToString(), document))
            : [new Result(asked, asked.Rev?.ToString(), document)];
    }

    private async Task WriteAsync(JsonOut answer, Result result, DocumentParts parts, CancellationToken ct)
    {
        if (result is { Body: { } body, Document: { } document })
        {
            answer.Raw("{\"ok\":"u8);
            await json.WriteAsync(answer, document, body, result.PartsOf(parts), ct);
            answer.Raw("}"u8);
            return;
        }
        answer.Raw("{\"error\":"u8);
        result.WriteFailure(answer);
        answer.Raw("}"u8);
    }

    private static Asked Read(JsonElement json)
    {
        if (json.ValueKind is not JsonValueKind.Object)
        {
            return new(null) { Failure = SyncException.Bad("document must be a JSON object") };
        }
        if (!json.TryGetProperty("id", out var named))
        {
            return new(null) { Failure = SyncException.Bad("document id missed") };
        }
        var id = named.ValueKind is JsonValueKind.String ? named.GetString() : null;
        if (id is null)
        {
            return new(null) { Failure = new(400, "illegal_docid", "Document id must be a string") };
        }
        string? rev = null;
        try
        {
            NewDocument.CheckId(id);
            var given = json.TryGetProperty("rev", out var text) ? NewDocument.ParseRev(rev = text.ToString()) : (Rev?)null;
            return new(id) { Rev = given, Since = SinceOf(json, ref rev) };
        }
        catch (SyncException failure)
        {
            return new(id) { Failure = failure, FailedRev = rev };
        }
    }

    /// <param name="rev">The one that is none, when it fails.</param>
    private static List<string>? SinceOf(JsonElement json, ref string? rev)
    {
        if (!json.TryGetProperty("atts_since", out var since))
        {
            return null;
        }
        if (since.ValueKind is not JsonValueKind.Array)
        {
            rev = since.ToString();
            throw SyncException.Bad("att_since value must be array of revs.");
        }
        var revs = new List<string>();
        foreach (var item in since.EnumerateArray())
        {
            rev = item.ToString();
            revs.Add(NewDocument.ParseRev(rev).ToString());
        }
        return revs.Count > 0 ? revs : null;
    }

    private static void TextOrNull(JsonOut answer, string? text)
    {
        if (text is null)
        {
            answer.Raw("null"u8);
            return;
        }
        answer.Text(text);
    }

    /// <param name="id">Null when it has none.</param>
    internal sealed class Asked(string? id)
    {
        public string? Id => id;

        /// <summary>Null for all leaves.</summary>
        public Rev? Rev { get; init; }

        /// <summary>The revisions that the client has: what came after them is sent of the attachments.</summary>
        public List<string>? Since { get; init; }

        public SyncException? Failure { get; init; }

        public string? FailedRev { get; init; }
    }

    internal sealed record Result(Asked Asked, string? Rev, StoredDocument? Document, StoredBody? Body = null)
    {
        public DocumentParts PartsOf(DocumentParts parts) => Asked.Since is { } since ? parts with { Attachments = true, AttachmentsSince = since } : parts;

        public void WriteFailure(JsonOut answer)
        {
            answer.Raw("{\"id\":"u8);
            TextOrNull(answer, Asked.Id);
            answer.Raw(",\"rev\":"u8);
            TextOrNull(answer, Asked.Failure is null ? Rev ?? "undefined" : Asked.FailedRev);
            answer.Raw(",\"error\":"u8);
            answer.Text(Asked.Failure?.Error ?? "not_found");
            answer.Raw(",\"reason\":"u8);
            answer.Text(Asked.Failure?.Message ?? "missing");
            answer.Raw("}"u8);
        }
    }
}
