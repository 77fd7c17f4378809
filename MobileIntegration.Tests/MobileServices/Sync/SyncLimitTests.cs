using System.Net;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Whose data it is, how much of it there may be, and what is no document at all.</summary>
public sealed class SyncLimitTests(SyncService service) : IClassFixture<SyncService>
{
    private readonly string _user = service.NewUser();

    [Fact]
    public async Task A_name_is_everybodys_own_database_and_tells_nothing_of_others()
    {
        using var ada = service.ClientOf(_user);
        using var bob = service.ClientOf(service.NewUser());
        using var otherApp = service.ClientOf(_user, client: "other-app");
        await ada.PutAsync("notes");
        await ada.PutAsync("notes/secret", """{"a":1,"_attachments":{"x":{"data":"Yg=="}}}""");
        foreach (var stranger in new[] { bob, otherApp })
        {
            await stranger.GetAsync("notes", 404);
            await stranger.GetAsync("notes/_changes", 404);
            Assert.Empty((await stranger.GetAsync("_all_dbs")).AsArray());
            await stranger.PutAsync("notes");
            await stranger.GetAsync("notes/secret", 404);
            Assert.StartsWith("0-", (string?)(await stranger.GetAsync("notes"))["update_seq"], StringComparison.Ordinal);
            // Also the content of an attachment cannot be had by its digest.
            await stranger.PutAsync("notes/guess", """{"_attachments":{"x":{"stub":true,"digest":"md5-kutfGhv2SnyM76iH8SRzrQ=="}}}""", 412);
            await stranger.DeleteAsync("notes");
        }
        Assert.Equal(1, (int)(await ada.GetAsync("notes/secret"))["a"]!);
    }

    [Fact]
    public async Task A_shared_database_is_there_for_who_has_the_role()
    {
        using var clerk = service.ClientOf(_user, roles: "clerk");
        using var customer = service.ClientOf(service.NewUser());
        await clerk.PutAsync("stores/s1", """{"city":"Berlin"}""");
        Assert.Equal("Berlin", (string?)(await customer.GetAsync("stores/s1"))["city"]);
        Assert.Equal("forbidden", (string?)(await customer.PutAsync("stores/s2", "{}", 403))["error"]);
        await customer.PostAsync("stores/_bulk_docs", """{"docs":[{"_id":"x"}]}""", 403);
        await clerk.DeleteAsync("stores", 403);
        await customer.GetAsync("news", 403);
        using var reader = service.ClientOf(service.NewUser(), roles: "reader");
        await reader.GetAsync("news");
    }

    [Fact]
    public async Task Without_a_token_or_its_scope_nothing_is_answered()
    {
        using var nobody = new HttpClient { BaseAddress = service.Gateway.Address };
        using var refused = await nobody.GetAsync("/sync/notes");
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        foreach (var address in new[] { service.One.Address, service.Gateway.Address })
        {
            using var without = new HttpClient { BaseAddress = address };
            without.Authorize(TestAuthority.Shared.Token(Scopes.Home));
            using var forbidden = await without.GetAsync("/sync/notes");
            await forbidden.ProblemAsync(403);
        }
    }

    [Theory]
    [InlineData("""{"_id":"_reserved"}""", 400, "illegal_docid")]
    [InlineData("""{"_id":""}""", 400, "illegal_docid")]
    [InlineData("""{"_id":"a\u0000b"}""", 400, "illegal_docid")]
    [InlineData("""{"_id":"a\ud800"}""", 400, "bad_request")]
    [InlineData("""{"_id":"a","\ud800":1,"\ud800":2}""", 400, "bad_request")]
    [InlineData("""{"_id":7}""", 400, "illegal_docid")]
    [InlineData("""{"_id":"a","_mine":1}""", 400, "doc_validation")]
    [InlineData("""{"_id":"a","\u005fmine":1}""", 400, "doc_validation")]
    [InlineData("""{"_id":"a","_rev":"x"}""", 400, "bad_request")]
    [InlineData("""{"_id":"a","_deleted":"yes"}""", 400, "doc_validation")]
    [InlineData("""{"_id":"a","_revisions":{"start":1,"ids":["a","b"]}}""", 400, "doc_validation")]
    [InlineData("""{"_id":"a","_revisions":{"start":2147483647,"ids":["a"]}}""", 400, "doc_validation")]
    [InlineData("""{"_id":"a","_revisions":{"start":1000000001,"ids":["a"]}}""", 400, "doc_validation")]
    [InlineData("""{"_id":"a","_attachments":{"_x":{"data":""}}}""", 400, "bad_request")]
    [InlineData("""{"_id":"a","_attachments":{"x":{"data":"!"}}}""", 400, "bad_request")]
    [InlineData("""{"_id":"a","x":1,"x":2}""", 400, "bad_request")]
    [InlineData("""{"_id":"a",""", 400, "bad_request")]
    [InlineData("[]", 400, "bad_request")]
    [InlineData("null", 400, "bad_request")]
    public async Task What_is_no_document_is_refused_with_the_reason(string json, int status, string error)
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("bad");
        Assert.Equal(error, (string?)(await client.PostAsync("bad", json, status))["error"]);
        Assert.Equal(0, (int)(await client.GetAsync("bad"))["doc_count"]!);
    }

    [Fact]
    public async Task Bytes_that_are_no_text_and_json_that_is_too_deep_or_too_large_are_refused()
    {
        using var client = service.ClientOf(_user, service.Gateway.Address);
        await client.PutAsync("bytes");
        using var broken = new ByteArrayContent([.. "{\"a\":\""u8, 0xff, 0xfe, .. "\"}"u8]);
        broken.Headers.ContentType = new("application/json");
        Assert.Equal("bad_request", (string?)(await SyncClient.ReadAsync(await client.Http.PostAsync("bytes", broken), 400))["error"]);

        var deep = $"{{\"a\":{new string('[', 100_000)}{new string(']', 100_000)}}}";
        await client.PostAsync("bytes", deep, 400);
        await client.PutAsync("bytes/nested", $"{{\"a\":{new string('[', 100)}{new string(']', 100)}}}");
        Assert.Equal("too_large", (string?)(await client.PutAsync("bytes/large", $$"""{"a":"{{new string('x', 1_100_000)}}"}""", 413))["error"]);
        Assert.Equal(1, (int)(await client.GetAsync("bytes"))["doc_count"]!);
    }

    [Theory]
    [InlineData("limit/_changes?since=x")]
    [InlineData("limit/_changes?limit=-1")]
    [InlineData("limit/_changes?feed=other")]
    [InlineData("limit/_all_docs?include_docs=maybe")]
    [InlineData("limit/_all_docs?startkey=x")]
    [InlineData("limit/doc?rev=nonsense")]
    [InlineData("limit/doc?open_revs=[1]")]
    [InlineData("UPPER")]
    public async Task Parameters_that_mean_nothing_are_refused(string path)
    {
        using var client = service.ClientOf(_user);
        using var created = await client.Http.PutAsync("limit", null);
        await client.GetAsync(path, 400);
    }

    [Fact]
    public async Task A_database_holds_as_much_as_it_may_and_deletions_always()
    {
        await using var small = service.Start(("Sync:MostDocuments", "2"), ("Sync:MostDatabases", "1"), ("Sync:AttachmentBytes", "2000"));
        using var client = service.ClientOf(_user, small.Address);
        await client.PutAsync("small");
        Assert.Equal("forbidden", (string?)(await client.PutAsync("second", null, 403))["error"]);
        await client.PutAsync("small/a", "{}");
        var rev = (string)(await client.PutAsync("small/b", "{}"))["rev"]!;
        Assert.Equal("too_large", (string?)(await client.PutAsync("small/c", "{}", 413))["error"]);
        await client.DeleteAsync($"small/b?rev={rev}");
        using var large = new ByteArrayContent(new byte[3000]);
        Assert.Equal("too_large", (string?)(await SyncClient.ReadAsync(await client.Http.PutAsync("small/c/x", large), 413))["error"]);
        await client.PutAsync("small/c", "{}");
    }

    [Fact]
    public async Task A_deletion_that_takes_room_itself_is_not_taken_when_there_is_none()
    {
        await using var small = service.Start(("Sync:MostBytes", "1024"));
        using var client = service.ClientOf(_user, small.Address);
        await client.PutAsync("filled");
        var rev = (string)(await client.PutAsync("filled/a", $$"""{"x":"{{new string('x', 1100)}}"}"""))["rev"]!;
        await client.PutAsync("filled/a", $$"""{"_rev":"{{rev}}","_deleted":true,"x":1}""", 413);
        var rows = (await client.PostAsync("filled/_bulk_docs", """
            {"new_edits":false,"docs":[{"_id":"b","_rev":"1-a","_deleted":true,"x":1},{"_id":"c","_revisions":{"start":2,"ids":["b","a"]},"_deleted":true}]}
            """, 201)).AsArray();
        Assert.Equal(("b", "too_large"), ((string)rows.Single()!["id"]!, (string)rows[0]!["error"]!));
        await client.DeleteAsync($"filled/a?rev={rev}");
        Assert.Equal(2, (int)(await client.GetAsync("filled"))["doc_del_count"]!);
    }

    [Fact]
    public async Task A_deletion_of_what_a_full_database_never_had_takes_no_past_and_shorter_pasts_make_room()
    {
        await using var small = service.Start(("Sync:MostBytes", "20000"));
        using var client = service.ClientOf(_user, small.Address);
        await client.PutAsync("trees");
        var past = string.Join(',', Enumerable.Range(0, 1000).Select(n => $"\"{n:x32}\""));
        Assert.Empty((await client.PostAsync("trees/_bulk_docs", $$"""{"new_edits":false,"docs":[{"_id":"old","_revisions":{"start":1000,"ids":[{{past}}]},"x":"{{new string('x', 4000)}}"}]}""", 201)).AsArray());
        await client.PutAsync("trees/more", "{}", 413);

        Assert.Empty((await client.PostAsync("trees/_bulk_docs", $$"""{"new_edits":false,"docs":[{"_id":"gone","_revisions":{"start":1000,"ids":[{{past}}]},"_deleted":true}]}""", 201)).AsArray());
        Assert.InRange(await BytesOfTreeAsync("gone"), 1, 100);
        Assert.InRange(await BytesOfTreeAsync("old"), 16_000, 20_000);

        await client.PutAsync("trees/_revs_limit", "10", 200);
        await client.PostAsync("trees/_compact", "", 202);
        await Eventually.TrueAsync(async () => await BytesOfTreeAsync("old") < 300, TimeSpan.FromSeconds(30));
        await client.PutAsync("trees/more", "{}");
        Assert.Equal($"1000-{0:x32}", (string?)(await client.GetAsync("trees/old"))["_rev"]);

        Task<long> BytesOfTreeAsync(string id) =>
            service.CountAsync($"select octet_length(d.tree)::bigint from sync.document d join sync.database s on s.id = d.db_id where s.owner = $1 and s.name = 'trees' and d.doc_id = '{id}'", _user);
    }

    [Fact]
    public async Task Who_creates_many_databases_at_once_has_no_more_than_he_may()
    {
        await using var one = service.Start(("Sync:MostDatabases", "3"));
        await using var other = service.Start(("Sync:MostDatabases", "3"));
        using var first = service.ClientOf(_user, one.Address);
        using var second = service.ClientOf(_user, other.Address);
        await first.PutAsync("before");
        await first.DeleteAsync("before");
        // Whoever has counted waits with its insert.
        var told = await service.AllAtOnceAsync("lock table sync.database in share row exclusive mode", null, 24, () => Task.WhenAll(Enumerable.Range(0, 24).Select(async n =>
        {
            using var response = await (n % 2 is 0 ? first : second).Http.PutAsync($"db{n}", null);
            return (int)response.StatusCode;
        })));
        Assert.Equal((3, 21), (told.Count(status => status is 201), told.Count(status => status is 403)));
        Assert.Equal(3, (await first.GetAsync("_all_dbs")).AsArray().Count);
    }

    [Fact]
    public async Task Attachments_count_for_the_bytes_of_a_database_however_they_come()
    {
        await using var small = service.Start(("Sync:MostBytes", "10000"));
        using var client = service.ClientOf(_user, small.Address);
        await client.PutAsync("full");
        using var first = new ByteArrayContent(new byte[6000]);
        var rev = (string)(await SyncClient.ReadAsync(await client.Http.PutAsync("full/a/x", first), 201))["rev"]!;
        var more = new byte[6000];
        Random.Shared.NextBytes(more);
        using var second = new ByteArrayContent(more);
        await SyncClient.ReadAsync(await client.Http.PutAsync("full/b/x", second), 413);
        await client.PutAsync("full/b", $$$$$"""{"_attachments":{"x":{"data":"{{{{{Convert.ToBase64String(more)}}}}}"}}}""", 413);
        using var parts = new MultipartContent("related", "b0undary")
        {
            SyncClient.Json("""{"_attachments":{"x":{"follows":true,"length":3000},"y":{"follows":true,"length":3000}}}"""), new ByteArrayContent(more[..3000]), new ByteArrayContent(more[3000..]),
        };
        Assert.Equal("too_large", (string?)(await SyncClient.ReadAsync(await client.Http.PutAsync("full/b", parts), 413))["error"]);
        await client.GetAsync("full/b", 404);

        // What no document has any more makes room once it is old, as a document that names it may be on its way.
        await client.DeleteAsync($"full/a?rev={rev}");
        await service.CountAsync("with old as (update sync.blob b set created_at = b.created_at - interval '2 hours' from sync.database d where d.id = b.db_id and d.owner = $1 returning 1) select count(*) from old", _user);
        await client.PostAsync("full/_compact", "", 202);
        using var again = new ByteArrayContent(more);
        await SyncClient.ReadAsync(await client.Http.PutAsync("full/b/x", again), 201);
    }

    [Fact]
    public async Task Attachments_that_come_at_once_and_do_not_say_how_long_they_are_take_no_more_room_than_there_is()
    {
        await using var small = service.Start(("Sync:MostBytes", "10000"));
        using var client = service.ClientOf(_user, small.Address);
        await client.PutAsync("full");
        var told = await Task.WhenAll(Enumerable.Range(0, 12).Select(async n =>
        {
            var bytes = new byte[3000];
            new Random(n).NextBytes(bytes);
            using var content = new StreamContent(new Repeated(bytes, 1));
            using var request = new HttpRequestMessage(HttpMethod.Put, $"full/d{n}/x") { Content = content, Headers = { TransferEncodingChunked = true } };
            using var response = await client.Http.SendAsync(request);
            return (int)response.StatusCode;
        }));
        Assert.Equal((3, 9), (told.Count(status => status is 201), told.Count(status => status is 413)));
        Assert.Equal(9000, await service.CountAsync("select sum(b.length)::bigint from sync.blob b join sync.database d on d.id = b.db_id where d.owner = $1", _user));
        Assert.Equal(3, (int)(await client.GetAsync("full"))["doc_count"]!);
    }

    [Fact]
    public async Task A_feed_more_than_a_replica_may_hold_is_told_to_come_later()
    {
        await using var small = service.Start(("Sync:MostFeeds", "2"));
        using var client = service.ClientOf(_user, small.Address);
        await client.PutAsync("feeds");
        using var first = await OpenAsync();
        using (await OpenAsync())
        {
            using var third = await OpenAsync();
            Assert.NotNull(third.Headers.RetryAfter);
            Assert.Equal("service_unavailable", (string?)(await SyncClient.ReadAsync(third, 503))["error"]);
            // Whoever does not wait is answered all the same.
            await client.GetAsync("feeds/_changes");
        }
        await Eventually.TrueAsync(async () =>
        {
            using var next = await OpenAsync();
            return next.IsSuccessStatusCode;
        }, TimeSpan.FromSeconds(30));

        Task<HttpResponseMessage> OpenAsync() => client.Http.GetAsync("feeds/_changes?feed=continuous&heartbeat=1000", HttpCompletionOption.ResponseHeadersRead);
    }

    [Theory]
    [InlineData("Sync__RevsLimit", "0", "Sync:RevsLimit must be from 1 to 100000.")]
    [InlineData("Sync__MostBytes", "1", "Sync:MostBytes must be from 1024 to 1099511627776.")]
    public async Task A_setting_that_cannot_be_stops_the_start(string setting, string value, string message)
    {
        var (exitCode, _, error) = await TestServices.RunToEndAsync("MobileServices", ("Run", "sync"), (setting, value), ("ConnectionStrings__mobiledb", service.Database));
        Assert.Equal(1, exitCode);
        Assert.Contains(message, error, StringComparison.Ordinal);
    }
}
