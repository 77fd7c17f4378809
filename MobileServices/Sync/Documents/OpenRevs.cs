using System.Text.Json;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Databases;

namespace MobileServices.Sync.Documents;

/// <summary>Several revisions of a document at once: all leaves, or those that are named.</summary>
internal sealed class OpenRevs(SyncCall call, DatabaseRow database, DocumentStore documents, DocumentJson json, BlobStore blobs)
{
    public async Task AnswerAsync(StoredDocument? document)
    {
        var query = call.Query;
        var parts = new DocumentParts(
            query.Flag("revs"), query.Flag("conflicts"), query.Flag("deleted_conflicts"), query.Flag("local_seq"), query.Flag("attachments"), query.Texts("atts_since"))
        { EncodingInfo = query.Flag("att_encoding_info") };
        var revs = Wanted(document);
        var found = FoundAsync(document, revs);

        var accept = call.Http.Request.Headers.Accept.ToString();
        if (document is not null && (accept.Length is 0 || accept.Contains("multipart/", StringComparison.OrdinalIgnoreCase) || accept.Contains("*/*", StringComparison.Ordinal))
            && !accept.Contains("application/json", StringComparison.OrdinalIgnoreCase))
        {
            await MultipartWriter.MixedAsync(call, document, found, parts with { Follows = true }, json, blobs);
            return;
        }
        call.Http.Response.ContentType = "application/json";
        var answer = new JsonOut(call.Http.Response);
        answer.Raw("["u8);
        var isFirst = true;
        await foreach (var (rev, body) in found)
        {
            answer.Raw(isFirst ? ""u8 : ","u8);
            isFirst = false;
            if (body is null)
            {
                answer.Raw("{\"missing\":"u8);
                answer.Text(rev);
                answer.Raw("}"u8);
                continue;
            }
            answer.Raw("{\"ok\":"u8);
            await json.WriteAsync(answer, document!, body, parts, call.Aborted);
            answer.Raw("}"u8);
            await answer.SendSomeAsync(call.Aborted);
        }
        answer.Raw("]\n"u8);
        await answer.SendAsync(call.Aborted);
    }

    /// <summary>A document may have many leaves: few of their bodies are in memory at a time.</summary>
    private async IAsyncEnumerable<(string Rev, StoredBody? Body)> FoundAsync(StoredDocument? document, List<string> revs)
    {
        var others = document is null ? [] : revs.FindAll(document.HasOther);
        await using var bodies = documents.BodiesAsync(database.Id, others.ConvertAll(rev => (id: document!.Id, rev)), call.Aborted).GetAsyncEnumerator(call.Aborted);
        foreach (var rev in revs)
        {
            if (document is null || !document.HasOther(rev))
            {
                yield return (rev, rev == document?.Rev ? document.Winner : null);
                continue;
            }
            await bodies.MoveNextAsync();
            yield return (rev, bodies.Current);
        }
    }

    private List<string> Wanted(StoredDocument? document)
    {
        if (call.Query.Text("open_revs") is "all")
        {
            return document is null ? throw SyncException.Missing() : [document.Rev, .. document.Losers().Select(loser => loser.Rev)];
        }
        var latest = call.Query.Flag("latest");
        var wanted = new List<string>();
        foreach (var text in SyncQuery.Texts(call.Query.Json("open_revs") ?? default(JsonElement), "open_revs"))
        {
            var rev = NewDocument.ParseRev(text);
            if (latest && document?.Tree.LeavesUnder(rev) is { Count: > 0 } leaves)
            {
                wanted.AddRange(leaves.Select(leaf => leaf.Rev.ToString()));
                continue;
            }
            wanted.Add(rev.ToString());
        }
        return [.. wanted.Distinct()];
    }
}
