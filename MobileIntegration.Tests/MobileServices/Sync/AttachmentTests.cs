using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Which attachments go with a revision, and what may be said of them.</summary>
public sealed class AttachmentTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private readonly string _user = service.NewUser();
    private SyncClient _client = null!;

    public async Task InitializeAsync()
    {
        _client = service.ClientOf(_user);
        await _client.PutAsync("notes");
    }

    public Task DisposeAsync()
    {
        _client.Dispose();
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData("2-c", true)]
    [InlineData("1-a", true)]
    [InlineData("9-none", true)]
    [InlineData("2-b", false)]
    public async Task What_came_after_the_ancestor_that_the_client_has_is_sent_whatever_it_has_of_other_branches(string since, bool isSent)
    {
        await _client.PostAsync("notes/_bulk_docs", """
            {"new_edits":false,"docs":[
              {"_id":"t","_rev":"2-b","_revisions":{"start":2,"ids":["b","a"]},"_attachments":{"x":{"data":"Yg==","revpos":2}}},
              {"_id":"t","_rev":"2-c","_revisions":{"start":2,"ids":["c","a"]}}]}
            """, 201);
        var attachment = (await _client.GetAsync($"notes/t?rev=2-b&atts_since=[\"{since}\"]"))["_attachments"]!["x"]!;
        Assert.Equal((isSent, !isSent), (attachment["data"] is not null, attachment["stub"] is not null));
        var multipart = await PartsAsync(HttpMethod.Get, $"notes/t?open_revs=[\"2-b\"]&atts_since=[\"{since}\"]", null);
        Assert.Equal(isSent, multipart.Single().Text.Contains("\r\n\r\nb\r\n", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("text/plain\\r\\nA: b")]
    [InlineData("text/plain\\n")]
    [InlineData("text/pl\\u0000ain")]
    [InlineData("text/plün")]
    public async Task A_content_type_that_no_header_can_hold_is_refused(string type)
    {
        var json = $$$$"""{"_attachments":{"x":{"content_type":"{{{{type}}}}","data":"Yg=="}}}""";
        Assert.Equal("bad_request", (string?)(await _client.PutAsync("notes/bad", json, 400))["error"]);
        var row = (await _client.PostAsync("notes/_bulk_docs", $$$"""{"new_edits":false,"docs":[{"_id":"bad","_rev":"1-a",{{{json[1..]}}}]}""", 201))[0]!;
        Assert.Equal("bad_request", (string?)row["error"]);
        using var parts = new MultipartContent("related", "b0undary")
        {
            SyncClient.Json($$$$"""{"_attachments":{"x":{"content_type":"{{{{type}}}}","follows":true,"length":1}}}"""), new StringContent("b"),
        };
        Assert.Contains("content type", (string?)(await SyncClient.ReadAsync(await _client.Http.PutAsync("notes/bad", parts), 400))["reason"], StringComparison.Ordinal);
        await _client.GetAsync("notes/bad", 404);
    }

    [Fact]
    public async Task A_content_type_in_a_header_is_of_ascii_too()
    {
        using var handler = new SocketsHttpHandler { RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8 };
        using var http = new HttpClient(handler) { BaseAddress = _client.Http.BaseAddress };
        http.Authorize(SyncService.Token(_user));
        using var content = new ByteArrayContent([1]);
        content.Headers.TryAddWithoutValidation("Content-Type", "text/plün");
        Assert.Equal("bad_request", (string?)(await SyncClient.ReadAsync(await http.PutAsync("notes/bad/x", content), 400))["error"]);
        await _client.GetAsync("notes/bad", 404);
    }

    [Fact]
    public async Task The_head_of_an_attachment_tells_what_it_is_without_its_content()
    {
        await _client.PutAsync("notes/h", """{"_attachments":{"x":{"content_type":"text/plain","data":"aGVsbG8="}}}""");
        using var head = await _client.Http.SendAsync(new(HttpMethod.Head, "notes/h/x"));
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        Assert.Equal(5, head.Content.Headers.ContentLength);
        Assert.Equal("text/plain", head.Content.Headers.ContentType?.MediaType);
        Assert.Empty(await head.Content.ReadAsByteArrayAsync());
        using var whole = await _client.Http.GetAsync("notes/h/x");
        Assert.Equal(whole.Headers.ETag, head.Headers.ETag);
        using var none = await _client.Http.SendAsync(new(HttpMethod.Head, "notes/h/y"));
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
    }

    [Fact]
    public async Task Many_documents_come_in_parts_with_their_attachments_and_with_what_is_missing()
    {
        await _client.PutAsync("notes/plain", """{"n":1}""");
        await _client.PutAsync("notes/with", """{"n":2,"_attachments":{"x":{"content_type":"text/plain","data":"aGVsbG8="}}}""");
        var parts = await PartsAsync(HttpMethod.Post, "notes/_bulk_get?attachments=true", """{"docs":[{"id":"plain"},{"id":"none"},{"id":"with"}]}""");
        Assert.Equal(["application/json", "application/json; error=\"true\"", "multipart/related"], parts.Select(part => part.Type.StartsWith("multipart/", StringComparison.Ordinal) ? part.Type.Split(';')[0] : part.Type));
        Assert.Equal(1, (int)JsonNode.Parse(parts[0].Text)!["n"]!);
        Assert.Equal(("none", "not_found"), ((string)JsonNode.Parse(parts[1].Text)!["id"]!, (string)JsonNode.Parse(parts[1].Text)!["error"]!));

        var inner = await ReadAsync(parts[2].Type, new MemoryStream(Encoding.UTF8.GetBytes(parts[2].Text)));
        Assert.Equal(["application/json", "text/plain"], inner.Select(part => part.Type));
        Assert.True((bool)JsonNode.Parse(inner[0].Text)!["_attachments"]!["x"]!["follows"]!);
        Assert.Equal("hello", inner[1].Text);
    }

    private async Task<List<(string Type, string Text)>> PartsAsync(HttpMethod method, string path, string? json)
    {
        using var request = new HttpRequestMessage(method, path) { Content = json is null ? null : SyncClient.Json(json), Headers = { Accept = { new("multipart/mixed") } } };
        using var response = await _client.Http.SendAsync(request);
        Assert.Equal("multipart/mixed", response.Content.Headers.ContentType?.MediaType);
        return await ReadAsync(response.Content.Headers.ContentType!.ToString(), await response.Content.ReadAsStreamAsync());
    }

    private static async Task<List<(string Type, string Text)>> ReadAsync(string type, Stream body)
    {
        var reader = new MultipartReader(type[(type.IndexOf('=', StringComparison.Ordinal) + 1)..].Trim('"'), body);
        var parts = new List<(string, string)>();
        while (await reader.ReadNextSectionAsync() is { } part)
        {
            parts.Add((part.ContentType!, await part.ReadAsStringAsync()));
        }
        return parts;
    }
}
