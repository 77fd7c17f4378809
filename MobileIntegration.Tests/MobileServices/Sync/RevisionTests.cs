using System.Net;
using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Which revision of a document is read, told of and replaced.</summary>
public sealed class RevisionTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private const string Branches = """
        {"new_edits":false,"docs":[
          {"_id":"d","_rev":"1-a","n":1},{"_id":"d","_rev":"2-b","_revisions":{"start":2,"ids":["b","a"]},"n":2},{"_id":"d","_rev":"1-x","n":3}]}
        """;

    private readonly SyncClient _client = service.ClientOf(service.NewUser());

    public async Task InitializeAsync() => await _client.PutAsync("notes");

    public Task DisposeAsync()
    {
        _client.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task A_purge_takes_the_bodies_of_the_ancestors_that_go_with_the_leaf()
    {
        await _client.PostAsync("notes/_bulk_docs", Branches, 201);
        Assert.Equal(1, (int)(await _client.GetAsync("notes/d?rev=1-a"))["n"]!);
        await _client.PostAsync("notes/_purge", """{"d":["2-b"]}""", 201);
        Assert.Equal(3, (int)(await _client.GetAsync("notes/d"))["n"]!);
        Assert.Equal("missing", (string?)(await _client.GetAsync("notes/d?rev=1-a", 404))["reason"]);
        Assert.Equal("missing", (string?)(await _client.GetAsync("notes/d?rev=2-b", 404))["reason"]);
        Assert.Equal(0, await service.CountAsync("select count(*) from sync.body b join sync.database s on s.id = b.db_id where s.owner = $1 and b.rev <> '1-x'", await UserAsync()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("revs=true")]
    public async Task A_revision_that_is_beyond_the_limit_is_missing_however_it_is_asked_for(string query)
    {
        await _client.PutAsync("notes/_revs_limit", "3", 200);
        var revs = new List<string>();
        for (var n = 0; n < 6; n++)
        {
            revs.Add((string)(await _client.PutAsync($"notes/l{(n > 0 ? $"?rev={revs[^1]}" : "")}", $$"""{"n":{{n}}}"""))["rev"]!);
        }

        Assert.Equal("missing", (string?)(await _client.GetAsync($"notes/l?rev={revs[0]}&{query}", 404))["reason"]);
        var open = await JsonAsync($"notes/l?open_revs=[\"{revs[0]}\",\"{revs[4]}\"]&{query}");
        Assert.Equal(revs[0], (string?)open[0]!["missing"]);
        Assert.Equal(4, (int)open[1]!["ok"]!["n"]!);
        var got = await _client.PostAsync($"notes/_bulk_get?{query}", $$"""{"docs":[{"id":"l","rev":"{{revs[0]}}"},{"id":"l","rev":"{{revs[4]}}"}]}""");
        Assert.Equal("not_found", (string?)got["results"]![0]!["docs"]![0]!["error"]!["error"]);
        Assert.Equal(4, (int)got["results"]![1]!["docs"]![0]!["ok"]!["n"]!);
    }

    [Fact]
    public async Task Of_a_longer_past_than_the_limit_what_is_nearest_is_taken_in()
    {
        await _client.PutAsync("notes/_revs_limit", "3", 200);
        await _client.PostAsync("notes/_bulk_docs", """{"new_edits":false,"docs":[{"_id":"p","_revisions":{"start":9,"ids":["i","h","g","f","e","d","c","b","a"]},"n":1}]}""", 201);
        await _client.PostAsync("notes/_bulk_docs", """{"new_edits":false,"docs":[{"_id":"p","_revisions":{"start":10,"ids":["j","i","h","g","f","e"]},"n":2}]}""", 201);
        var document = await _client.GetAsync("notes/p?revs=true&conflicts=true");
        Assert.Equal((10, 2), ((int)document["_revisions"]!["start"]!, (int)document["n"]!));
        Assert.Equal(["j", "i", "h"], document["_revisions"]!["ids"]!.AsArray().Select(id => (string)id!));
        Assert.Null(document["_conflicts"]);
    }

    [Theory]
    [InlineData("conflicts=true")]
    [InlineData("deleted_conflicts=true")]
    [InlineData("revs_info=true")]
    [InlineData("local_seq=true")]
    [InlineData("meta=true")]
    public async Task What_is_told_besides_the_revision_has_no_tag_as_others_change_it(string query)
    {
        var rev = (string)(await _client.PutAsync("notes/e", "{}"))["rev"]!;
        await _client.PostAsync("notes/_bulk_docs", """{"new_edits":false,"docs":[{"_id":"e","_rev":"1-0"}]}""", 201);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"notes/e?{query}") { Headers = { IfNoneMatch = { new($"\"{rev}\"") } } };
        using var response = await _client.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Null(response.Headers.ETag);
        using var plain = await _client.Http.GetAsync("notes/e?revs=true");
        Assert.Equal($"\"{rev}\"", plain.Headers.ETag?.Tag);
    }

    [Fact]
    public async Task Meta_tells_of_the_path_and_the_other_leaves()
    {
        await _client.PostAsync("notes/_bulk_docs", Branches, 201);
        await _client.PostAsync("notes/_bulk_docs", """{"new_edits":false,"docs":[{"_id":"d","_rev":"1-z","_deleted":true}]}""", 201);
        var document = await _client.GetAsync("notes/d?meta=true");
        Assert.Equal("2-b", (string?)document["_rev"]);
        Assert.Equal(["2-b", "1-a"], document["_revs_info"]!.AsArray().Select(one => (string)one!["rev"]!));
        Assert.Equal(["1-x"], document["_conflicts"]!.AsArray().Select(one => (string)one!));
        Assert.Equal(["1-z"], document["_deleted_conflicts"]!.AsArray().Select(one => (string)one!));
    }

    [Fact]
    public async Task The_latest_of_a_revision_is_the_leaf_that_came_of_it()
    {
        await _client.PostAsync("notes/_bulk_docs", Branches, 201);
        Assert.Equal("2-b", (string?)(await _client.GetAsync("notes/d?rev=1-a&latest=true"))["_rev"]);
        Assert.Equal("1-x", (string?)(await _client.GetAsync("notes/d?rev=1-x&latest=true"))["_rev"]);
        Assert.Equal("1-a", (string?)(await _client.GetAsync("notes/d?rev=1-a"))["_rev"]);
        await _client.GetAsync("notes/d?rev=1-none&latest=true", 404);
    }

    [Fact]
    public async Task A_revision_of_the_last_generation_is_read_and_neither_edited_nor_merged()
    {
        await _client.PutAsync("merged");
        await _client.PostAsync("merged/_bulk_docs", """{"new_edits":false,"docs":[{"_id":"last","_rev":"1000000000-a","n":1},{"_id":"last","_rev":"1000000000-b","n":2}]}""", 201);
        Assert.Equal(2, (int)(await _client.GetAsync("merged/last"))["n"]!);
        Assert.Equal("bad_request", (string?)(await _client.PutAsync("merged/last", """{"_rev":"1000000000-b"}""", 400))["error"]);
        Assert.Equal("1000000000-a", (string?)(await _client.GetAsync("merged/last?conflicts=true"))["_conflicts"]![0]);
    }

    [Fact]
    public async Task If_match_names_the_revision_that_is_replaced()
    {
        var rev = (string)(await _client.PutAsync("notes/i", "{}"))["rev"]!;
        var next = (string)(await WriteAsync(rev, """{"n":2}""", 201))["rev"]!;
        Assert.StartsWith("2-", next, StringComparison.Ordinal);
        Assert.Equal("conflict", (string?)(await WriteAsync(rev, """{"n":3}""", 409))["error"]);
        Assert.Equal("bad_request", (string?)(await WriteAsync(rev, $$"""{"n":3,"_rev":"{{next}}"}""", 400))["error"]);
        Assert.Equal(2, (int)(await _client.GetAsync("notes/i"))["n"]!);

        async Task<JsonNode> WriteAsync(string match, string json, int status)
        {
            using var request = new HttpRequestMessage(HttpMethod.Put, "notes/i") { Content = SyncClient.Json(json), Headers = { IfMatch = { new($"\"{match}\"") } } };
            return await SyncClient.ReadAsync(await _client.Http.SendAsync(request), status);
        }
    }

    /// <summary>17 bytes a revision, and the documentation says so.</summary>
    [Fact]
    public async Task The_row_of_a_document_stays_small_through_more_than_a_thousand_edits()
    {
        string? rev = null;
        for (var n = 0; n < 1010; n++)
        {
            rev = (string)(await _client.PutAsync($"notes/e{(rev is null ? "" : $"?rev={rev}")}", $$"""{"n":{{n}}}"""))["rev"]!;
        }
        Assert.Equal(1000, (await _client.GetAsync("notes/e?revs=true"))["_revisions"]!["ids"]!.AsArray().Count);
        Assert.InRange(await RowAsync(), 17_000, 17_400);
        await _client.PostAsync("notes/_compact", "", 202);
        Assert.Equal(0, await service.CountAsync("select count(*) from sync.body b join sync.database s on s.id = b.db_id where s.owner = $1", await UserAsync()));
        Assert.Equal(1009, (int)(await _client.GetAsync("notes/e"))["n"]!);

        async Task<long> RowAsync() => await service.CountAsync("select sum(octet_length(d.tree) + octet_length(d.body))::bigint from sync.document d join sync.database s on s.id = d.db_id where s.owner = $1", await UserAsync());
    }

    [Fact]
    public async Task A_copy_replaces_the_revision_that_it_names_and_no_other()
    {
        await _client.PutAsync("notes/from", """{"n":1}""");
        var rev = (string)(await _client.PutAsync("notes/to", """{"n":0}"""))["rev"]!;
        Assert.Equal("conflict", (string?)(await CopyAsync("to", 409))["error"]);
        Assert.Equal(0, (int)(await _client.GetAsync("notes/to"))["n"]!);
        Assert.StartsWith("2-", (string?)(await CopyAsync($"to?rev={rev}", 201))["rev"], StringComparison.Ordinal);
        Assert.Equal(1, (int)(await _client.GetAsync("notes/to"))["n"]!);

        async Task<JsonNode> CopyAsync(string destination, int status)
        {
            using var request = new HttpRequestMessage(new HttpMethod("COPY"), "notes/from") { Headers = { { "Destination", destination } } };
            return await SyncClient.ReadAsync(await _client.Http.SendAsync(request), status);
        }
    }

    private async Task<JsonNode> JsonAsync(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { Accept = { new("application/json") } } };
        return await SyncClient.ReadAsync(await _client.Http.SendAsync(request), 200);
    }

    private async Task<string> UserAsync() => (string)(await _client.GetAsync("_session"))["userCtx"]!["name"]!;
}
