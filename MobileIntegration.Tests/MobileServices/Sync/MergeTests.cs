using System.Text;
using System.Text.Json.Nodes;
using MobileServices.Sync.Merging;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Conflicts that the service merges by the settings of a database.</summary>
public sealed class MergeTests(SyncService service) : IClassFixture<SyncService>
{
    private static readonly MergeOptions Rules = new()
    {
        Fields = { ["count"] = "counter", ["tags"] = "set-union", ["most"] = "max", ["least"] = "min", ["text"] = "text", ["price"] = "ask" },
    };

    [Theory]
    [InlineData("""{"a":1,"b":2}""", """{"a":5,"b":2}""", """{"a":1,"b":9}""", """{"a":5,"b":9}""")]
    [InlineData("""{"a":1}""", """{"a":5}""", """{"a":9}""", """{"a":5}""")]
    [InlineData("""{"a":1,"b":1}""", """{"b":1}""", """{"a":1,"b":1,"c":1}""", """{"b":1,"c":1}""")]
    [InlineData("""{"count":10}""", """{"count":12}""", """{"count":7}""", """{"count":9}""")]
    [InlineData("""{"count":1}""", """{"count":2}""", """{"count":2}""", """{"count":3}""")]
    [InlineData("""{}""", """{"count":0.1}""", """{"count":0.2}""", """{"count":0.3}""")]
    [InlineData("""{"count":1}""", """{"count":"x"}""", """{"count":2}""", """{"count":"x"}""")]
    [InlineData("""{"tags":["a","b"]}""", """{"tags":["a","b","d"]}""", """{"tags":["c","b"]}""", """{"tags":["b","c","d"]}""")]
    [InlineData("""{"most":3,"least":3}""", """{"most":5,"least":5}""", """{"most":4,"least":1}""", """{"most":5,"least":1}""")]
    [InlineData("""{"text":"a\nb\nc"}""", """{"text":"a\nB\nc"}""", """{"text":"a\nb\nc\nd"}""", """{"text":"a\nB\nc\nd"}""")]
    [InlineData("""{"text":"a\nb\nc"}""", """{"text":"a\nB\nc"}""", """{"text":"a\nX\nc"}""", """{"text":"a\nB\nX\nc"}""")]
    [InlineData("""{"price":1}""", """{"price":1}""", """{"price":2}""", """{"price":2}""")]
    [InlineData("""{"price":1}""", """{"price":3}""", """{"price":2}""", null)]
    [InlineData("""{"x\ud800":1}""", """{"x\ud800":1,"a":1}""", """{"x\ud800":1,"text":"\ud800"}""", """{"x\ud800":1,"a":1,"text":"\ud800"}""")]
    public void Fields_are_merged_by_their_strategy(string ancestor, string winner, string loser, string? merged) =>
        Assert.Equal(merged, Merge(ancestor, winner, loser));

    [Fact]
    public void For_counters_sets_and_extremes_it_does_not_matter_who_wins_and_an_unchanged_side_adds_nothing()
    {
        var random = new Random(17);
        for (var n = 0; n < 2000; n++)
        {
            var (before, one, other) = (Body(), Body(), Body());
            Assert.Equal(Members(Merge(before, one, other)!), Members(Merge(before, other, one)!));
            Assert.Equal(Members(one), Members(Merge(before, one, before)!), StringComparer.Ordinal);
            Assert.Equal(Merge(before, one, other), Merge(before, one, other));
        }

        // Most only grows and least only shrinks, as their fields do.
        string Body() => new JsonObject
        {
            ["count"] = random.Next(-9, 9),
            ["tags"] = new JsonArray([.. Enumerable.Range(0, 6).Where(_ => random.Next(2) is 0).Select(tag => JsonValue.Create(tag))]),
        }.ToJsonString();

        static string Members(string body) => string.Join(',', JsonNode.Parse(body)!.AsObject().OrderBy(member => member.Key).Select(member => $"{member.Key}{member.Value!.ToJsonString()}"));
    }

    [Fact]
    public async Task Two_leaves_become_one_revision_whatever_comes_first_and_the_losers_body_stays_through_compaction()
    {
        var trees = new List<string>();
        foreach (var order in (string[][])[["2-b", "2-c"], ["2-c", "2-b"]])
        {
            using var client = service.ClientOf(service.NewUser());
            await client.PutAsync("merged");
            await PushAsync(client, """{"count":1,"tags":["x"],"by":"nobody"}""", "1-a");
            foreach (var rev in order)
            {
                await PushAsync(client, rev is "2-b" ? """{"count":3,"tags":["x","b"],"by":"b"}""" : """{"count":6,"tags":["x","c"],"by":"c"}""", rev, "1-a");
            }
            var merged = await client.GetAsync("merged/doc?revs=true&conflicts=true&deleted_conflicts=true");
            Assert.Equal((8, "c"), ((int)merged["count"]!, (string?)merged["by"]));
            Assert.Equal(["b", "c", "x"], merged["tags"]!.AsArray().Select(tag => (string)tag!));
            Assert.Null(merged["_conflicts"]);
            Assert.Equal(["c", "a"], merged["_revisions"]!["ids"]!.AsArray().Skip(1).Select(id => (string)id!));
            trees.Add($"{merged["_rev"]} {merged["_deleted_conflicts"]!.ToJsonString()}");
            await client.PostAsync("merged/_compact", "", 202);
            Assert.Equal(3, (int)(await client.GetAsync("merged/doc?rev=2-b"))["count"]!);
            // Another branch from there is merged with what the merge did not know: 4 more, and no b twice.
            await PushAsync(client, """{"count":7,"tags":["x","b","d"],"by":"b"}""", "3-d", "2-b", "1-a");
            merged = await client.GetAsync("merged/doc?conflicts=true");
            Assert.Equal(12, (int)merged["count"]!);
            Assert.Equal(["b", "c", "d", "x"], merged["tags"]!.AsArray().Select(tag => (string)tag!));
            Assert.Null(merged["_conflicts"]);
        }
        Assert.Equal(trees[0], trees[1]);
    }

    [Fact]
    public async Task The_losers_body_goes_with_the_compaction_after_its_days()
    {
        var user = service.NewUser();
        using var client = service.ClientOf(user);
        await client.PutAsync("merged");
        await PushAsync(client, """{"count":1}""", "1-a");
        await PushAsync(client, """{"count":3}""", "2-b", "1-a");
        await PushAsync(client, """{"count":6}""", "2-c", "1-a");
        await AgeAsync(29);
        await client.PostAsync("merged/_compact", "", 202);
        Assert.Equal(3, (int)(await client.GetAsync("merged/doc?rev=2-b"))["count"]!);
        await AgeAsync(2);
        await client.PostAsync("merged/_compact", "", 202);
        await client.GetAsync("merged/doc?rev=2-b", 404);
        Assert.Equal(8, (int)(await client.GetAsync("merged/doc"))["count"]!);

        Task<long> AgeAsync(int days) => service.CountAsync($"""
            with old as (update sync.body b set stored_at = b.stored_at - interval '{days} days' from sync.database d where d.id = b.db_id and d.owner = $1 returning 1) select count(*) from old
            """, user);
    }

    [Fact]
    public async Task A_field_for_a_person_and_an_ancestor_known_by_name_alone_leave_the_conflict()
    {
        using var client = service.ClientOf(service.NewUser());
        await client.PutAsync("merged");
        await PushAsync(client, """{"price":1}""", "1-a");
        await PushAsync(client, """{"price":2}""", "2-b", "1-a");
        await PushAsync(client, """{"price":3}""", "2-c", "1-a");
        Assert.Equal(["2-b"], (await client.GetAsync("merged/doc?conflicts=true"))["_conflicts"]!.AsArray().Select(rev => (string)rev!));
        await client.DeleteAsync("merged/doc?rev=2-b");
        Assert.Null((await client.GetAsync("merged/doc?conflicts=true"))["_conflicts"]);

        await PushAsync(client, """{"count":5}""", "3-e", "2-d", "1-z", id: "other");
        await PushAsync(client, """{"count":6}""", "3-f", "2-d", "1-z", id: "other");
        var there = await client.GetAsync("merged/other?conflicts=true");
        Assert.Equal(("3-f", "3-e"), ((string?)there["_rev"], (string?)there["_conflicts"]![0]));

        // Nor is what two have in common guessed where it was forgotten: a counter would count it twice.
        await client.PutAsync("merged/_revs_limit", "1", 200);
        await PushAsync(client, """{"count":10}""", "1-a", id: "counted");
        await PushAsync(client, """{"count":11}""", "2-b", "1-a", id: "counted");
        await PushAsync(client, """{"count":12}""", "3-c", "2-b", "1-a", id: "counted");
        await PushAsync(client, """{"count":11}""", "2-x", "1-a", id: "counted");
        var kept = await client.GetAsync("merged/counted?conflicts=true");
        Assert.Equal(("3-c", 12, "2-x"), ((string?)kept["_rev"], (int)kept["count"]!, (string?)kept["_conflicts"]![0]));

        // Any other database keeps its conflicts.
        await client.PutAsync("notes");
        await PushAsync(client, """{"count":5}""", "1-e", database: "notes");
        await PushAsync(client, """{"count":6}""", "1-f", database: "notes");
        Assert.NotNull((await client.GetAsync("notes/doc?conflicts=true"))["_conflicts"]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Three_peers_with_PouchDB_that_edit_the_same_documents_lose_nothing_and_see_no_conflict(int seed)
    {
        var told = await SyncService.RunAsync("pouchdb.mjs", "merge", service.Gateway.Address.ToString(), SyncService.Token(service.NewUser()), $"{seed}", "150");
        Assert.True(told.GetProperty("leaves").GetInt32() > 5);
    }

    [Fact]
    public void Settings_that_mean_nothing_stop_the_start()
    {
        Assert.Equal(["Sync:Merge:x merges a by 'sum'. Valid: last-writer, max, min, set-union, counter, text, ask."], new MergeOptions { Fields = { ["a"] = "sum" } }.Faults("Sync:Merge:x"));
        Assert.Equal(["Sync:Merge:x:KeepDays must be from 1 to 3650."], new MergeOptions { KeepDays = 0 }.Faults("Sync:Merge:x"));
    }

    private static string? Merge(string ancestor, string winner, string loser) =>
        FieldMerge.Merge(Encoding.UTF8.GetBytes(ancestor), Encoding.UTF8.GetBytes(winner), Encoding.UTF8.GetBytes(loser), Rules) is { } merged ? Encoding.UTF8.GetString(merged) : null;

    private static Task<JsonNode> PushAsync(SyncClient client, string body, string rev, string? parent = null, string? grandparent = null, string database = "merged", string id = "doc")
    {
        var document = JsonNode.Parse(body)!.AsObject();
        document["_id"] = id;
        document["_rev"] = rev;
        string[] path = [.. new[] { rev, parent, grandparent }.OfType<string>()];
        document["_revisions"] = new JsonObject { ["start"] = int.Parse(rev[..1], null), ["ids"] = new JsonArray([.. path.Select(one => JsonValue.Create(one[2..]))]) };
        return client.PostAsync($"{database}/_bulk_docs", new JsonObject { ["new_edits"] = false, ["docs"] = new JsonArray(document) }.ToJsonString(), 201);
    }
}
