using System.Text.Json;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Queries;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>What SQL leaves out is never hit, and a document that is not hit seldom comes.</summary>
public sealed class SelectorSqlTests(SyncService service) : IClassFixture<SyncService>
{
    private const string Odd = "x\\\"') or 1 = 1; drop table document; --";

    private static readonly string[] Values =
    [
        "null", "false", "true", "0", "-0", "1", "1.0", "10e-1", "2", "-1", "1.5", "0.1", "1e-400", "1.0000000000000000000000000000000000000000001", "0.99999999999999999999999999999999999999999",
        "9007199254740992", "9007199254740993", "12345678901234567890123", "1e308", "1e400", "-1e400", "1e200000", "1e-20000",
        "\"\"", "\"a\"", "\"ab\"", "\"\\u0061\"", "\"a/b\"", "\"a\\/b\"", "\"a\\u0000b\"", "\"\\ud800\"", "\"\\\"\\\\ud800\\\"\"", "\"\\ud83d\\ude00\"", "\"😀\"", "\"é\"", "\"\\uffff\"", "\"null\"", "\"1\"", "\"x\\\"y\"", "\"a\\nb\"", $"\"{Odd}\"",
        "[]", "[[]]", "[null]", "[1]", "[1.0,\"a\"]", "[\"a\",\"ab\",[\"a\"]]", "[{\"a\":1},{\"b\":\"a\"}]", "{}", "{\"a\":1}", "{\"a\":\"a\",\"b\":null}", "{\"b\":null,\"a\":\"a\"}", "{\"0\":1}",
    ];

    private static readonly string[] Names = ["a", "b", "c", "c.d", "a.a", "a.0", "a\\\\.b", "", "é", "k/l", "_id", "_rev", "_rev.x", "_attachments.x", "a.", "n\\u0000", Odd];

    private readonly string _user = service.NewUser();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Documents_that_are_hit_are_never_left_out(int seed)
    {
        var random = new Random(seed);
        using var client = service.ClientOf(_user);
        await client.PutAsync("odd");
        await client.PostAsync("odd/_bulk_docs", $$"""{"docs":[{{string.Join(',', Enumerable.Range(0, 150).Select(n => Document(random, n)))}}]}""", 201);
        await using var source = NpgsqlDataSource.Create(service.Database);
        await SetAsync(source, "d1", """{"a":1,"b":"a","a":2}""");
        await SetAsync(source, "d2", """{"a":{"a":1,"a":2},"b":{"a":"a","a":"a"}}""");
        await SetAsync(source, "d4", """{"a":{"\ud800":1},"b":"a"}""");
        await SetAsync(source, "d3", "{ \"a\" :\t\"a\" , \"b\":[ 1 ]}");
        var all = await PageAsync(source, null);
        Assert.Equal(150, all.Count);
        var (left, hits, told) = (0, 0, 0);
        for (var i = 0; i < 1000; i++)
        {
            var text = Selector(random, 2);
            using var json = JsonDocument.Parse(text);
            var where = global::MobileServices.Sync.Queries.Selector.Read(json.RootElement);
            var expected = Hit(all, where);
            hits += expected.Count;
            if (SelectorSql.Of(json.RootElement) is not { } sql)
            {
                continue;
            }
            told++;
            foreach (var narrowed in new Narrowed[] { new(sql, true, false), new(sql, false, true), new(sql, true, true) })
            {
                if ((narrowed.ByText && sql.Texts is null) || (narrowed.ByJson && sql.Json is null))
                {
                    continue;
                }
                var came = await PageAsync(source, narrowed);
                Assert.True(expected.SequenceEqual(Hit(came, where)), $"{text} by text {narrowed.ByText}, by JSON {narrowed.ByJson}: {sql.Texts} {sql.Json}");
                left += all.Count - came.Count;
            }
        }
        Assert.True(told > 500 && hits > 5000 && left > 30_000, $"{told} selectors were told, {hits} documents hit, {left} left out.");
    }

    [Theory]
    [InlineData("""{"who":"x7"}""", true, true, 2)]
    [InlineData("""{"who":"x7"}""", true, false, 3)]
    [InlineData("""{"n":{"$gte":7,"$lt":8}}""", false, true, 2)]
    [InlineData("""{"$or":[{"n":7},{"who":"x9"}]}""", false, true, 3)]
    [InlineData("""{"$not":{"n":{"$ne":7}}}""", false, true, 2)]
    [InlineData("""{"tags":{"$in":["t7",5]}}""", false, true, 2)]
    [InlineData("""{"tags":{"$elemMatch":{"$gt":"t997"}},"n":{"$exists":true}}""", false, true, 2)]
    [InlineData("""{"_id":{"$in":["d7","d8"]}}""", false, true, 3)]
    [InlineData("""{"none":{"$lt":7}}""", true, false, 1)]
    public async Task A_statement_answers_few_rows_where_few_are_hit(string selector, bool byText, bool byJson, int rows)
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("odd");
        var docs = Enumerable.Range(0, 999).Select(n => $$"""{"_id":"d{{n}}","n":{{n}},"who":"x{{n}}","tags":["t{{n}}"]}""").Append("""{"_id":"z","n":-1,"other":"x7"}""").Append("""{"_id":"y","n":-1,"other":"x7"}""");
        await client.PostAsync("odd/_bulk_docs", $$"""{"docs":[{{string.Join(',', docs)}}]}""", 201);
        await using var source = NpgsqlDataSource.Create(service.Database);
        using var json = JsonDocument.Parse(selector);
        Assert.Equal(rows, (await PageAsync(source, new(SelectorSql.Of(json.RootElement)!, byText, byJson))).Count);
    }

    [Fact]
    public async Task Long_scans_are_narrowed_and_answer_the_same_with_names_that_look_like_SQL_too()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("long");
        var docs = Enumerable.Range(0, 5000).Select(n => $$"""{"_id":"d{{n:0000}}","n":{{n}},"half":{{(n % 2 is 0 ? "true" : "false")}},"who":"x{{n % 500}}","{{Odd}}":"y{{n % 1000}}","text":"y1"}""");
        await client.PostAsync("long/_bulk_docs", $$"""{"docs":[{{string.Join(',', docs)}}]}""", 201);
        foreach (var warned in new[] { true, false })
        {
            var found = await client.PostAsync("long/_find", """{"selector":{"who":"x7","n":{"$gt":1000}},"execution_stats":true,"fields":["_id"],"limit":6}""");
            Assert.Equal(["d1007", "d1507", "d2007", "d2507", "d3007", "d3507"], Ids(found));
            Assert.Equal(3508, (int)found["execution_stats"]!["total_docs_examined"]!);
            var next = await client.PostAsync("long/_find", $$$"""{"selector":{"who":"x7","n":{"$gt":1000}},"execution_stats":true,"bookmark":"{{{found["bookmark"]}}}"}""");
            Assert.Equal(["d4007", "d4507"], Ids(next));
            Assert.Equal(1492, (int)next["execution_stats"]!["total_docs_examined"]!);
            Assert.Equal(["d4001", "d3001", "d2001", "d1001", "d0001"], Ids(await client.PostAsync("long/_find", $$$"""{"selector":{"{{{Odd}}}":"y1"},"sort":[{"n":"desc"}]}""")));
            var halves = await client.PostAsync("long/_find", """{"selector":{"half":true,"who":{"$in":["x8","x9"]}},"execution_stats":true}""");
            Assert.Equal(Enumerable.Range(0, 10).Select(n => $"d{(500 * n) + 8:0000}"), Ids(halves));
            Assert.Equal(warned ? 5000 : 2500, (int)halves["execution_stats"]!["total_docs_examined"]!);
            Assert.Equal(warned, halves["warning"] is not null);
            await client.PostAsync("long/_index", """{"index":{"fields":["half"]}}""");
        }
        var sql = (await client.PostAsync("long/_explain", $$$"""{"selector":{"{{{Odd}}}":"y1"}}"""))["sql"]!;
        Assert.DoesNotContain("drop", (string?)sql["json"], StringComparison.Ordinal);
        Assert.Contains("x\"') or 1 = 1; drop table document; --", sql["parameters"]!.AsArray().Select(value => (string?)value));
    }

    private static IEnumerable<string> Ids(System.Text.Json.Nodes.JsonNode found) => found["docs"]!.AsArray().Select(doc => (string)doc!["_id"]!);

    private static List<string> Hit(List<StoredDocument> documents, Selector.Condition where) => [.. documents.Where(document =>
    {
        using var json = document.ToJson();
        return where(json.RootElement);
    }).Select(document => document.Id)];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Pages_that_are_cut_by_their_bytes_leave_out_and_repeat_none(bool isIndexed)
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync($"large-{isIndexed}".ToLowerInvariant());
        var name = $"large-{isIndexed}".ToLowerInvariant();
        var filler = new string('x', 10_000);
        for (var batch = 0; batch < 3; batch++)
        {
            var docs = Enumerable.Range(batch * 500, 500).Select(n => $$"""{"_id":"d{{n:0000}}","n":{{n}},"who":"{{(n % 97 is 5 ? "rare" : "common")}}","filler":"{{filler}}"}""");
            await client.PostAsync($"{name}/_bulk_docs", $$"""{"docs":[{{string.Join(',', docs)}}]}""", 201);
        }
        if (isIndexed)
        {
            await client.PostAsync($"{name}/_index", """{"index":{"fields":["n"]}}""");
        }
        var expected = Enumerable.Range(0, 1500).Where(n => n % 97 is 5).Select(n => $"d{n:0000}").ToList();
        foreach (var sort in isIndexed ? (string[])["asc", "desc"] : [""])
        {
            var found = await client.PostAsync($"{name}/_find", $$"""
                {"selector":{"n":{"$gte":0},"who":"rare"},"fields":["_id"],"limit":1000,"execution_stats":true{{(sort is "" ? "" : $",\"sort\":[{{\"n\":\"{sort}\"}}]")}}}
                """);
            Assert.Equal(sort is "desc" ? expected.AsEnumerable().Reverse() : expected, Ids(found));
            Assert.Equal(1500, (int)found["execution_stats"]!["total_docs_examined"]!);
        }
    }

    private async Task<List<StoredDocument>> PageAsync(NpgsqlDataSource source, Narrowed? narrowed)
    {
        await using var command = source.CreateCommand(DocumentStore.Page(
            "select * from sync.document d where d.db_id = (select id from sync.database where owner = $1 and name = $2) order by d.doc_id", "d.doc_id", narrowed));
        command.Parameters.Add(new() { Value = _user });
        command.Parameters.Add(new() { Value = "odd" });
        narrowed?.AddTo(command.Parameters);
        await using var reader = await command.ExecuteReaderAsync();
        var page = new List<StoredDocument>();
        while (await reader.ReadAsync())
        {
            page.Add(DocumentStore.Read(reader));
        }
        return page;
    }

    /// <summary>A body as no client can write it.</summary>
    private async Task SetAsync(NpgsqlDataSource source, string id, string body)
    {
        await using var command = source.CreateCommand("update sync.document set body = $3 where db_id = (select id from sync.database where owner = $1 and name = 'odd') and doc_id = $2");
        command.Parameters.Add(new() { Value = _user });
        command.Parameters.Add(new() { Value = id });
        command.Parameters.Add(new() { Value = body });
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
    }

    private static T Pick<T>(Random random, params T[] all) => all[random.Next(all.Length)];

    private static string Value(Random random) => random.Next(3) is 0 ? Pick(random, "1", "\"a\"", "\"ab\"", "[\"a\"]", "null", "2") : Pick(random, Values);

    private static string Nested(Random random) => random.Next(4) switch
    {
        0 => $"[{string.Join(',', Enumerable.Range(0, random.Next(4)).Select(_ => Value(random)))}]",
        1 => $"{{\"d\":{Value(random)},\"a\":{Value(random)}}}",
        _ => Value(random),
    };

    private static string Document(Random random, int n)
    {
        // Half of the documents hold only what jsonb takes.
        var members = new[] { "a", "b", "c", "a.b", "", "é", "k/l", "\\u0062b", Odd }.Where(_ => random.Next(2) is 0).Select(name => $",\"{name}\":{Nested(random)}");
        return $"{{\"_id\":\"d{n}\"{string.Concat(members.Where(member => n % 2 is 0 || !(member.Contains("\\u0000", StringComparison.Ordinal) || member.Contains("\\ud800", StringComparison.Ordinal) || member.Contains("0000,", StringComparison.Ordinal))))}}}";
    }

    private static string Selector(Random random, int depth)
    {
        var parts = Enumerable.Range(0, 1 + random.Next(2)).Select(_ => random.Next(depth > 0 ? 8 : 6) switch
        {
            6 => $"\"{Pick(random, "$and", "$or", "$or", "$nor")}\":[{Selector(random, depth - 1)},{Selector(random, depth - 1)}]",
            7 => $"\"$not\":{Selector(random, depth - 1)}",
            _ => $"\"{(random.Next(2) is 0 ? "a" : Pick(random, Names))}\":{(random.Next(4) is 0 ? Value(random) : $"{{{Operator(random, depth)}}}")}",
        });
        return $"{{{string.Join(',', parts.DistinctBy(part => part[..part.IndexOf("\":", StringComparison.Ordinal)]))}}}";
    }

    private static string Operator(Random random, int depth) => random.Next(depth > 0 ? 15 : 11) switch
    {
        0 => $"\"{Pick(random, "$in", "$nin", "$all")}\":[{string.Join(',', Enumerable.Range(0, random.Next(4)).Select(_ => Value(random)))}]",
        1 => $"\"$exists\":{Pick(random, "true", "false")}",
        2 => $"\"$not\":{{\"$eq\":{Value(random)}}}",
        3 => $"\"$type\":\"{Pick(random, "null", "boolean", "number", "string", "array", "object", "none")}\"",
        4 => $"\"$beginsWith\":\"{Pick(random, "a", "ab", "", "a/", "x\\\"", "\\u0061", "a\\u0000")}\"",
        5 => $"\"$gte\":{Value(random)},\"$lt\":{Value(random)}",
        6 => $"\"$ne\":{Value(random)}",
        7 => Pick(random, "\"$size\":1", "\"$mod\":[2,1]", "\"$regex\":\"^a\"", "\"$keyMapMatch\":{\"$eq\":\"a\"}"),
        11 => $"\"{Pick(random, "$elemMatch", "$allMatch")}\":{{{Operator(random, depth - 1)}}}",
        12 => $"\"$elemMatch\":{Selector(random, depth - 1)}",
        13 => $"\"{Pick(random, "$and", "$or", "$nor")}\":[{{{Operator(random, depth - 1)}}},{{{Operator(random, depth - 1)}}}]",
        14 => $"\"$not\":{{{Operator(random, depth - 1)}}}",
        _ => $"\"{Pick(random, "$eq", "$gt", "$gte", "$lt", "$lte")}\":{Value(random)}",
    };
}
