using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>What one document may cost, however many revisions somebody makes of it.</summary>
public sealed class TreeLimitTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private const int Branches = 10_000;
    private const int MostLeaves = 1000;

    private readonly string _user = service.NewUser();
    private SyncClient _client = null!;

    public async Task InitializeAsync()
    {
        _client = service.ClientOf(_user);
        await _client.PutAsync("notes");
        await _client.PutAsync("merged");
    }

    public Task DisposeAsync()
    {
        _client.Dispose();
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Of_ten_thousand_roots_or_children_of_one_revision_as_many_are_stored_as_may_be_and_others_write_meanwhile(bool areChildren)
    {
        using var other = service.ClientOf(service.NewUser());
        await other.PutAsync("notes");
        if (areChildren)
        {
            await PushAsync("notes", ["""{"_id":"d","_rev":"1-base"}"""]);
        }
        var docs = Enumerable.Range(0, Branches).Select(n => areChildren
            ? $$"""{"_id":"d","_revisions":{"start":2,"ids":["b{{n}}","base"]},"n":{{n}}}"""
            : $$"""{"_id":"d","_rev":"1-b{{n}}","n":{{n}}}""");
        var pushing = PushAsync("notes", docs);
        var written = 0;
        do
        {
            await other.PutAsync($"notes/n{written++}", "{}");
        }
        while (!pushing.IsCompleted);
        var refused = await pushing;

        Assert.Equal(written, (int)(await other.GetAsync("notes"))["doc_count"]!);
        Assert.Equal(Branches - MostLeaves, refused.Count);
        Assert.All(refused, row => Assert.Equal(("d", "forbidden"), ((string)row["id"]!, (string)row["error"]!)));
        Assert.All(refused, row => Assert.Contains("Sync:MostLeaves", (string)row["reason"]!, StringComparison.Ordinal));
        var generation = areChildren ? 2 : 1;
        var acknowledged = Enumerable.Range(0, Branches).Select(n => $"{generation}-b{n}").Except(refused.Select(row => (string)row["rev"]!)).Order().ToList();
        var open = await OpenAsync();
        Assert.Equal(acknowledged, open.Select(leaf => (string)leaf["_rev"]!).Order());
        Assert.All(open, leaf => Assert.Equal($"{generation}-b{(int)leaf["n"]!}", (string?)leaf["_rev"]));
        Assert.Equal("d", (string?)Assert.Single(await PushAsync("notes", ["""{"_id":"first","_rev":"1-a"}""", """{"_id":"d","_rev":"1-more"}""", """{"_id":"last","_rev":"1-a"}"""]))["id"]);
        Assert.Equal(3, (int)(await _client.GetAsync("notes"))["doc_count"]!);
        Assert.InRange(await TreeBytesAsync(), MostLeaves * 4, MostLeaves * 20);

        // What adds no leaf is taken all the same, and one that is deleted makes room.
        Assert.Equal("forbidden", (string?)(await _client.PutAsync("notes/d?new_edits=false", """{"_rev":"1-more"}""", 403))["error"]);
        var winner = (string)(await _client.GetAsync("notes/d"))["_rev"]!;
        var next = (string)(await _client.PutAsync($"notes/d?rev={winner}", """{"n":-1}"""))["rev"]!;
        Assert.Equal(MostLeaves, (await OpenAsync()).Count);
        await _client.DeleteAsync($"notes/d?rev={next}");
        var living = (string)(await _client.GetAsync("notes/d"))["_rev"]!;
        Assert.Empty(await PushAsync("notes", [$$"""{"_id":"d","_revisions":{"start":{{generation + 1}},"ids":["gone","{{living[2..]}}"]},"_deleted":true}"""]));
        Assert.NotEqual(living, (string?)(await _client.GetAsync("notes/d"))["_rev"]);
        Assert.Empty(await PushAsync("notes", ["""{"_id":"d","_rev":"1-more"}""", """{"_id":"d","_rev":"1-other"}"""]));
        Assert.Equal("1-last", (string?)Assert.Single(await PushAsync("notes", ["""{"_id":"d","_rev":"1-last"}"""]))["rev"]);
    }

    [Fact]
    public async Task Of_deleted_leaves_there_may_be_ten_times_as_many_and_to_purge_them_makes_room()
    {
        Assert.Empty(await PushAsync("notes", Enumerable.Range(0, Branches).Select(n => $$"""{"_id":"d","_rev":"1-b{{n}}","_deleted":true}""")));

        Assert.Equal(2, (await PushAsync("notes", ["""{"_id":"d","_rev":"1-more"}""", """{"_id":"d","_rev":"1-other","_deleted":true}"""])).Count);
        await _client.PostAsync("notes/_purge", """{"d":["1-b7"]}""", 201);
        Assert.Empty(await PushAsync("notes", ["""{"_id":"d","_rev":"1-more"}"""]));
    }

    [Fact]
    public async Task Ten_thousand_roots_that_the_service_may_merge_become_one_leaf_of_as_many_as_are_taken()
    {
        var refused = await PushAsync("merged", Enumerable.Range(0, Branches).Select(n => $$"""{"_id":"d","_rev":"1-b{{n}}","count":1}"""));
        Assert.Equal(Branches - MostLeaves, refused.Count);
        var document = await _client.GetAsync("merged/d?conflicts=true");
        Assert.Equal(MostLeaves, (int)document["count"]!);
        Assert.Null(document["_conflicts"]);
    }

    [Fact]
    public async Task Ten_thousand_roots_that_a_person_has_to_merge_stay_and_those_are_tried_that_may_go_with_the_winner()
    {
        var refused = await PushAsync("merged", Enumerable.Range(0, Branches).Select(n => $$"""{"_id":"d","_rev":"1-b{{n}}","price":{{n}}}"""));
        Assert.Equal(Branches - MostLeaves, refused.Count);
        var document = await _client.GetAsync("merged/d?conflicts=true");
        Assert.Equal(MostLeaves - 1, document["_conflicts"]!.AsArray().Count);
        // One that agrees with the winner goes into it.
        var leaf = document["_conflicts"]!.AsArray().Select(rev => (string)rev!).Last();
        Assert.Empty(await PushAsync("merged", [$$"""{"_id":"d","_revisions":{"start":2,"ids":["same","{{leaf[2..]}}"]},"price":{{(int)document["price"]!}}}"""]));
        Assert.Equal(MostLeaves - 2, (await _client.GetAsync("merged/d?conflicts=true"))["_conflicts"]!.AsArray().Count);
    }

    [Fact]
    public async Task Merging_makes_no_document_larger_than_it_may_be()
    {
        await using var small = service.Start(("Sync:DocumentBytes", "2000"));
        using var client = service.ClientOf(_user, small.Address);
        await client.PostAsync("merged/_bulk_docs", $$"""
            {"new_edits":false,"docs":[{"_id":"d","_rev":"1-a","tags":["{{new string('a', 1200)}}"]},{"_id":"d","_rev":"1-b","tags":["{{new string('b', 1200)}}"]},{"_id":"d","_rev":"1-c","tags":["c"]}]}
            """, 201);
        var document = await client.GetAsync("merged/d?conflicts=true");
        Assert.Single(document["_conflicts"]!.AsArray());
        Assert.Equal(2, document["tags"]!.AsArray().Count);
    }

    [Fact]
    public async Task Trees_count_for_the_bytes_of_a_database_before_and_after_it_is_compacted()
    {
        await using var small = service.Start(("Sync:MostBytes", "30000"));
        using var client = service.ClientOf(_user, small.Address);
        Assert.Empty((await client.PostAsync("notes/_bulk_docs", $$"""{"new_edits":false,"docs":[{{Long("a")}},{{Long("b")}}]}""", 201)).AsArray());
        Assert.Equal("too_large", (string?)(await client.PostAsync("notes/_bulk_docs", $$"""{"new_edits":false,"docs":[{{Long("c")}}]}""", 201))[0]!["error"]);
        await AssertCountedAsync();
        await client.PutAsync("notes/_revs_limit", "10", 200);
        await client.DeleteAsync($"notes/a?rev={(string?)(await client.GetAsync("notes/a"))["_rev"]}");
        await AssertCountedAsync();
        Assert.Empty((await client.PostAsync("notes/_bulk_docs", $$"""{"new_edits":false,"docs":[{{Long("c")}}]}""", 201)).AsArray());
        await client.PostAsync("notes/_compact", "", 202);
        await AssertCountedAsync();

        static string Long(string id) => $$"""{"_id":"{{id}}","_revisions":{"start":1000,"ids":[{{string.Join(',', Enumerable.Range(0, 1000).Select(n => $"\"{n:x32}\""))}}]} }""";

        async Task AssertCountedAsync() => Assert.Equal(1, await service.CountAsync("""
            select count(*) from sync.database s where s.owner = $1 and s.name = 'notes' and s.body_bytes =
                (select sum(octet_length(body) + octet_length(tree)) from sync.document d where d.db_id = s.id) + coalesce((select sum(octet_length(body)) from sync.body b where b.db_id = s.id), 0)
            """, _user));
    }

    [Fact]
    public async Task A_document_of_a_thousand_edits_is_as_small_as_the_limit_that_holds_when_it_is_written()
    {
        await EditAsync(1, 1000);
        Assert.InRange(await TreeBytesAsync(), 17_000, 17_100);
        await _client.PutAsync("notes/_revs_limit", "10", 200);
        await EditAsync(1000, 1001);
        Assert.InRange(await TreeBytesAsync(), 170, 190);
        await _client.PutAsync("notes/_revs_limit", "100000", 200);
        await EditAsync(1001, 1101);
        Assert.InRange(await TreeBytesAsync(), 110 * 17, 111 * 17);
        await _client.PutAsync("notes/_revs_limit", "1", 200);
        await EditAsync(1101, 1102);
        Assert.InRange(await TreeBytesAsync(), 17, 25);
        Assert.Equal("1102-" + $"{1102:x32}", (string?)(await _client.GetAsync("notes/d?conflicts=true"))["_rev"]);
        Assert.Null((await _client.GetAsync("notes/d?conflicts=true"))["_conflicts"]);

        async Task EditAsync(int from, int to) => Assert.Empty(await PushAsync("notes", Enumerable.Range(from, to - from + 1).Select(n =>
            $$"""{"_id":"d","_revisions":{"start":{{n}},"ids":["{{n:x32}}"{{(n > 1 ? $",\"{n - 1:x32}\"" : "")}}]} }""")));
    }

    [Fact]
    public async Task A_past_that_is_longer_than_the_limit_is_followed_to_what_is_known()
    {
        await _client.PutAsync("notes/_revs_limit", "3", 200);
        await PushAsync("notes", ["""{"_id":"d","_rev":"1-a"}"""]);
        await PushAsync("notes", ["""{"_id":"d","_revisions":{"start":7,"ids":["g","f","e","d","c","b","a"]},"n":7}"""]);
        var document = await _client.GetAsync("notes/d?revs=true&conflicts=true");
        Assert.Equal(["g", "f", "e"], document["_revisions"]!["ids"]!.AsArray().Select(id => (string)id!));
        Assert.Null(document["_conflicts"]);
    }

    [Fact]
    public async Task More_revisions_in_one_request_than_anybody_has_are_refused_before_they_are_read()
    {
        var ids = string.Join(',', Enumerable.Repeat("\"a\"", 500_001));
        var json = $$"""{"new_edits":false,"docs":[{"_id":"a","_revisions":{"start":500001,"ids":[{{ids}}]} },{"_id":"b","_revisions":{"start":500001,"ids":[{{ids}}]} }]}""";
        Assert.Equal("too_large", (string?)(await _client.PostAsync("notes/_bulk_docs", json, 413))["error"]);
        Assert.Equal(0, (int)(await _client.GetAsync("notes"))["doc_count"]!);
    }

    private async Task<List<JsonNode>> PushAsync(string database, IEnumerable<string> docs) =>
        [.. (await _client.PostAsync($"{database}/_bulk_docs", $$"""{"new_edits":false,"docs":[{{string.Join(',', docs)}}]}""", 201)).AsArray().Select(row => row!)];

    private async Task<List<JsonNode>> OpenAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "notes/d?open_revs=all") { Headers = { Accept = { new("application/json") } } };
        return [.. (await SyncClient.ReadAsync(await _client.Http.SendAsync(request), 200)).AsArray().Select(row => row!["ok"]!)];
    }

    private Task<long> TreeBytesAsync() => service.CountAsync("select octet_length(d.tree)::bigint from sync.document d join sync.database s on s.id = d.db_id where s.owner = $1 and d.doc_id = 'd'", _user);
}
