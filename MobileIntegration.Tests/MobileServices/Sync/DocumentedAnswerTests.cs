using System.Net;
using System.Net.Http.Headers;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Answers of the protocol's documentation that random calls found to be otherwise.</summary>
public sealed class DocumentedAnswerTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private readonly SyncClient _client = service.ClientOf(service.NewUser());

    public async Task InitializeAsync() => await _client.PutAsync("notes");

    public Task DisposeAsync()
    {
        _client.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task What_a_local_document_holds_is_copied_into_another_only_as_a_client_could_have_sent_it()
    {
        await _client.PutAsync("notes/_local/x", """{"_foo":1,"a":{}}""");
        await SyncClient.ReadAsync(await CopyAsync("notes/_local/x", "odd"), 400);
        await _client.GetAsync("notes/odd", 404);

        await _client.PutAsync("notes/_local/y", "{\"a\":{\n\"b\":1}}");
        await SyncClient.ReadAsync(await CopyAsync("notes/_local/y", "lines"), 201);
        var feed = await _client.Http.GetStringAsync("notes/_changes?feed=continuous&include_docs=true&timeout=1");
        Assert.Contains(feed.Split('\n'), line => line.Contains("\"lines\"", StringComparison.Ordinal) && line.Contains("\"b\":1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_download_goes_on_when_the_attachment_still_has_the_tag_that_it_had()
    {
        using var put = await _client.Http.PutAsync("notes/a/x", new StringContent("0123456789"));
        using var whole = await _client.Http.GetAsync("notes/a/x");

        Assert.Equal((206, "56789"), await GoOnAsync(whole.Headers.ETag!.Tag));
        Assert.Equal((206, "56789"), await GoOnAsync("*"));
        Assert.Equal(412, (await GoOnAsync("\"another\"")).Status);

        async Task<(int Status, string Text)> GoOnAsync(string tag)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "notes/a/x");
            request.Headers.TryAddWithoutValidation("If-Match", tag);
            request.Headers.Range = new(5, null);
            using var answer = await _client.Http.SendAsync(request);
            return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
        }
    }

    [Fact]
    public async Task A_delete_of_what_is_not_there_is_not_found_whatever_revision_it_names()
    {
        Assert.Equal("missing", (string?)(await _client.DeleteAsync("notes/never?rev=1-aa", 404))["reason"]);
        var rev = (string)(await _client.PutAsync("notes/a", "{}"))["rev"]!;
        await _client.DeleteAsync("notes/a?rev=1-aa", 409);
        await _client.DeleteAsync($"notes/a?rev={rev}");
        Assert.Equal("deleted", (string?)(await _client.DeleteAsync($"notes/a?rev={rev}", 404))["reason"]);
        await _client.GetAsync("notes/never", 404);
    }

    [Fact]
    public async Task No_attachment_is_deleted_of_a_document_that_is_not_there()
    {
        await SyncClient.ReadAsync(await _client.Http.DeleteAsync("notes/never/x?rev=1-aa"), 404);
        await _client.PutAsync("notes/a", "{}");
        await SyncClient.ReadAsync(await _client.Http.DeleteAsync("notes/a/x?rev=1-aa"), 409);
    }

    [Fact]
    public async Task A_member_of_the_wrong_kind_is_the_fault_of_its_document_alone()
    {
        Assert.Equal("doc_validation", (string?)(await _client.PutAsync("notes/a?new_edits=false", """{"_revisions":{"start":"1","ids":["a"]}}""", 400))["error"]);
        var rows = (await _client.PostAsync("notes/_bulk_docs", """
            {"new_edits":false,"docs":[{"_id":"a","_revisions":{"start":"1","ids":["aa"]}},{"_id":"b","_rev":"1-aa","_attachments":{"x":{"data":"","revpos":"1"}}},{"_id":"c","_rev":"1-aa"}]}
            """, 201)).AsArray();
        Assert.Equal(("a", "doc_validation"), ((string?)rows.Single()!["id"], (string?)rows[0]!["error"]));
        Assert.Equal(2, (int)(await _client.GetAsync("notes"))["doc_count"]!);
        Assert.Equal("query_parse_error", (string?)(await _client.PostAsync("notes/_all_docs", """{"limit":"1"}""", 400))["error"]);
    }

    [Fact]
    public async Task What_was_written_says_where_it_is()
    {
        using var document = await _client.Http.PutAsync("notes/a%2Fb", SyncClient.Json("{}"));
        Assert.Equal("/sync/notes/a%2Fb", document.Headers.Location?.OriginalString);
        using var attachment = await _client.Http.PutAsync("notes/c/d%20e", new StringContent("x"));
        Assert.Equal("/sync/notes/c/d%20e", attachment.Headers.Location?.OriginalString);
        using var copy = await CopyAsync("notes/c", "f");
        Assert.Equal("/sync/notes/f", copy.Headers.Location?.OriginalString);
    }

    [Fact]
    public async Task The_revision_of_an_attachment_or_a_copy_may_stand_in_If_Match()
    {
        var first = (string)(await _client.PutAsync("notes/a", """{"n":1,"_attachments":{"x":{"data":"Yg=="}}}"""))["rev"]!;
        await _client.PutAsync($"notes/a?rev={first}", """{"n":2}""");
        using var request = new HttpRequestMessage(HttpMethod.Get, "notes/a/x") { Headers = { { "If-Match", $"\"{first}\"" } } };
        using var answer = await _client.Http.SendAsync(request);
        Assert.Equal("b", await answer.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.NotFound, (await _client.Http.GetAsync("notes/a/x")).StatusCode);
        using var copy = await CopyAsync("notes/a", "c", first);
        Assert.Equal(HttpStatusCode.Created, copy.StatusCode);
        Assert.Equal(1, (int)(await _client.GetAsync("notes/c"))["n"]!);
    }

    [Fact]
    public async Task Of_the_head_of_an_attachment_a_range_is_nothing()
    {
        await _client.PutAsync("notes/a", """{"_attachments":{"x":{"content_type":"application/x","data":"YmNkZQ=="}}}""");
        foreach (var (first, last) in new[] { (1, 2), (100, 200) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Head, "notes/a/x") { Headers = { Range = new RangeHeaderValue(first, last) } };
            using var answer = await _client.Http.SendAsync(request);
            Assert.Equal((HttpStatusCode.OK, 4L), (answer.StatusCode, answer.Content.Headers.ContentLength));
        }
    }

    [Fact]
    public async Task A_list_of_keys_says_where_it_begins()
    {
        Assert.Equal(0, (int)(await _client.PostAsync("notes/_all_docs", """{"keys":["a","b"]}"""))["offset"]!);
        Assert.Equal(1, (int)(await _client.PostAsync("notes/_all_docs?skip=1", """{"keys":["a","b"]}"""))["offset"]!);
    }

    [Fact]
    public async Task Local_documents_are_copied_and_stay_local()
    {
        await _client.PutAsync("notes/_local/x", """{"n":1}""");
        await SyncClient.ReadAsync(await CopyAsync("notes/_local/x", "_local/y"), 201);
        Assert.Equal("0-1", (string?)(await _client.GetAsync("notes/_local/y"))["_rev"]);
        await SyncClient.ReadAsync(await CopyAsync("notes/_local/x", "_local/y"), 409);
        Assert.Equal("0-2", (string?)(await SyncClient.ReadAsync(await CopyAsync("notes/_local/x", "_local/y?rev=0-1"), 201))["rev"]);
        Assert.Equal(0, (int)(await _client.GetAsync("notes/_all_docs"))["total_rows"]!);
        await SyncClient.ReadAsync(await CopyAsync("notes/_local/x", "z"), 201);
        Assert.Equal(1, (int)(await _client.GetAsync("notes/z"))["n"]!);
        await SyncClient.ReadAsync(await CopyAsync("notes/_local/none", "z2"), 404);
    }

    [Fact]
    public async Task Local_documents_have_no_attachments()
    {
        await SyncClient.ReadAsync(await _client.Http.PutAsync("notes/_local/x/file", new StringContent("b")), 400);
        using var parts = new MultipartContent("related", "b0undary") { SyncClient.Json("""{"_attachments":{"x":{"follows":true,"length":1}}}"""), new StringContent("b") };
        await SyncClient.ReadAsync(await _client.Http.PutAsync("notes/_local/x", parts), 400);
        await _client.PutAsync("notes/a", """{"_attachments":{"x":{"data":"Yg=="}}}""");
        await SyncClient.ReadAsync(await CopyAsync("notes/a", "_local/x"), 400);
        await _client.GetAsync("notes/_local/x", 404);
        Assert.Single((await _client.GetAsync("notes/_changes"))["results"]!.AsArray());
    }

    [Fact]
    public async Task A_local_document_is_not_deleted_by_another_revision()
    {
        await _client.PutAsync("notes/_local/x", "{}");
        Assert.Equal("conflict", (string?)(await _client.DeleteAsync("notes/_local/x?rev=0-2", 409))["error"]);
        await _client.DeleteAsync("notes/_local/none?rev=0-1", 404);
        await _client.GetAsync("notes/_local/x");
    }

    private async Task<HttpResponseMessage> CopyAsync(string from, string to, string? rev = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod("COPY"), from) { Headers = { { "Destination", to } } };
        if (rev is not null)
        {
            request.Headers.Add("If-Match", $"\"{rev}\"");
        }
        return await _client.Http.SendAsync(request);
    }
}
