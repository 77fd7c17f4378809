using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MobileServices.Sync.Indexes;
using MobileServices.Sync.Queries;
using static MobileIntegration.Tests.MobileServices.Sync.SyncService;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Indexes make _find fast and change nothing else.</summary>
public sealed class IndexTests(SyncService service) : IClassFixture<SyncService>
{
    private static readonly string[] Values =
    [
        "null", "false", "true", "-1e300", "-1", "-0", "0", "1", "1.0", "1e-30", "2", "10", "12345678901234567890123", "12345678901234567890124", "9007199254740992", "9007199254740993", "1e29", "1e400",
        "\"\"", "\"a\"", "\"a\\u0000\"", "\"a\\u0000b\"", "\"ab\"", "\"b\"", "\"é\"", "\"\\uffff\"", "\"\\ud83d\\ude00\"", "\"\\ud800\"",
        "[]", "[null]", "[1]", "[1,2]", "[[]]", "[\"a\"]", "{}", "{\"a\":1}", "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "{\"a\":2}", "{\"b\":1}", "{\"\\ud800\":1}",
    ];

    private readonly string _user = service.NewUser();

    [Fact]
    public void Codes_of_keys_compare_as_the_values_do_also_one_behind_the_other()
    {
        var random = new Random(7);
        var all = Values.Concat(Enumerable.Range(0, 200).Select(_ => Nested(random, 3))).Select(text => JsonDocument.Parse(text).RootElement).ToList();
        foreach (var one in all)
        {
            foreach (var other in all)
            {
                var order = Math.Sign(Collation.Compare(one, other));
                Assert.True(order == Math.Sign(KeyCode.Of(one).AsSpan().SequenceCompareTo(KeyCode.Of(other))), $"{one.GetRawText()} and {other.GetRawText()}");
                var next = all[random.Next(all.Count)];
                var pair = order is not 0 ? order : Math.Sign(Collation.Compare(next, all[0]));
                Assert.Equal(pair, Math.Sign(KeyCode.Of(one, next).AsSpan().SequenceCompareTo(KeyCode.Of(other, all[0]))));
            }
        }
    }

    [Fact]
    public async Task An_index_is_created_once_listed_explained_used_and_deleted()
    {
        using var client = service.ClientOf(_user);
        await FillAsync(client, "notes", 450);
        var warned = await FindAsync(client, "notes", """{"n":{"$gte":440}}""");
        Assert.Contains("create an index", (string?)warned["warning"], StringComparison.Ordinal);
        Assert.Equal(450, (int)warned["execution_stats"]!["total_docs_examined"]!);

        var made = await client.PostAsync("notes/_index", """{"index":{"fields":["n"]},"ddoc":"by","name":"n"}""");
        Assert.Equal("""{"result":"created","id":"_design/by","name":"n"}""", made.ToJsonString());
        Assert.Equal("exists", (string?)(await client.PostAsync("notes/_index", """{"index":{"fields":[{"n":"asc"}]},"ddoc":"by","name":"n"}"""))["result"]);
        Assert.Equal("created", (string?)(await client.PostAsync("notes/_index", """{"index":{"fields":["even","who.name"]},"type":"json"}"""))["result"]);
        Assert.Equal(3, (int)(await client.GetAsync("notes/_index"))["total_rows"]!);
        Assert.Equal("query", (string?)(await client.GetAsync("notes/_design/by"))["language"]);

        var found = await FindAsync(client, "notes", """{"n":{"$gte":440}}""");
        Assert.Equal(warned["docs"]!.ToJsonString(), found["docs"]!.ToJsonString());
        Assert.Null(found["warning"]);
        Assert.Equal(10, (int)found["execution_stats"]!["total_docs_examined"]!);
        Assert.Equal("n", (string?)(await client.PostAsync("notes/_explain", """{"selector":{"n":7}}"""))["index"]!["name"]);
        Assert.Equal("_all_docs", (string?)(await client.PostAsync("notes/_explain", """{"selector":{"$or":[{"n":7}]}}"""))["index"]!["name"]);
        Assert.Equal(75, (int)(await FindAsync(client, "notes", """{"even":true,"who":{"name":"x1"}}""", ",\"limit\":1000"))["execution_stats"]!["total_docs_examined"]!);

        await client.DeleteAsync("notes/_index/_design/by/json/n");
        await client.DeleteAsync("notes/_index/by/json/n", 404);
        await client.GetAsync("notes/_design/by", 404);
        Assert.Equal(2, (int)(await client.GetAsync("notes/_index"))["total_rows"]!);
        Assert.Equal(1L, await service.CountAsync("select count(*) from sync.index i join sync.database d on d.id = i.db_id where d.owner = $1", _user));
        Assert.NotNull((await FindAsync(client, "notes", """{"n":{"$gte":440}}"""))["warning"]);
    }

    [Theory]
    [InlineData("""{}""", "missing_required_key")]
    [InlineData("""{"index":{"fields":[]}}""", "bad_request")]
    [InlineData("""{"index":{"fields":[{"a":"asc"},{"b":"desc"}]}}""", "bad_request")]
    [InlineData("""{"index":{"fields":[1]}}""", "bad_request")]
    [InlineData("""{"index":{"fields":["a"]},"type":"text"}""", "bad_request")]
    [InlineData("""{"index":{"fields":["a"],"partial_filter_selector":{"a":{"$what":1}}}}""", "invalid_selector")]
    public async Task What_is_no_index_is_refused_with_the_reason(string index, string error)
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("none");
        Assert.Equal(error, (string?)(await client.PostAsync("none/_index", index, 400))["error"]);
    }

    [Fact]
    public async Task Pages_go_on_where_the_last_one_ended_in_the_order_of_the_index()
    {
        using var client = service.ClientOf(_user);
        await FillAsync(client, "pages", 100);
        await client.PostAsync("pages/_index", """{"index":{"fields":["even","n"]},"name":"en"}""");
        var ids = new List<string>();
        string? bookmark = null;
        while (true)
        {
            var page = await client.PostAsync("pages/_find", $$$"""{"selector":{"even":true,"n":{"$lt":60}},"sort":[{"n":"desc"}],"fields":["_id"],"limit":7,"bookmark":"{{{bookmark ?? "nil"}}}"}""");
            Assert.Null(page["warning"]);
            if (page["docs"]!.AsArray() is not { Count: > 0 } docs)
            {
                break;
            }
            ids.AddRange(docs.Select(doc => (string)doc!["_id"]!));
            bookmark = (string)page["bookmark"]!;
        }
        Assert.Equal(Enumerable.Range(0, 30).Select(n => $"d{58 - (2 * n):000}"), ids);
        Assert.Equal("invalid_bookmark", (string?)(await client.PostAsync("pages/_find", """{"selector":{},"bookmark":"x"}""", 400))["error"]);
        Assert.Equal("invalid_bookmark", (string?)(await client.PostAsync("pages/_find", $$"""{"selector":{"n":1},"bookmark":"{{bookmark}}"}""", 400))["error"]);
    }

    [Fact]
    public async Task A_named_index_is_used_if_it_can_be_and_otherwise_the_answer_says_so()
    {
        using var client = service.ClientOf(_user);
        await FillAsync(client, "named", 50);
        await client.PostAsync("named/_index", """{"index":{"fields":["n"],"partial_filter_selector":{"even":true}},"ddoc":"even","name":"n"}""");
        Assert.Equal(50, (int)(await FindAsync(client, "named", """{"n":{"$gte":40}}"""))["execution_stats"]!["total_docs_examined"]!);
        foreach (var name in new[] { "\"even\"", "\"_design/even\"", "[\"even\",\"n\"]" })
        {
            var found = await FindAsync(client, "named", """{"n":{"$gte":40}}""", $",\"use_index\":{name}");
            Assert.Equal((5, null), (found["docs"]!.AsArray().Count, (string?)found["warning"]));
        }
        var other = await FindAsync(client, "named", """{"who.name":"x0"}""", ",\"use_index\":\"even\"");
        Assert.Equal(17, other["docs"]!.AsArray().Count);
        Assert.StartsWith("even was not used", (string?)other["warning"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Random_selectors_find_the_same_with_and_without_indexes(int seed)
    {
        var random = new Random(seed);
        using var client = service.ClientOf(_user);
        await client.PutAsync("plain");
        await client.PutAsync("indexed");
        foreach (var fields in new[] { "\"a\"", "\"b\",\"a\"", "\"a\",\"c.d\"", "\"c\"", "\"c.d\",\"b\"" })
        {
            await client.PostAsync("indexed/_index", $$$"""{"index":{"fields":[{{{fields}}}]}}""");
        }
        var (used, hits) = (0, 0);
        for (var round = 0; round < 5; round++)
        {
            // Some are written anew, and some deleted, after the indexes were read.
            var docs = Enumerable.Range(0, 60).Select(_ => RandomDocument(random)).ToList();
            foreach (var database in new[] { "plain", "indexed" })
            {
                var revs = (await client.GetAsync($"{database}/_all_docs"))["rows"]!.AsArray().ToDictionary(row => (string)row!["id"]!, row => (string)row!["value"]!["rev"]!);
                var sent = docs.DistinctBy(doc => doc.Id).Select(doc => $"{{\"_id\":\"{doc.Id}\"{(revs.TryGetValue(doc.Id, out var rev) ? $",\"_rev\":\"{rev}\"" : "")}{(doc.Body is "" ? ",\"_deleted\":true" : doc.Body)}}}");
                await client.PostAsync($"{database}/_bulk_docs", $$"""{"docs":[{{string.Join(',', sent)}}]}""", 201);
            }
            for (var n = 0; n < 40; n++)
            {
                var selector = RandomSelector(random, 2);
                var sort = random.Next(3) is 0 ? $",\"sort\":[{{\"{Pick(random, "a", "b", "c.d")}\":\"{Pick(random, "asc", "desc")}\"}}]" : "";
                var (one, other) = (await IdsAsync("plain", selector, sort), await IdsAsync("indexed", selector, sort));
                Assert.True(one.Ids.Order(StringComparer.Ordinal).SequenceEqual(other.Ids.Order(StringComparer.Ordinal)), selector);
                Assert.True(sort.Length is 0 || one.Keys.SequenceEqual(other.Keys), $"{selector} {sort}");
                used += other.IsIndexed ? 1 : 0;
                hits += one.Ids.Count;
            }
        }
        Assert.True(used > 50 && hits > 500, $"{used} of the queries used an index, {hits} documents were found.");

        async Task<(List<string> Ids, List<string> Keys, bool IsIndexed)> IdsAsync(string database, string selector, string sort)
        {
            using var answer = await client.Http.PostAsync($"{database}/_find", SyncClient.Json($$"""{"selector":{{selector}},"limit":10000{{sort}}}"""));
            var text = await answer.Content.ReadAsStringAsync();
            Assert.True(answer.IsSuccessStatusCode, $"{selector}: {text}");
            using var found = JsonDocument.Parse(text);
            var path = sort.Length is 0 ? "a" : JsonNode.Parse($"{{{sort[1..]}}}")!["sort"]![0]!.AsObject().First().Key;
            var docs = found.RootElement.GetProperty("docs").EnumerateArray().ToList();
            return (docs.ConvertAll(doc => doc.GetProperty("_id").GetString()!), docs.ConvertAll(doc => KeyOf(doc, path)), !found.RootElement.TryGetProperty("warning", out _));
        }

        static string KeyOf(JsonElement doc, string path) => Selector.At(doc, Selector.PathOf(path)) is { } value ? Convert.ToHexString(KeyCode.Of(value)) : "";
    }

    [Fact]
    public async Task Keys_that_are_longer_than_a_btree_takes_are_in_order_too()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("long");
        var same = new string('x', 3000);
        var docs = Enumerable.Range(0, 700).Select(n => $$"""{"_id":"d{{n}}","text":"{{same}}{{(n * 7919) % 700:000}}"}""");
        await client.PostAsync("long/_bulk_docs", $$"""{"docs":[{{string.Join(',', docs)}}]}""", 201);
        await client.PostAsync("long/_index", """{"index":{"fields":["text"]}}""");
        var found = await client.PostAsync("long/_find", $$$"""{"selector":{"text":{"$gte":"{{{same}}}100","$lt":"{{{same}}}650"}},"sort":["text"],"fields":["text"],"limit":1000}""");
        Assert.Null(found["warning"]);
        Assert.Equal(Enumerable.Range(100, 550).Select(n => $"{same}{n:000}"), found["docs"]!.AsArray().Select(doc => (string)doc!["text"]!));
    }

    [Fact]
    public async Task Two_replicas_bring_an_index_up_to_date_at_once_while_others_write()
    {
        using var one = service.ClientOf(_user);
        using var other = service.ClientOf(_user, service.Other.Address);
        await FillAsync(one, "both", 3000);
        await one.PostAsync("both/_index", """{"index":{"fields":["n"]}}""");
        var writing = Task.Run(async () =>
        {
            for (var n = 3000; n < 3100; n++)
            {
                await other.PutAsync($"both/d{n}", $$"""{"n":{{n}}}""");
            }
        });
        var asked = Enumerable.Range(0, 8).Select(n => FindAsync(n % 2 is 0 ? one : other, "both", """{"n":{"$lt":3000}}""", ",\"fields\":[\"_id\"],\"limit\":10000")).ToList();
        foreach (var answer in await Task.WhenAll(asked))
        {
            Assert.Equal(3000, answer["docs"]!.AsArray().Count);
        }
        await writing;
        Assert.Equal(100, (await FindAsync(one, "both", """{"n":{"$gte":3000}}""", ",\"limit\":1000"))["docs"]!.AsArray().Count);
        Assert.Equal((3100L, 3100L), (await service.CountAsync(Sum("entries"), _user), await service.CountAsync(
            "select count(*) from sync.index_entry e join sync.index i on i.id = e.index_id join sync.database d on d.id = i.db_id where d.owner = $1", _user)));
    }

    [Fact]
    public async Task What_is_deleted_or_purged_leaves_the_index_and_its_size_is_counted()
    {
        using var client = service.ClientOf(_user);
        await FillAsync(client, "gone", 10);
        await client.PostAsync("gone/_index", """{"index":{"fields":["n"]}}""");
        Assert.Equal(10, (await FindAsync(client, "gone", """{"n":{"$gte":0}}"""))["docs"]!.AsArray().Count);
        var bytes = await service.CountAsync(Sum("bytes"), _user);
        await client.DeleteAsync($"gone/d001?rev={(await client.GetAsync("gone/d001"))["_rev"]}");
        await client.PostAsync("gone/_purge", $$"""{"d002":["{{(await client.GetAsync("gone/d002"))["_rev"]}}"]}""", 201);
        Assert.Equal(8, (await FindAsync(client, "gone", """{"n":{"$gte":0}}"""))["docs"]!.AsArray().Count);
        Assert.Equal((8L, bytes * 8 / 10), (await service.CountAsync(Sum("entries"), _user), await service.CountAsync(Sum("bytes"), _user)));
    }

    [Fact]
    public async Task PouchDB_creates_indexes_here_and_asks_them()
    {
        var told = await RunAsync("pouchdb.mjs", "find", service.Gateway.Address.ToString(), Token(_user));
        Assert.Equal(12, told.GetProperty("documents").GetInt32());
    }

    private static string Sum(string column) => $"select sum({column})::bigint from sync.index i join sync.database d on d.id = i.db_id where d.owner = $1";

    private static async Task FillAsync(SyncClient client, string database, int count)
    {
        await client.PutAsync(database);
        var docs = Enumerable.Range(0, count).Select(n => $$$"""{"_id":"d{{{n:000}}}","n":{{{n}}},"even":{{{(n % 2 is 0 ? "true" : "false")}}},"who":{"name":"x{{{n % 3}}}"}}""");
        await client.PostAsync($"{database}/_bulk_docs", $$"""{"docs":[{{string.Join(',', docs)}}]}""", 201);
    }

    private static Task<JsonNode> FindAsync(SyncClient client, string database, string selector, string more = "") =>
        client.PostAsync($"{database}/_find", $$"""{"selector":{{selector}},"execution_stats":true{{more}}}""");

    private static T Pick<T>(Random random, params T[] all) => all[random.Next(all.Length)];

    private static string Value(Random random) => random.Next(4) is 0 ? Nested(random, 2) : Pick(random, "0", "1", "2", "3", "\"a\"", "\"ab\"", "\"b\"", "null", "true", "1.5");

    private static string Nested(Random random, int depth) => (depth is 0 ? 0 : random.Next(3)) switch
    {
        1 => $"[{string.Join(',', Enumerable.Range(0, random.Next(3)).Select(_ => Nested(random, depth - 1)))}]",
        2 => $"{{{string.Join(',', new[] { "a", "b", "d" }.Where(_ => random.Next(2) is 0).Select(name => $"\"{name}\":{Nested(random, depth - 1)}"))}}}",
        _ => Values[random.Next(28)],
    };

    private static (string Id, string Body) RandomDocument(Random random)
    {
        var body = new StringBuilder();
        foreach (var name in new[] { "a", "b" }.Where(_ => random.Next(4) > 0))
        {
            body.Append(",\"").Append(name).Append("\":").Append(Value(random));
        }
        body.Append(random.Next(3) is 0 ? "" : $",\"c\":{(random.Next(3) is 0 ? Value(random) : $"{{\"d\":{Value(random)}}}")}");
        return ($"d{random.Next(100)}", random.Next(8) is 0 ? "" : $",\"x\":1{body}");
    }

    private static string RandomSelector(Random random, int depth)
    {
        var parts = Enumerable.Range(0, 1 + random.Next(2)).Select(_ => random.Next(depth > 0 ? 7 : 5) switch
        {
            5 => $"\"{Pick(random, "$and", "$or", "$nor")}\":[{RandomSelector(random, depth - 1)},{RandomSelector(random, depth - 1)}]",
            6 => $"\"$not\":{RandomSelector(random, depth - 1)}",
            _ => $"\"{Pick(random, "a", "b", "c", "c.d")}\":{(random.Next(4) is 0 ? Value(random) : $"{{{Operator(random)}}}")}",
        });
        return $"{{{string.Join(',', parts.DistinctBy(part => part[..part.IndexOf(':', StringComparison.Ordinal)]))}}}";
    }

    private static string Operator(Random random) => random.Next(9) switch
    {
        0 => $"\"$in\":[{Value(random)},{Value(random)}]",
        1 => $"\"$exists\":{Pick(random, "true", "true", "false")}",
        2 => $"\"$not\":{{\"$eq\":{Value(random)}}}",
        3 => $"\"$type\":\"{Pick(random, "number", "string", "array")}\"",
        4 => $"\"$beginsWith\":\"{Pick(random, "a", "ab", "")}\"",
        5 => $"\"$gte\":{Value(random)},\"$lt\":{Value(random)}",
        6 => $"\"$ne\":{Value(random)}",
        _ => $"\"{Pick(random, "$eq", "$gt", "$gte", "$lt", "$lte")}\":{Value(random)}",
    };
}
