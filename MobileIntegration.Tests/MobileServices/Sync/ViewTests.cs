using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using static MobileIntegration.Tests.MobileServices.Sync.SyncService;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Map and reduce functions of design documents, and what is asked of them.</summary>
public sealed class ViewTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private const string ByDate = "function (doc) { if (doc.at) { emit(doc.at, doc.price); } }";

    private readonly string _user = service.NewUser();
    private SyncClient _client = null!;

    public async Task InitializeAsync()
    {
        _client = service.ClientOf(_user);
        await _client.PutAsync("shop");
    }

    public Task DisposeAsync()
    {
        _client.Dispose();
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData("", "a1 a2 b1 b2 c1")]
    [InlineData("?descending=true", "c1 b2 b1 a2 a1")]
    [InlineData("?limit=2&skip=1", "a2 b1")]
    [InlineData("?key=[2026,2]", "b1 b2")]
    [InlineData("?startkey=[2026,2]", "b1 b2 c1")]
    [InlineData("?startkey=[2026,2]&startkey_docid=b2", "b2 c1")]
    [InlineData("?endkey=[2026,2]", "a1 a2 b1 b2")]
    [InlineData("?endkey=[2026,2]&inclusive_end=false", "a1 a2")]
    [InlineData("?endkey=[2026,2]&endkey_docid=b1", "a1 a2 b1")]
    [InlineData("?endkey=[2026,2]&endkey_docid=b2&inclusive_end=false", "a1 a2 b1")]
    [InlineData("?startkey=[2026,2]&endkey=[2026,{}]", "b1 b2 c1")]
    [InlineData("?descending=true&startkey=[2026,2]", "b2 b1 a2 a1")]
    [InlineData("?descending=true&startkey=[2026,2]&startkey_docid=b1", "b1 a2 a1")]
    [InlineData("?descending=true&endkey=[2026,2]&inclusive_end=false", "c1")]
    [InlineData("?descending=true&endkey=[2026,2]&endkey_docid=b2&inclusive_end=false", "c1")]
    [InlineData("?descending=true&endkey=[2026,2]&endkey_docid=b2", "c1 b2")]
    [InlineData("?keys=[[2026,3],[2026,1],[2026,9],[2026,3]]", "c1 a1 a2 c1")]
    public async Task Rows_come_in_the_order_of_their_keys_between_those_that_are_asked_for(string query, string ids)
    {
        await FillAsync();
        var rows = (await _client.GetAsync($"shop/_design/app/_view/dates{query}"))["rows"]!.AsArray();
        Assert.Equal(ids, string.Join(' ', rows.Select(row => (string)row!["id"]!)));
    }

    [Theory]
    [InlineData("count", "", """[{"key":null,"value":5}]""")]
    [InlineData("count", "?startkey=[2027]", "[]")]
    [InlineData("count", "?group_level=1", """[{"key":[2026],"value":5}]""")]
    [InlineData("count", "?group=true", """[{"key":[2026,1],"value":2},{"key":[2026,2],"value":2},{"key":[2026,3],"value":1}]""")]
    [InlineData("count", "?group=true&descending=true&skip=1&limit=1", """[{"key":[2026,2],"value":2}]""")]
    [InlineData("count", "?group=true&keys=[[2026,3],[2026,1]]", """[{"key":[2026,3],"value":1},{"key":[2026,1],"value":2}]""")]
    [InlineData("total", "", """[{"key":null,"value":15}]""")]
    [InlineData("stats", "", """[{"key":null,"value":{"sum":15,"count":5,"min":1,"max":5,"sumsqr":55}}]""")]
    [InlineData("own", "?group_level=2", """[{"key":[2026,1],"value":3},{"key":[2026,2],"value":7},{"key":[2026,3],"value":5}]""")]
    [InlineData("lists", "", """[{"key":null,"value":[5,15,{"x":5}]}]""")]
    public async Task Rows_are_reduced_by_groups(string view, string query, string rows)
    {
        await FillAsync();
        Assert.Equal(rows, (await _client.GetAsync($"shop/_design/app/_view/{view}{query}"))["rows"]!.ToJsonString());
    }

    [Fact]
    public async Task A_reduce_function_gets_its_own_results_when_there_are_many_rows()
    {
        await _client.PutAsync("shop/_design/many", Design(("n", "function (doc) { emit(doc.n % 3, 1); }", "function (keys, values, rereduce) { return rereduce ? sum(values) : values.length; }")));
        for (var n = 0; n < 3; n++)
        {
            await _client.PostAsync("shop/_bulk_docs", Docs(Enumerable.Range(n * 5000, 5000).Select(i => $"{{\"_id\":\"d{i}\",\"n\":{i}}}")), 201);
        }
        Assert.Equal("""[{"key":null,"value":15000}]""", (await _client.GetAsync("shop/_design/many/_view/n"))["rows"]!.ToJsonString());
        Assert.Equal([5000, 5000, 5000], (await _client.GetAsync("shop/_design/many/_view/n?group=true"))["rows"]!.AsArray().Select(row => (int)row!["value"]!));
        Assert.Equal(15000, (await _client.GetAsync("shop/_design/many/_view/n?reduce=false"))["rows"]!.AsArray().Count);
    }

    [Fact]
    public async Task A_view_follows_its_documents_and_one_that_changes_begins_anew()
    {
        await FillAsync();
        Assert.Equal(5, (int)(await _client.GetAsync("shop/_design/app/_view/dates"))["total_rows"]!);
        var rev = (string)(await _client.GetAsync("shop/a1"))["_rev"]!;
        await _client.PutAsync($"shop/a1?rev={rev}", """{"at":[2026,9],"price":100}""");
        await _client.DeleteAsync($"shop/a2?rev={(await _client.GetAsync("shop/a2"))["_rev"]}");
        var behind = await _client.GetAsync("shop/_design/app/_view/dates?update=false");
        Assert.Equal(5, (int)behind["total_rows"]!);
        var now = await _client.GetAsync("shop/_design/app/_view/dates?include_docs=true&update_seq=true");
        Assert.Equal("b1 b2 c1 a1", string.Join(' ', now["rows"]!.AsArray().Select(row => (string)row!["id"]!)));
        Assert.Equal(100, (int)now["rows"]![3]!["doc"]!["price"]!);
        Assert.Equal((string?)(await _client.GetAsync("shop"))["update_seq"], (string?)now["update_seq"]);

        await _client.PutAsync("shop/d1", """{"at":[2027,1],"price":1}""");
        await _client.GetAsync("shop/_design/app/_view/dates?update=lazy");
        await Eventually.TrueAsync(async () => (int)(await _client.GetAsync("shop/_design/app/_view/dates?update=false"))["total_rows"]! is 5, TimeSpan.FromSeconds(30));
        Assert.Equal(0, (int)(await InfoAsync("shop", ByDate))["updates_pending"]!["total"]!);

        await _client.PutAsync($"shop/_design/app?rev={(await _client.GetAsync("shop/_design/app"))["_rev"]}", Design(("dates", "(doc) => emit(-doc.price)", null)));
        Assert.Equal(0L, await service.CountAsync("select count(*) from sync.index i join sync.database d on d.id = i.db_id where d.owner = $1", _user));
        Assert.Equal("a1 c1 b2 b1 d1", string.Join(' ', (await _client.GetAsync("shop/_design/app/_view/dates"))["rows"]!.AsArray().Select(row => (string)row!["id"]!)));

        async Task<JsonNode> InfoAsync(string database, string map)
        {
            var design = await _client.PutAsync($"{database}/_design/info", Design(("dates", map, null)));
            await _client.GetAsync($"{database}/_design/info/_view/dates");
            var info = await _client.GetAsync($"{database}/_design/info/_info");
            await _client.DeleteAsync($"{database}/_design/info?rev={design["rev"]}");
            return info["view_index"]!;
        }
    }

    [Fact]
    public async Task A_map_that_throws_skips_its_document_and_whatever_is_emitted_comes_back_as_it_was()
    {
        await _client.PutAsync("shop/_design/odd", Design(
            ("odd", """function (doc) { emit(doc.a.b, doc.text); emit(null); emit("\ud800\u0000é", { "\ud800": "\u0000" }); emit({ z: 1, a: undefined }, new Date(0)); emit(NaN, [undefined]); }""", null),
            ("link", "(doc) => emit(doc.n, { _id: doc.to })", null)));
        await _client.PostAsync("shop/_bulk_docs", Docs(["""{"_id":"x","n":1,"to":"y","a":{"b":2},"text":"é\u0000\ud83d\ude00"}""", """{"_id":"y","n":2,"to":"none"}"""]), 201);
        var text = await _client.Http.GetStringAsync("shop/_design/odd/_view/odd");
        using var odd = JsonDocument.Parse(text);
        var keys = odd.RootElement.GetProperty("rows").EnumerateArray().Select(row => row.GetProperty("key").GetRawText());
        Assert.Equal("null null 2 \"\\ud800\\u0000é\" {\"z\":1}", string.Join(' ', keys));
        Assert.Contains("\"1970-01-01T00:00:00.000Z\"", text, StringComparison.Ordinal);
        var linked = (await _client.GetAsync("shop/_design/odd/_view/link?include_docs=true"))["rows"]!.AsArray();
        Assert.Equal(["y", null], linked.Select(row => (string?)row!["doc"]?["_id"]));
    }

    [Theory]
    [InlineData("() => { for (;;) {} }", 500, "os_process_error")]
    [InlineData("() => { for (;;) { emit(1, 2); } }", 500, "os_process_error")]
    [InlineData("() => { const all = []; for (let n = 0; n < 100000; n++) { all.push('x'.repeat(1000000)); } emit(all, all); }", 500, "os_process_error")]
    [InlineData("() => { const text = 'x'.repeat(7000000); emit(1, text); emit(2, text); }", 500, "os_process_error")]
    [InlineData("() => { const text = 'x'.repeat(7000000); emit(1, Array(1000).fill(text)); }", 200, null)]
    [InlineData("() => { const text = 'x'.repeat(7000000); emit(1, Array(1000).fill(text).join('')); }", 200, null)]
    [InlineData("() => { const round = {}; round.round = round; emit(round); }", 500, "os_process_error")]
    [InlineData("() => { Array.prototype.push = () => { throw 1; }; emit = () => {}; JSON.stringify = () => 7; }", 200, null)]
    [InlineData("() => { System.IO.File.ReadAllText('/etc/passwd'); }", 200, null)]
    [InlineData("function (", 500, "compilation_error")]
    public async Task A_hostile_map_harms_nobody_else(string map, int status, string? error)
    {
        await _client.PutAsync("shop/_design/bad", Design(("bad", map, null), ("good", "(doc) => emit(doc._id)", null)));
        await _client.PostAsync("shop/_bulk_docs", Docs(Enumerable.Range(0, 20).Select(n => $"{{\"_id\":\"d{n:00}\"}}")), 201);
        var clock = Stopwatch.StartNew();
        var answer = await _client.GetAsync("shop/_design/bad/_view/bad", status);
        Assert.Equal(error, (string?)answer["error"]);
        Assert.True(error is not null || answer["rows"]!.AsArray().Count is 0, answer.ToJsonString());
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), $"It took {clock.Elapsed}.");
        Assert.Equal(20, (await _client.GetAsync("shop/_design/bad/_view/good"))["rows"]!.AsArray().Count);
        await _client.PutAsync("shop/after", "{}");
    }

    [Theory]
    [InlineData("dates?startkey=2&endkey=1", 400, "query_parse_error")]
    [InlineData("dates?startkey=1&endkey=2&descending=true", 400, "query_parse_error")]
    [InlineData("dates?reduce=true", 400, "query_parse_error")]
    [InlineData("dates?group=true", 400, "query_parse_error")]
    [InlineData("dates?key=x", 400, "bad_request")]
    [InlineData("dates?update=maybe", 400, "query_parse_error")]
    [InlineData("count?include_docs=true", 400, "query_parse_error")]
    [InlineData("count?keys=[1]", 400, "query_parse_error")]
    [InlineData("words", 500, "builtin_reduce_error")]
    [InlineData("builtin", 400, "bad_request")]
    [InlineData("none", 404, "not_found")]
    public async Task What_cannot_be_answered_is_refused_with_the_reason(string view, int status, string error)
    {
        await FillAsync();
        Assert.Equal(error, (string?)(await _client.GetAsync($"shop/_design/app/_view/{view}", status))["error"]);
    }

    [Fact]
    public async Task Where_a_reduce_function_throws_the_value_is_null_and_other_groups_have_theirs()
    {
        await FillAsync();
        var rows = (await _client.GetAsync("shop/_design/app/_view/throws?group_level=2"))["rows"]!.AsArray();
        Assert.Equal("""[{"key":[2026,1],"value":3},{"key":[2026,2],"value":null},{"key":[2026,3],"value":5}]""", rows.ToJsonString());
        Assert.Equal("""[{"key":null,"value":null}]""", (await _client.GetAsync("shop/_design/app/_view/throws"))["rows"]!.ToJsonString());
    }

    [Fact]
    public async Task A_view_is_a_filter_of_changes()
    {
        await FillAsync();
        var told = await _client.GetAsync("shop/_changes?filter=_view&view=app/cheap");
        Assert.Equal(["a1", "a2"], told["results"]!.AsArray().Select(row => (string)row!["id"]!).Order(StringComparer.Ordinal));
        await _client.GetAsync("shop/_changes?filter=_view&view=app/none", 404);
        await _client.GetAsync("shop/_changes?filter=_view", 400);
    }

    [Fact]
    public async Task Indexes_take_as_many_bytes_as_they_may()
    {
        await using var small = service.Start(("Sync:MostIndexBytes", "2000"));
        using var client = service.ClientOf(_user, small.Address);
        await client.PutAsync("small");
        await client.PostAsync("small/_bulk_docs", Docs(Enumerable.Range(0, 200).Select(n => $"{{\"n\":{n}}}")), 201);
        await client.PostAsync("small/_index", """{"index":{"fields":["n"]}}""");
        var refused = await client.PostAsync("small/_find", """{"selector":{"n":1}}""", 413);
        Assert.Contains("Sync:MostIndexBytes", (string?)refused["reason"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task PouchDB_asks_views_here_as_it_asks_its_own()
    {
        var told = await RunAsync("pouchdb.mjs", "views", service.Gateway.Address.ToString(), Token(_user));
        Assert.True(told.GetProperty("queries").GetInt32() > 25);
    }

    private async Task FillAsync()
    {
        await _client.PutAsync("shop/_design/app", Design(
            ("dates", ByDate, null), ("count", ByDate, "_count"), ("total", ByDate, "_sum"), ("stats", ByDate, "_stats"),
            ("own", ByDate, "function (keys, values) { return sum(values); }"),
            ("lists", "function (doc) { emit(null, [1, doc.price, { x: 1 }]); }", "_sum"),
            ("words", "function (doc) { emit(null, 'word'); }", "_stats"),
            ("builtin", ByDate, "_none"), ("throws", ByDate, "function (keys, values) { if (values.indexOf(4) >= 0) { throw new Error('no'); } return sum(values); }"),
            ("cheap", "function (doc) { if (doc.price < 3) { emit(doc.price); } }", null)));
        await _client.PostAsync("shop/_bulk_docs", Docs(
            ["""{"_id":"b2","at":[2026,2],"price":4}""", """{"_id":"a1","at":[2026,1],"price":1}""", """{"_id":"c1","at":[2026,3],"price":5}""", """{"_id":"a2","at":[2026,1],"price":2}""", """{"_id":"b1","at":[2026,2],"price":3}"""]), 201);
    }

    private static string Docs(IEnumerable<string> docs) => $$"""{"docs":[{{string.Join(',', docs)}}]}""";

    private static string Design(params (string Name, string Map, string? Reduce)[] views)
    {
        var all = new JsonObject();
        foreach (var (name, map, reduce) in views)
        {
            all[name] = reduce is null ? new JsonObject { ["map"] = map } : new JsonObject { ["map"] = map, ["reduce"] = reduce };
        }
        return new JsonObject { ["views"] = all }.ToJsonString();
    }
}
