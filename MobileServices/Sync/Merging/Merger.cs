using System.Text;
using System.Text.Json;
using Dapper;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Revisions;
using Npgsql;

namespace MobileServices.Sync.Merging;

/// <summary>
/// Merges the living leaves of a document in the transaction that made the conflict: two at a time, the result as a child of the winner, the other closed by a
/// tombstone that names the result (<c>merged</c>). So whoever has the tree knows what a merge holds, and a branch that goes on from a merged leaf is
/// merged from there on.
/// </summary>
internal sealed class Merger(NpgsqlConnection connection, long databaseId, OpenDocument document, MergeOptions rules, int mostBytes, int tries)
{
    private const string Merged = "merged";

    /// <summary>How many pairs a transaction tries that cannot be merged, and how many of each document at least. What is not tried stays a conflict, until the next write at least.</summary>
    private const int Tries = 1000;
    private const int LeastTries = 10;

    private sealed record Body(string? Text, string? Attachments, bool Deleted);

    /// <summary>What each merge holds besides its parent in the tree.</summary>
    private readonly Dictionary<Rev, List<Rev>> _holds = [];

    private int _tries = tries;

    public static async Task MergeAsync(NpgsqlConnection connection, DatabaseRow database, IEnumerable<OpenDocument> changed, SyncOptions options, CancellationToken ct)
    {
        if (!options.Merge.TryGetValue(database.Name, out var rules))
        {
            return;
        }
        var conflicts = changed.Where(document => !document.Id.StartsWith("_design/", StringComparison.Ordinal) && Living(document).Skip(1).Any()).ToList();
        foreach (var document in conflicts)
        {
            await new Merger(connection, database.Id, document, rules, options.DocumentBytes, Math.Max(LeastTries, Tries / conflicts.Count)).RunAsync(ct);
        }
    }

    private static IEnumerable<Rev> Living(OpenDocument document) => document.Tree.Leaves().Where(leaf => !leaf.Deleted).Select(leaf => leaf.Rev);

    private async Task RunAsync(CancellationToken ct)
    {
        await ReadHoldsAsync(ct);
        var left = new HashSet<Rev>();
        // All that the winner holds. A merge holds what both did, so it is not looked for again.
        var (of, past) = (default(Rev), new HashSet<Rev>());
        while (_tries > 0 && Living(document).FirstOrDefault(rev => !left.Contains(rev)) is { Generation: > 0 } winner)
        {
            if (winner != of)
            {
                (of, past) = (winner, Past(winner));
            }
            if (await TryMergeAsync(winner, past, ct) is { } result)
            {
                of = result;
            }
            else
            {
                left.Add(winner);
            }
        }
    }

    /// <summary>With the first of the leaves after it that can be.</summary>
    /// <param name="past">What the winner holds, and then the result.</param>
    private async Task<Rev?> TryMergeAsync(Rev winner, HashSet<Rev> past, CancellationToken ct)
    {
        var mine = await BodyAsync(winner, ct);
        foreach (var loser in Living(document).SkipWhile(rev => rev != winner).Skip(1).ToList())
        {
            var held = Past(loser);
            if (await TryMergeAsync(winner, mine, loser, CommonAncestor(past, held), ct) is { } result)
            {
                past.UnionWith(held);
                past.Add(result);
                return result;
            }
            if (--_tries <= 0)
            {
                break;
            }
        }
        return null;
    }

    /// <returns>Null when the conflict is to stay: the rules ask a person, the common ancestor is known by name alone, there is no generation left, or the result would be larger than a document may be.</returns>
    private async Task<Rev?> TryMergeAsync(Rev winner, Body one, Rev loser, Rev? ancestor, CancellationToken ct)
    {
        if (winner.Generation is Rev.MostGenerations || one.Text is not { } mine || (ancestor is null && !(IsWhole(winner) && IsWhole(loser))))
        {
            return null;
        }
        var before = ancestor is { } rev ? await BodyAsync(rev, ct) : new("{}", null, false);
        if (before.Text is null || await BodyAsync(loser, ct) is not { Text: { } theirs } other)
        {
            return null;
        }
        var body = FieldMerge.Merge(Encoding.UTF8.GetBytes(before.Text), Encoding.UTF8.GetBytes(mine), Encoding.UTF8.GetBytes(theirs), rules);
        if (body is null || body.Length > mostBytes)
        {
            return null;
        }
        var result = new Resolution(winner, body, Attachments(before.Attachments, one.Attachments, other.Attachments), ClosesOthers: false).Apply(document)!.Value;
        Resolution.Close(document, loser, JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { [Merged] = result.ToString() }));
        Hold(result, loser);
        return result;
    }

    /// <summary>Nothing of its past was forgotten, so that what it has in common with another one is known.</summary>
    private bool IsWhole(Rev leaf) => document.Tree.PathOf(leaf)[^1].Generation is 1;

    /// <summary>The newest revision that both come from, through merges too.</summary>
    private static Rev? CommonAncestor(HashSet<Rev> past, HashSet<Rev> other)
    {
        Rev? newest = null;
        foreach (var rev in other.Where(past.Contains))
        {
            newest = newest is { } known && known.CompareTo(rev) > 0 ? known : rev;
        }
        return newest;
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
        var stored = new List<string>();
        foreach (var leaf in document.Tree.Leaves().Where(leaf => leaf.Deleted))
        {
            if (document.Fresh.TryGetValue(leaf.Rev, out var fresh))
            {
                ReadHold(leaf.Rev, Encoding.UTF8.GetString(fresh.Body));
            }
            else
            {
                stored.Add(leaf.Rev.ToString());
            }
        }
        if (stored.Count is 0)
        {
            return;
        }
        const string From = "where db_id = @databaseId and doc_id = @Id and rev = any (@revs) and position(@Merged in body) > 0";
        await foreach (var (rev, text) in connection.QueryUnbufferedAsync<(string, string)>(
            $"select rev, body from sync.document {From} union all select rev, body from sync.body {From}", new { databaseId, document.Id, revs = stored.ToArray(), Merged }).WithCancellation(ct))
        {
            ReadHold(Rev.TryParse(rev, out var leaf) ? leaf : default, text);
        }
    }

    /// <summary>The note in a tombstone.</summary>
    private void ReadHold(Rev leaf, string text)
    {
        if (document.Tree.ParentOf(leaf) is { } closed)
        {
            using var json = JsonDocument.Parse(text, new() { MaxDepth = 1100 });
            if (json.RootElement.TryGetProperty(Merged, out var named) && named.ValueKind is JsonValueKind.String && Rev.TryParse(named.GetString(), out var result))
            {
                Hold(result, closed);
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
