using System.Text.Json.Nodes;
using static MobileIntegration.Tests.MobileServices.Sync.SyncService;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Pull, push and stream for clients that know nothing of revisions.</summary>
public sealed class PlainTests(SyncService service) : IClassFixture<SyncService>
{
    private readonly string _user = service.NewUser();

    [Fact]
    public async Task RxDBs_own_protocol_replicates_by_handlers_of_a_line_each() =>
        Assert.True((await RunAsync("rxdb-http.mjs", service.Gateway.Address.ToString(), Token(_user))).GetProperty("ok").GetBoolean());

    [Fact]
    public async Task What_was_pushed_is_pulled_page_by_page_with_deletions_and_under_the_clients_name_for_ids()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("pages");
        var rows = Enumerable.Range(0, 25).Select(n => $$$"""{"newDocumentState":{"key":"n{{{n}}}","_deleted":false,"n":{{{n}}}}}""");
        Assert.Equal("""{"conflicts":[],"refused":[]}""", (await client.PostAsync("pages/_push?key=key", $"[{string.Join(',', rows)}]")).ToJsonString());
        await client.PostAsync("pages/_push?key=key", """[{"newDocumentState":{"key":"n7","_deleted":true},"assumedMasterState":{"key":"n7","_deleted":false,"n":7}}]""");

        var seen = new Dictionary<string, JsonNode>();
        var since = "0";
        for (var page = 0; page < 4; page++)
        {
            var told = await client.GetAsync($"pages/_pull?key=key&since={since}&limit=10");
            foreach (var document in told["documents"]!.AsArray())
            {
                seen.Add((string)document!["key"]!, document);
            }
            since = (string)told["checkpoint"]!;
        }

        Assert.Equal(25, seen.Count);
        Assert.True((bool)seen["n7"]["_deleted"]!);
        Assert.Equal("""{"key":"n8","_deleted":false,"n":8}""", seen["n8"].ToJsonString());
        Assert.Empty((await client.GetAsync($"pages/_pull?since={since}"))["documents"]!.AsArray());
    }

    [Fact]
    public async Task What_somebody_else_has_changed_meanwhile_comes_back_and_is_not_overwritten()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("conflicts");
        await client.PutAsync("conflicts/a", """{"text":"theirs","_id":"a"}""");

        var told = await client.PostAsync("conflicts/_push", """
            [{"newDocumentState":{"_id":"a","text":"mine"},"assumedMasterState":{"_id":"a","text":"before"}},
             {"newDocumentState":{"_id":"b","text":"mine"}}]
            """);

        Assert.Equal("""{"conflicts":[{"_id":"a","_deleted":false,"text":"theirs"}],"refused":[]}""", told.ToJsonString());
        Assert.Equal("theirs", (string)(await client.GetAsync("conflicts/a"))["text"]!);
        Assert.Equal("mine", (string)(await client.GetAsync("conflicts/b"))["text"]!);
    }

    [Fact]
    public async Task Of_twenty_that_change_the_same_document_at_once_one_wins_and_all_others_are_told_so()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("race");
        await client.PostAsync("race/_push", """[{"newDocumentState":{"_id":"a","by":-1}}]""");

        var told = await Task.WhenAll(Enumerable.Range(0, 20).Select(async n =>
        {
            using var own = service.ClientOf(_user, n % 2 is 0 ? service.One.Address : service.Other.Address);
            var answer = await own.PostAsync("race/_push", $$$"""[{"newDocumentState":{"_id":"a","by":{{{n}}}},"assumedMasterState":{"_id":"a","by":-1}}]""");
            return (By: n, Conflicts: answer["conflicts"]!.AsArray());
        }));

        var winner = Assert.Single(told, one => one.Conflicts.Count is 0).By;
        Assert.All(told.Where(one => one.By != winner), one => Assert.Equal(winner, (int)one.Conflicts.Single()!["by"]!));
        Assert.Equal(winner, (int)(await client.GetAsync("race/a"))["by"]!);
        Assert.Null((await client.GetAsync("race/a?conflicts=true"))["_conflicts"]);
    }

    [Fact]
    public async Task What_was_written_already_is_no_conflict_when_its_answer_was_lost()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("again");
        const string Rows = """[{"newDocumentState":{"_id":"a","n":1.0,"list":[{"x":1}]}},{"newDocumentState":{"_id":"b","_deleted":true}}]""";
        await client.PostAsync("again/_push", Rows);
        var rev = (string)(await client.GetAsync("again/a"))["_rev"]!;

        Assert.Equal("""{"conflicts":[],"refused":[]}""", (await client.PostAsync("again/_push", Rows)).ToJsonString());
        Assert.Equal(rev, (string)(await client.GetAsync("again/a"))["_rev"]!);
    }

    [Fact]
    public async Task A_deleted_document_may_be_written_anew_but_not_by_who_has_it_as_living()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("anew");
        await client.PostAsync("anew/_push", """[{"newDocumentState":{"_id":"a","n":1}}]""");
        await client.PostAsync("anew/_push", """[{"newDocumentState":{"_id":"a","_deleted":true},"assumedMasterState":{"_id":"a","n":1}}]""");

        var late = await client.PostAsync("anew/_push", """[{"newDocumentState":{"_id":"a","n":2},"assumedMasterState":{"_id":"a","n":1}}]""");
        Assert.True((bool)late["conflicts"]![0]!["_deleted"]!);
        Assert.Empty((await client.PostAsync("anew/_push", """[{"newDocumentState":{"_id":"a","n":3}}]"""))["conflicts"]!.AsArray());
        Assert.Equal(3, (int)(await client.GetAsync("anew/a"))["n"]!);
    }

    [Fact]
    public async Task What_a_rule_refuses_is_told_with_its_reason_and_the_state_to_go_back_to_and_others_are_written()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("rules");
        await client.PutAsync("rules/_design/rules", """{"validate_doc_update":"function(doc) { if (doc.bad) throw({forbidden: 'no bad ones'}); }"}""");

        var told = await client.PostAsync("rules/_push", """[{"newDocumentState":{"_id":"a","bad":true}},{"newDocumentState":{"_id":"b"}}]""");

        Assert.Equal(
            """{"conflicts":[{"_id":"a","_deleted":true}],"refused":[{"id":"a","error":"forbidden","reason":"no bad ones"}]}""", told.ToJsonString());
        await client.GetAsync("rules/b");
    }

    [Fact]
    public async Task Attachments_that_such_a_client_does_not_see_stay()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("files");
        await client.PutAsync("files/a", """{"n":1,"_attachments":{"note.txt":{"content_type":"text/plain","data":"aGVsbG8="}}}""");

        await client.PostAsync("files/_push", """[{"newDocumentState":{"_id":"a","n":2},"assumedMasterState":{"_id":"a","n":1}}]""");

        Assert.Equal(2, (int)(await client.GetAsync("files/a"))["n"]!);
        Assert.Equal("hello", await client.Http.GetStringAsync("files/a/note.txt"));
    }

    [Fact]
    public async Task The_stream_has_a_line_for_each_change_and_goes_on_from_the_last_event()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("stream");
        using var response = await client.Http.GetAsync("stream/_stream?key=id&heartbeat=200", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());

        // Written over several lines, and with a member of the name that ids have here.
        await client.PutAsync("stream/one", "{\n  \"a\": [\r\n    1,\n    2 ],\n  \"id\": \"of its own\"\n}");
        var told = JsonNode.Parse((await LineAsync(lines, "data: {"))["data: ".Length..])!;
        Assert.Equal("""{"id":"one","_deleted":false,"a":[1,2]}""", told["documents"]!.AsArray().Single()!.ToJsonString());
        var id = (await LineAsync(lines, "id: "))["id: ".Length..];
        Assert.Equal(id, (string)told["checkpoint"]!);

        await client.PutAsync("stream/two", "{}");
        using var again = new HttpRequestMessage(HttpMethod.Get, "stream/_stream?since=0");
        again.Headers.Add("Last-Event-ID", id);
        using var more = await client.Http.SendAsync(again, HttpCompletionOption.ResponseHeadersRead);
        using var rest = new StreamReader(await more.Content.ReadAsStreamAsync());
        Assert.Contains("\"two\"", await LineAsync(rest, "data: {"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pull_push_stream_and_the_feed_of_changes_have_one_sequence()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("one");
        await client.PostAsync("one/_push", """[{"newDocumentState":{"_id":"a"}},{"newDocumentState":{"_id":"b"}}]""");
        await client.PutAsync("one/c", "{}");
        await client.PostAsync("one/_push", """[{"newDocumentState":{"_id":"d"}}]""");
        var changes = (await client.GetAsync("one/_changes"))["results"]!.AsArray().Select(row => ((string)row!["id"]!, (string)row["seq"]!)).ToList();
        Assert.Equal(["a", "b", "c", "d"], changes.Select(change => change.Item1));

        // The checkpoint of a pull is a row's sequence, and any of them goes on with what follows in all three.
        var pulled = new List<(string, string)>();
        for (var since = "0"; pulled.Count < 4; since = pulled[^1].Item2)
        {
            var page = await client.GetAsync($"one/_pull?since={since}&limit=1");
            pulled.Add(((string)page["documents"]![0]!["_id"]!, (string)page["checkpoint"]!));
        }
        Assert.Equal(changes, pulled);
        for (var n = 0; n < 3; n++)
        {
            using var response = await client.Http.GetAsync($"one/_stream?since={changes[n].Item2}", HttpCompletionOption.ResponseHeadersRead);
            using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
            foreach (var (id, seq) in changes[(n + 1)..])
            {
                var told = JsonNode.Parse((await LineAsync(lines, "data: {"))["data: ".Length..])!;
                Assert.Equal((id, seq), ((string)told["documents"]![0]!["_id"]!, (string)told["checkpoint"]!));
                Assert.Equal($"id: {seq}", await LineAsync(lines, "id: "));
            }
            Assert.Equal(changes[(n + 1)..], (await client.GetAsync($"one/_changes?since={pulled[n].Item2}"))["results"]!.AsArray().Select(row => ((string)row!["id"]!, (string)row["seq"]!)));
        }
        Assert.Equal(changes[^1].Item2, (string?)(await client.GetAsync("one"))["update_seq"]);
    }

    [Theory]
    [InlineData("{}", "list")]
    [InlineData("[1]", "newDocumentState")]
    [InlineData("""[{"newDocumentState":{"n":1}}]""", "_id")]
    [InlineData("""[{"newDocumentState":{"_id":""}}]""", "empty")]
    [InlineData("""[{"newDocumentState":{"_id":"_local/a"}}]""", "Local")]
    [InlineData("""[{"newDocumentState":{"_id":"a","_rev":"1-a"}}]""", "_rev")]
    [InlineData("""[{"newDocumentState":{"_id":"a","_deleted":1}}]""", "_deleted")]
    [InlineData("""[{"newDocumentState":{"_id":"a"},"assumedMasterState":[]}]""", "assumedMasterState")]
    [InlineData("""[{"newDocumentState":{"_id":"a"}},{"newDocumentState":{"_id":"a"}}]""", "twice")]
    public async Task A_push_that_is_none_is_refused_whole_and_says_why(string rows, string word)
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("wrong");
        Assert.Contains(word, (string)(await client.PostAsync("wrong/_push", rows, 400))["reason"]!, StringComparison.Ordinal);
        Assert.Equal(0, (int)(await client.GetAsync("wrong"))["doc_count"]!);
    }

    private static async Task<string> LineAsync(StreamReader lines, string start)
    {
        while (true)
        {
            var line = await lines.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30));
            if (line is null || line.StartsWith(start, StringComparison.Ordinal))
            {
                return Assert.IsType<string>(line);
            }
        }
    }
}
