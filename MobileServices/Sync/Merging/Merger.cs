using System.Text;
using System.Text.Json;
using Dapper;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Revisions;
using Npgsql;

namespace MobileServices.Sync.Merging;

/// <summary>
/// Merges the living leaves of a document in the transaction that made the conflict: two at a time, the result as a child of the winner, the other closed by a
/// tombstone that names the result (<c>merged</c>). So whoever has the tree knows what a merge holds, and a branch that goes on from a merged leaf is
/// merged from there on.
/// </summary>
internal sealed class Merger(NpgsqlConnection connection, long databaseId, OpenDocument document, MergeOptions rules)
{
    private const string Merged = "merged";

    private sealed record Body(string? Text, string? Attachments, bool Deleted);

    /// <summary>What each merge holds besides its parent in the tree.</summary>
    private readonly Dictionary<Rev, List<Rev>> _holds = [];

    public static async Task MergeAsync(NpgsqlConnection connection, long databaseId, IEnumerable<OpenDocument> changed, MergeOptions? rules, CancellationToken ct)
    {
        if (rules is null)
        {
            return;
        }
        foreach (var document in changed.Where(document => !document.Id.StartsWith("_design/", StringComparison.Ordinal) && Living(document).Skip(1).Any()))
        {
            await new Merger(connection, databaseId, document, rules).RunAsync(ct);
        }
    }

    private static IEnumerable<Rev> Living(OpenDocument document) => document.Tree.Leaves().Where(leaf => !leaf.Deleted).Select(leaf => leaf.Rev);

    private async Task RunAsync(CancellationToken ct)
    {
        await ReadHoldsAsync(ct);
        var left = new HashSet<Rev>();
        while (Living(document).FirstOrDefault(rev => !left.Contains(rev)) is { Generation: > 0 } winner)
        {
            var merged = false;
            foreach (var loser in Living(document).SkipWhile(rev => rev != winner).Skip(1).ToList())
            {
                if (await TryMergeAsync(winner, loser, ct))
                {
                    merged = true;
                    break;
                }
            }
            if (!merged)
            {
                left.Add(winner);
            }
        }
    }

    /// <returns>False when the conflict is to stay: the rules ask a person, the common ancestor is known by name alone, or there is no generation left.</returns>
    private async Task<bool> TryMergeAsync(Rev winner, Rev loser, CancellationToken ct)
    {
        if (winner.Generation is Rev.MostGenerations)
        {
            return false;
        }
        var ancestor = CommonAncestor(winner, loser);
        var before = ancestor is { } rev ? await BodyAsync(rev, ct) : new("{}", null, false);
        if (before.Text is null || await BodyAsync(winner, ct) is not { Text: { } mine } one || await BodyAsync(loser, ct) is not { Text: { } theirs } other)
        {
            return false;
        }
        if (FieldMerge.Merge(Encoding.UTF8.GetBytes(before.Text), Encoding.UTF8.GetBytes(mine), Encoding.UTF8.GetBytes(theirs), rules) is not { } body)
        {
            return false;
        }
        var result = new Resolution(winner, body, Attachments(before.Attachments, one.Attachments, other.Attachments), ClosesOthers: false).Apply(document)!.Value;
        Resolution.Close(document, loser, JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { [Merged] = result.ToString() }));
        Hold(result, loser);
        return true;
    }

    /// <summary>The newest revision that both come from, through merges too.</summary>
    private Rev? CommonAncestor(Rev one, Rev other)
    {
        var past = Past(one);
        past.IntersectWith(Past(other));
        return past.Count is 0 ? null : past.Max();
    }

    private HashSet<Rev> Past(Rev rev)
    {
        var past = new HashSet<Rev>();
        var next = new Stack<Rev>([rev]);
        while (next.TryPop(out var at))
        {
            foreach (var step in document.Tree.PathOf(at).TakeWhile(past.Add))
            {
                _holds.GetValueOrDefault(step)?.ForEach(next.Push);
            }
        }
        return past;
    }

    private async Task ReadHoldsAsync(CancellationToken ct)
    {
        foreach (var leaf in document.Tree.Leaves().Where(leaf => leaf.Deleted))
        {
            if (await BodyAsync(leaf.Rev, ct) is { Text: { } text } && document.Tree.PathOf(leaf.Rev) is [_, var closed, ..])
            {
                using var json = JsonDocument.Parse(text, new() { MaxDepth = 1100 });
                if (json.RootElement.TryGetProperty(Merged, out var named) && named.ValueKind is JsonValueKind.String && Rev.TryParse(named.GetString(), out var result))
                {
                    Hold(result, closed);
                }
            }
        }
    }

    private void Hold(Rev result, Rev loser)
    {
        if (!_holds.TryGetValue(result, out var held))
        {
            _holds[result] = held = [];
        }
        held.Add(loser);
    }

    /// <summary>The winner's, and those that the other added.</summary>
    private static string? Attachments(string? before, string? winner, string? loser)
    {
        var (known, mine) = (Attachment.Read(before), Attachment.Read(winner));
        var added = Attachment.Read(loser).Where(one => !mine.Exists(own => own.Name == one.Name) && !known.Exists(old => old.Name == one.Name && old.Digest == one.Digest));
        List<Attachment> all = [.. mine, .. added.OrderBy(one => one.Name, StringComparer.Ordinal)];
        return all.Count is 0 ? null : Attachment.Write(all);
    }

    private async Task<Body> BodyAsync(Rev rev, CancellationToken ct)
    {
        if (document.Fresh.TryGetValue(rev, out var fresh))
        {
            return new(Encoding.UTF8.GetString(fresh.Body), fresh.Attachments, fresh.Deleted);
        }
        return await connection.QuerySingleOrDefaultAsync<Body>(new CommandDefinition(
            """
            select body as Text, attachments as Attachments, deleted as Deleted from sync.document where db_id = @databaseId and doc_id = @Id and rev = @rev
            union all select body, attachments, deleted from sync.body where db_id = @databaseId and doc_id = @Id and rev = @rev limit 1
            """, new { databaseId, document.Id, rev = rev.ToString() }, cancellationToken: ct)) ?? new(null, null, false);
    }
}
