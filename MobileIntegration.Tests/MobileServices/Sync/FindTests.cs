using System.Text.Json;
using MobileServices.Sync.Queries;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Selectors: in _find, and as a filter of changes.</summary>
public sealed class FindTests(SyncService service) : IClassFixture<SyncService>
{
    private readonly string _user = service.NewUser();

    [Theory]
    [InlineData("""{"a":1}""", """{"a":1.0}""", true)]
    [InlineData("""{"a":1}""", """{"b":1}""", false)]
    [InlineData("""{"a":{"$gt":null}}""", """{"a":0}""", true)]
    [InlineData("""{"a":{"$gt":1,"$lt":"x"}}""", """{"a":"a"}""", true)]
    [InlineData("""{"a":{"$lt":[]}}""", """{"a":{}}""", false)]
    [InlineData("""{"a.b":{"$exists":true}}""", """{"a":{"b":null}}""", true)]
    [InlineData("""{"a\\.b":1}""", """{"a.b":1}""", true)]
    [InlineData("""{"a":{"b":{"$ne":2}}}""", """{"a":{"b":1}}""", true)]
    [InlineData("""{"a":{"$ne":2}}""", """{}""", false)]
    [InlineData("""{"$not":{"a":2}}""", """{}""", true)]
    [InlineData("""{"$or":[{"a":1},{"b":1}]}""", """{"b":1}""", true)]
    [InlineData("""{"$nor":[{"a":1},{"b":1}]}""", """{"b":1}""", false)]
    [InlineData("""{"$and":[{"a":{"$gte":1}},{"a":{"$lte":1}}]}""", """{"a":1}""", true)]
    [InlineData("""{"a":{"$in":[1,"x"]}}""", """{"a":["x"]}""", true)]
    [InlineData("""{"a":{"$nin":[1]}}""", """{"a":2}""", true)]
    [InlineData("""{"a":{"$all":["x","y"]}}""", """{"a":["y","z","x"]}""", true)]
    [InlineData("""{"a":{"$size":2}}""", """{"a":[1,2]}""", true)]
    [InlineData("""{"a":{"$mod":[5,2]}}""", """{"a":12}""", true)]
    [InlineData("""{"a":{"$regex":"^x.z$"}}""", """{"a":"xyz"}""", true)]
    [InlineData("""{"a":{"$type":"array"}}""", """{"a":[]}""", true)]
    [InlineData("""{"a":{"$elemMatch":{"n":{"$gt":1}}}}""", """{"a":[{"n":1},{"n":2}]}""", true)]
    [InlineData("""{"a":{"$allMatch":{"$gt":1}}}""", """{"a":[1,2]}""", false)]
    [InlineData("""{"a":{"$beginsWith":"x"}}""", """{"a":"xy"}""", true)]
    [InlineData("""{"a":{}}""", """{"a":{}}""", true)]
    [InlineData("""{"a":{"$eq":{"x":1,"y":[2]}}}""", """{"a":{"y":[2],"x":1}}""", true)]
    [InlineData("""{}""", """{"a":1}""", true)]
    public void A_selector_hits_what_the_documentation_says(string selector, string document, bool hits)
    {
        using var json = JsonDocument.Parse(selector);
        using var value = JsonDocument.Parse(document);
        Assert.Equal(hits, Selector.Read(json.RootElement)(value.RootElement));
    }

    [Fact]
    public async Task Documents_are_found_sorted_and_paged()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("find");
        var docs = string.Join(',', Enumerable.Range(0, 450).Select(n => $$$"""{"_id":"d{{{n:000}}}","n":{{{n}}},"even":{{{(n % 2 is 0 ? "true" : "false")}}},"who":{"name":"x{{{n % 3}}}"}}"""));
        await client.PostAsync("find/_bulk_docs", $$"""{"docs":[{{docs}},{"_id":"_design/d"}]}""", 201);

        var first = await client.PostAsync("find/_find", """{"selector":{"even":true,"n":{"$gte":300}},"fields":["_id","who.name"],"limit":3}""");
        Assert.Equal("""[{"_id":"d300","who":{"name":"x0"}},{"_id":"d302","who":{"name":"x2"}},{"_id":"d304","who":{"name":"x1"}}]""", first["docs"]!.ToJsonString());
        var second = await client.PostAsync("find/_find", $$$"""{"selector":{"even":true,"n":{"$gte":300}},"limit":1,"bookmark":"{{{first["bookmark"]}}}"}""");
        Assert.Equal("d306", (string?)second["docs"]![0]!["_id"]);
        var sorted = await client.PostAsync("find/_find", """{"selector":{"who.name":"x1"},"sort":[{"n":"desc"}],"limit":2,"skip":1}""");
        Assert.Equal(["d445", "d442"], sorted["docs"]!.AsArray().Select(doc => (string)doc!["_id"]!));
        await client.PostAsync("find/_find", """{"selector":{"a":{"$what":1}}}""", 400);
        await client.PostAsync("find/_find", """{"selector":{"a":{"$regex":"(?=x)"}}}""", 400);
        await client.PostAsync("find/_find", """{}""", 400);

        var page = await client.PostAsync("find/_changes?filter=_selector&limit=2", """{"selector":{"n":{"$gte":440},"even":true}}""");
        Assert.Equal(["d440", "d442"], page["results"]!.AsArray().Select(row => (string)row!["id"]!));
        var rest = await client.PostAsync($"find/_changes?filter=_selector&since={page["last_seq"]}", """{"selector":{"n":{"$gte":440},"even":true}}""");
        Assert.Equal(["d444", "d446", "d448"], rest["results"]!.AsArray().Select(row => (string)row!["id"]!));
        Assert.StartsWith("451-", (string?)rest["last_seq"], StringComparison.Ordinal);
    }
}
