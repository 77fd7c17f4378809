using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Documents, their revisions and attachments, as the protocol's documentation has them.</summary>
public sealed class DocumentTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private readonly SyncClient _client = service.ClientOf(service.NewUser());

    public async Task InitializeAsync() => await _client.PutAsync("notes");

    public Task DisposeAsync()
    {
        _client.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task What_was_sent_comes_back_as_it_was()
    {
        const string Members = "\"z\":1.10,\"a\":[1e3,null,{\"ü\":\"\\u0000\\ud83d\\ude00é\\ud800\"}],\"big\":12345678901234567890123";
        await _client.PutAsync("notes/exact", $"{{{Members}}}");
        var text = await _client.Http.GetStringAsync("notes/exact");
        Assert.EndsWith($",{Members}}}\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_edit_of_an_old_revision_is_a_conflict_and_changes_nothing()
    {
        var first = (string)(await _client.PutAsync("notes/a", """{"n":1}"""))["rev"]!;
        var second = (string)(await _client.PutAsync("notes/a", $$"""{"n":2,"_rev":"{{first}}"}"""))["rev"]!;
        Assert.Equal("conflict", (string?)(await _client.PutAsync("notes/a", $$"""{"n":3,"_rev":"{{first}}"}""", 409))["error"]);
        await _client.PutAsync("notes/a", """{"n":3}""", 409);
        await _client.DeleteAsync("notes/a", 409);
        Assert.Equal(2, (int)(await _client.GetAsync("notes/a"))["n"]!);
        Assert.Equal(1, (int)(await _client.GetAsync($"notes/a?rev={first}"))["n"]!);
        var info = (await _client.GetAsync("notes/a?revs_info=true&revs=true&local_seq=true"));
        Assert.Equal(["available", "available"], info["_revs_info"]!.AsArray().Select(one => (string)one!["status"]!));
        Assert.Equal(2, (int)info["_revisions"]!["start"]!);

        await _client.PostAsync("notes/_compact", "", 202);
        Assert.Equal("missing", (string?)(await _client.GetAsync($"notes/a?rev={first}", 404))["reason"]);
        Assert.Equal(2, (int)(await _client.GetAsync($"notes/a?rev={second}"))["n"]!);
    }

    [Fact]
    public async Task A_deleted_document_says_so_and_can_be_made_again()
    {
        var rev = (string)(await _client.PutAsync("notes/gone", "{}"))["rev"]!;
        var tombstone = (string)(await _client.DeleteAsync($"notes/gone?rev={rev}"))["rev"]!;
        Assert.Equal("deleted", (string?)(await _client.GetAsync("notes/gone", 404))["reason"]);
        Assert.Equal("missing", (string?)(await _client.GetAsync("notes/never", 404))["reason"]);
        Assert.True((bool)(await _client.GetAsync($"notes/gone?rev={tombstone}"))["_deleted"]!);
        Assert.StartsWith("3-", (string?)(await _client.PutAsync("notes/gone", "{}"))["rev"], StringComparison.Ordinal);
        var info = await _client.GetAsync("notes");
        Assert.Equal((1, 0), ((int)info["doc_count"]!, (int)info["doc_del_count"]!));
    }

    [Fact]
    public async Task All_leaves_of_a_conflict_are_kept_until_they_are_deleted()
    {
        await _client.PostAsync("notes/_bulk_docs", """
            {"new_edits":false,"docs":[{"_id":"c","_rev":"2-bb","_revisions":{"start":2,"ids":["bb","aa"]},"n":1},{"_id":"c","_rev":"2-cc","_revisions":{"start":2,"ids":["cc","aa"]},"n":2}]}
            """, 201);
        var winner = await _client.GetAsync("notes/c?conflicts=true");
        Assert.Equal(("2-cc", "2-bb"), ((string)winner["_rev"]!, (string)winner["_conflicts"]![0]!));
        await _client.PostAsync("notes/_compact", "", 202);
        Assert.Equal(1, (int)(await _client.GetAsync("notes/c?rev=2-bb"))["n"]!);

        await _client.DeleteAsync("notes/c?rev=2-cc");
        var other = await _client.GetAsync("notes/c?conflicts=true&deleted_conflicts=true");
        Assert.Equal(("2-bb", 1), ((string)other["_rev"]!, (int)other["n"]!));
        Assert.Null(other["_conflicts"]);
        Assert.Single(other["_deleted_conflicts"]!.AsArray());
    }

    [Fact]
    public async Task What_is_new_to_a_peer_is_told_by_its_revisions()
    {
        await _client.PostAsync("notes/_bulk_docs", """{"new_edits":false,"docs":[{"_id":"d","_rev":"2-bb","_revisions":{"start":2,"ids":["bb","aa"]}}]}""", 201);
        var told = await _client.PostAsync("notes/_revs_diff", """{"d":["1-aa","2-bb","3-cc"],"none":["1-x"]}""");
        Assert.Equal(["3-cc"], told["d"]!["missing"]!.AsArray().Select(rev => (string)rev!));
        Assert.Equal(["2-bb"], told["d"]!["possible_ancestors"]!.AsArray().Select(rev => (string)rev!));
        Assert.NotNull(told["none"]);
        Assert.Equal("{\"missing_revs\":{\"d\":[\"3-cc\"]}}", (await _client.PostAsync("notes/_missing_revs", """{"d":["2-bb","3-cc"]}""")).ToJsonString());
    }

    [Fact]
    public async Task Every_document_of_a_bulk_has_its_own_answer()
    {
        await _client.PutAsync("notes/there", "{}");
        var rows = (await _client.PostAsync("notes/_bulk_docs", """{"docs":[{"_id":"new"},{"_id":"there"},{"_id":"new","again":true},{"x":1},{"_id":"_local/l","y":1}]}""", 201)).AsArray();
        Assert.Equal(["ok", "conflict", "conflict", "ok", "ok"], rows.Select(row => (string?)row!["error"] ?? "ok"));
        Assert.Equal("0-1", (string?)rows[4]!["rev"]);
        Assert.Equal(3, (int)(await _client.GetAsync("notes"))["doc_count"]!);
    }

    [Fact]
    public async Task Attachments_are_kept_once_and_read_whole_or_in_part()
    {
        var content = RandomNumberGenerator.GetBytes(700_000);
        using var body = new ByteArrayContent(content);
        body.Headers.ContentType = new("application/x-thing");
        var rev = (string)(await SyncClient.ReadAsync(await _client.Http.PutAsync("notes/att/dir/a%20b.bin", body), 201))["rev"]!;

        using var whole = await _client.Http.GetAsync("notes/att/dir%2Fa%20b.bin");
        Assert.Equal(content, await whole.Content.ReadAsByteArrayAsync());
        Assert.Equal("application/x-thing", whole.Content.Headers.ContentType?.MediaType);
        var digest = Convert.ToBase64String(CryptographicOperations.HashData(HashAlgorithmName.MD5, content));
        Assert.Equal($"\"{digest}\"", whole.Headers.ETag?.Tag);

        using var part = new HttpRequestMessage(HttpMethod.Get, "notes/att/dir/a%20b.bin") { Headers = { Range = new(262_100, 600_000) } };
        using var some = await _client.Http.SendAsync(part);
        Assert.Equal(HttpStatusCode.PartialContent, some.StatusCode);
        Assert.Equal(content[262_100..600_001], await some.Content.ReadAsByteArrayAsync());

        // A stub keeps it, also in another document of the same content it is not kept twice.
        await _client.PutAsync("notes/att", $$$$"""{"_rev":"{{{{rev}}}}","more":1,"_attachments":{"dir/a b.bin":{"stub":true}}}""");
        await _client.PutAsync("notes/att2", $$$$"""{"_attachments":{"x":{"data":"{{{{Convert.ToBase64String(content)}}}}"}}}""");
        Assert.InRange((long)(await _client.GetAsync("notes"))["sizes"]!["file"]!, 700_000, 701_000);
        Assert.Equal("missing_stub", (string?)(await _client.PutAsync("notes/att3", """{"_attachments":{"x":{"stub":true}}}""", 412))["error"]);
        var inline = (await _client.GetAsync("notes/att?attachments=true"))["_attachments"]!["dir/a b.bin"]!;
        Assert.Equal(content, Convert.FromBase64String((string)inline["data"]!));
        Assert.Equal((1, $"md5-{digest}"), ((int)inline["revpos"]!, (string)inline["digest"]!));
        await _client.PostAsync("notes/_compact", "", 202);
        Assert.Equal(content, await _client.Http.GetByteArrayAsync("notes/att/dir/a%20b.bin"));
    }

    [Fact]
    public async Task Several_leaves_come_in_parts_with_their_attachments()
    {
        using var parts = new MultipartContent("related", "b0undary") { JsonPart("""{"n":1,"_attachments":{"a":{"follows":true,"length":5,"content_type":"text/plain"},"b":{"data":"Yg=="}}}""") };
        parts.Add(new StringContent("hello"));
        await SyncClient.ReadAsync(await _client.Http.PutAsync("notes/m", parts), 201);
        Assert.Equal("hello", await _client.Http.GetStringAsync("notes/m/a"));

        using var request = new HttpRequestMessage(HttpMethod.Get, "notes/m?open_revs=all&attachments=true") { Headers = { Accept = { new MediaTypeWithQualityHeaderValue("multipart/mixed") } } };
        using var mixed = await _client.Http.SendAsync(request);
        Assert.Equal("multipart/mixed", mixed.Content.Headers.ContentType?.MediaType);
        var text = await mixed.Content.ReadAsStringAsync();
        Assert.Contains("\"follows\":true", text, StringComparison.Ordinal);
        Assert.Contains("\r\n\r\nhello\r\n--", text, StringComparison.Ordinal);

        static StringContent JsonPart(string json) => new(json, Encoding.UTF8, "application/json");
    }

    [Fact]
    public async Task A_tag_spares_what_the_client_has()
    {
        var rev = (string)(await _client.PutAsync("notes/e", "{}"))["rev"]!;
        using var request = new HttpRequestMessage(HttpMethod.Get, "notes/e") { Headers = { IfNoneMatch = { new($"\"{rev}\"") } } };
        using var same = await _client.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        using var head = await _client.Http.SendAsync(new(HttpMethod.Head, "notes/e"));
        Assert.Equal($"\"{rev}\"", head.Headers.ETag?.Tag);
    }

    [Fact]
    public async Task Ids_may_hold_whatever_a_path_may_not()
    {
        using var gateway = new SyncClient(new(service.Gateway.Address, "/sync/"), _client.Http.DefaultRequestHeaders.Authorization!.Parameter!);
        foreach (var id in new[] { "a/b", "a%2Fb", "a b", "a;b", "ü✓", "a\\b", "a?b#c", "org.couchdb:x", "100%" })
        {
            await gateway.PutAsync($"notes/{Uri.EscapeDataString(id)}", """{"x":1}""");
            Assert.Equal(id, (string?)(await gateway.GetAsync($"notes/{Uri.EscapeDataString(id)}"))["_id"]);
        }
        Assert.Equal(9, (int)(await gateway.GetAsync("notes/_all_docs"))["total_rows"]!);
    }

    [Fact]
    public async Task A_document_is_copied_also_through_the_gateway()
    {
        using var gateway = new SyncClient(new(service.Gateway.Address, "/sync/"), _client.Http.DefaultRequestHeaders.Authorization!.Parameter!);
        await gateway.PutAsync("notes/from", """{"x":1,"_attachments":{"a":{"data":"Yg=="}}}""");
        using var request = new HttpRequestMessage(new HttpMethod("COPY"), "notes/from") { Headers = { { "Destination", "to" } } };
        await SyncClient.ReadAsync(await gateway.Http.SendAsync(request), 201);
        Assert.Equal(1, (int)(await gateway.GetAsync("notes/to"))["x"]!);
        Assert.Equal("b", await gateway.Http.GetStringAsync("notes/to/a"));
    }

    [Fact]
    public async Task Purged_revisions_are_as_if_they_had_never_been()
    {
        await _client.PostAsync("notes/_bulk_docs", """{"new_edits":false,"docs":[{"_id":"p","_rev":"1-aa","n":1},{"_id":"p","_rev":"1-bb","n":2},{"_id":"q","_rev":"1-aa"}]}""", 201);
        await _client.PostAsync("notes/_purge", """{"p":["1-bb"],"q":["1-aa"]}""", 201);
        Assert.Equal(1, (int)(await _client.GetAsync("notes/p"))["n"]!);
        Assert.Equal("missing", (string?)(await _client.GetAsync("notes/q", 404))["reason"]);
        Assert.Equal(1, (int)(await _client.GetAsync("notes"))["doc_count"]!);
    }

    [Fact]
    public async Task A_database_remembers_as_many_revisions_as_its_limit_says()
    {
        await _client.PutAsync("notes/_revs_limit", "3", 200);
        var rev = "";
        for (var n = 0; n < 6; n++)
        {
            rev = (string)(await _client.PutAsync($"notes/l{(rev.Length > 0 ? $"?rev={rev}" : "")}", $$"""{"n":{{n}}}"""))["rev"]!;
        }
        Assert.Equal(3, (await _client.GetAsync("notes/l?revs=true"))["_revisions"]!["ids"]!.AsArray().Count);
        Assert.Equal("3", (await _client.GetAsync("notes/_revs_limit")).ToJsonString());
    }
}
