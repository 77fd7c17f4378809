using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Many revisions in one request, and what is said of those that are not there.</summary>
public sealed class BulkGetTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private readonly SyncClient _client = service.ClientOf(service.NewUser());

    public async Task InitializeAsync()
    {
        await _client.PutAsync("notes");
        await _client.PostAsync("notes/_bulk_docs", """
            {"new_edits":false,"docs":[
              {"_id":"t","_revisions":{"start":2,"ids":["b","a"]},"n":1,"_attachments":{"old":{"data":"b2xk","revpos":1},"new":{"data":"bmV3","revpos":2}}},
              {"_id":"t","_revisions":{"start":2,"ids":["c","a"]},"n":2},
              {"_id":"t","_revisions":{"start":2,"ids":["d","a"]},"_deleted":true}]}
            """, 201);
    }

    public Task DisposeAsync()
    {
        _client.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Who_names_no_revision_gets_all_leaves_of_the_document()
    {
        var results = await AskAsync("""{"id":"t"},{"id":"t","rev":"2-b"},{"id":"none"}""");
        Assert.Equal(["t", "t", "none"], results.Select(result => (string?)result!["id"]));
        Assert.Equal(["2-c", "2-b", "2-d"], Docs(results[0]!).Select(doc => (string?)doc["ok"]!["_rev"]));
        Assert.True((bool)Docs(results[0]!)[2]["ok"]!["_deleted"]!);
        Assert.Equal(["2-b"], Docs(results[1]!).Select(doc => (string?)doc["ok"]!["_rev"]));
        Assert.Equal("""{"id":"none","rev":"undefined","error":"not_found","reason":"missing"}""", Docs(results[2]!).Single()["error"]!.ToJsonString());
    }

    [Theory]
    [InlineData("", null, null)]
    [InlineData(",\"atts_since\":[]", null, null)]
    [InlineData(",\"atts_since\":[\"1-a\"]", null, "bmV3")]
    [InlineData(",\"atts_since\":[\"9-none\",\"1-a\"]", null, "bmV3")]
    [InlineData(",\"atts_since\":[\"2-c\"]", "b2xk", "bmV3")]
    public async Task Each_document_says_since_when_its_attachments_are_wanted(string since, string? old, string? added)
    {
        var attachments = Docs((await AskAsync($$"""{"id":"t","rev":"2-b"{{since}}},{"id":"t","rev":"2-b"}"""))[0]!).Single()["ok"]!["_attachments"]!;
        Assert.Equal((old, added), ((string?)attachments["old"]!["data"], (string?)attachments["new"]!["data"]));
        Assert.Equal((old is null, added is null), (attachments["old"]!["stub"] is not null, attachments["new"]!["stub"] is not null));
        // It holds for that entry alone.
        var other = Docs((await AskAsync($$"""{"id":"t","rev":"2-b"{{since}}},{"id":"t","rev":"2-b"}"""))[1]!).Single()["ok"]!["_attachments"]!;
        Assert.True((bool)other["old"]!["stub"]! && (bool)other["new"]!["stub"]!);
    }

    [Theory]
    [InlineData("1", null, null, "bad_request", "document must be a JSON object")]
    [InlineData("{}", null, null, "bad_request", "document id missed")]
    [InlineData("""{"id":7}""", null, null, "illegal_docid", "Document id must be a string")]
    [InlineData("""{"id":"_bad"}""", "_bad", null, "illegal_docid", "Only reserved document ids may start with underscore.")]
    [InlineData("""{"id":"t","rev":"x"}""", "t", "x", "bad_request", "Invalid rev format")]
    [InlineData("""{"id":"t","rev":7}""", "t", "7", "bad_request", "Invalid rev format")]
    [InlineData("""{"id":"t","atts_since":["1-a","x"]}""", "t", "x", "bad_request", "Invalid rev format")]
    [InlineData("""{"id":"t","atts_since":"1-a"}""", "t", "1-a", "bad_request", "att_since value must be array of revs.")]
    [InlineData("""{"id":"t","rev":"5-e"}""", "t", "5-e", "not_found", "missing")]
    public async Task What_is_wrong_with_one_is_an_error_in_its_place(string entry, string? id, string? rev, string error, string reason)
    {
        var results = await AskAsync($$"""{{entry}},{"id":"t","rev":"2-c"}""");
        var told = Docs(results[0]!).Single()["error"]!;
        Assert.Equal((id, id, rev, error, reason), ((string?)results[0]!["id"], (string?)told["id"], (string?)told["rev"], (string?)told["error"], (string?)told["reason"]));
        Assert.Equal(2, (int)Docs(results[1]!).Single()["ok"]!["n"]!);
    }

    [Theory]
    [InlineData("rev=1-a")]
    [InlineData("open_revs=all")]
    [InlineData("atts_since=[]")]
    [InlineData("new_edits=false")]
    [InlineData("w=1")]
    public async Task What_each_document_says_of_itself_is_no_parameter_of_all(string parameter) =>
        Assert.Contains("query parameter is not acceptable", (string?)(await _client.PostAsync($"notes/_bulk_get?{parameter}", """{"docs":[{"id":"t"}]}""", 400))["reason"], StringComparison.Ordinal);

    [Theory]
    [InlineData("multipart/mixed", "multipart/mixed")]
    [InlineData("multipart/related, multipart/mixed", "multipart/mixed")]
    [InlineData("multipart/related", "multipart/related")]
    public async Task In_parts_the_headers_of_a_document_with_attachments_say_which_it_is(string accept, string type)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "notes/_bulk_get?revs=true")
        {
            Content = SyncClient.Json("""{"docs":[{"id":"t","rev":"2-b","atts_since":["1-a"]},{"id":"t","rev":"2-c"},{"id":"t","rev":"5-e"}]}"""),
        };
        request.Headers.TryAddWithoutValidation("Accept", accept);
        using var response = await _client.Http.SendAsync(request);
        Assert.Equal(type, response.Content.Headers.ContentType?.MediaType);
        var reader = new MultipartReader(response.Content.Headers.ContentType!.Parameters.Single().Value!.Trim('"'), await response.Content.ReadAsStreamAsync());
        var first = (await reader.ReadNextSectionAsync())!;
        Assert.StartsWith("multipart/related; boundary=", first.ContentType, StringComparison.Ordinal);
        Assert.Equal(("t", "2-b"), ($"{first.Headers!["X-Doc-Id"]}", $"{first.Headers["X-Rev-Id"]}"));
        var text = await first.ReadAsStringAsync();
        Assert.Contains("\r\n\r\nnew\r\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\r\n\r\nold\r\n", text, StringComparison.Ordinal);
        var second = (await reader.ReadNextSectionAsync())!;
        Assert.Equal(["Content-Type"], second.Headers!.Keys);
        Assert.Equal(2, (int)JsonNode.Parse(await second.ReadAsStringAsync())!["n"]!);
        Assert.Equal("application/json; error=\"true\"", (await reader.ReadNextSectionAsync())!.ContentType);
    }

    [Fact]
    public async Task An_id_with_a_line_break_makes_no_header()
    {
        await _client.PostAsync("notes", """{"_id":"x\r\nX-Mine: 1","_attachments":{"a":{"data":"YQ=="}}}""", 201);
        using var request = new HttpRequestMessage(HttpMethod.Post, "notes/_bulk_get?attachments=true")
        {
            Content = SyncClient.Json("""{"docs":[{"id":"x\r\nX-Mine: 1"}]}"""),
            Headers = { Accept = { new("multipart/mixed") } },
        };
        using var response = await _client.Http.SendAsync(request);
        Assert.DoesNotContain("\r\nX-Mine", Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync()), StringComparison.Ordinal);
    }

    private async Task<JsonArray> AskAsync(string entries) => (await _client.PostAsync("notes/_bulk_get", $$"""{"docs":[{{entries}}]}"""))["results"]!.AsArray();

    private static List<JsonNode> Docs(JsonNode result) => [.. result["docs"]!.AsArray().Select(doc => doc!)];
}
