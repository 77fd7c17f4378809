using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Attachments that clients send in gzip: they are kept so, and unpacked for who wants them so.</summary>
public sealed class GzipTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    /// <summary>More than one piece of the table, packed too.</summary>
    private static readonly byte[] Text = Encoding.ASCII.GetBytes(new Random(1).GetString("0123456789abcdefghijklmnopqrstuvwxyz", 600_000));
    private static readonly byte[] Packed = Pack(Text);
    private static readonly string Digest = DigestOf(Packed);

    private readonly string _user = service.NewUser();
    private SyncClient _client = null!;

    public async Task InitializeAsync()
    {
        // Through the gateway, which may pack answers itself.
        _client = service.ClientOf(_user, service.Gateway.Address);
        await _client.PutAsync("notes");
    }

    public Task DisposeAsync()
    {
        _client.Dispose();
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData("gzip", true)]
    [InlineData("br, GZIP;q=0.5", true)]
    [InlineData("*", true)]
    [InlineData("gzip;q=0, *", false)]
    [InlineData("br", false)]
    [InlineData("identity", false)]
    [InlineData(null, false)]
    public async Task What_was_put_in_gzip_comes_so_to_who_accepts_it_and_unpacked_to_who_does_not(string? accepted, bool isGzip)
    {
        await PutAsync("notes/a/log");
        using var own = service.ClientOf(_user);
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Head })
        {
            using var request = new HttpRequestMessage(method, "notes/a/log") { Headers = { Range = new(5, 9) } };
            if (accepted is not null)
            {
                request.Headers.TryAddWithoutValidation("Accept-Encoding", accepted);
            }
            using var response = await own.Http.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(isGzip ? ["gzip"] : [], response.Content.Headers.ContentEncoding);
            Assert.Equal(isGzip ? Packed.Length : Text.Length, response.Content.Headers.ContentLength);
            Assert.Equal("text/plain", response.Content.Headers.ContentType?.MediaType);
            Assert.Equal($"\"{Digest[4..]}\"", response.Headers.ETag?.Tag);
            Assert.Equal(["none"], response.Headers.AcceptRanges);
            Assert.Contains("Accept-Encoding", response.Headers.Vary);
            Assert.Equal(method == HttpMethod.Head ? [] : isGzip ? Packed : Text, await response.Content.ReadAsByteArrayAsync());
        }
    }

    [Fact]
    public async Task It_goes_through_the_gateway_either_way()
    {
        await PutAsync("notes/a/log");
        using var packed = await _client.Http.SendAsync(new(HttpMethod.Get, "notes/a/log") { Headers = { AcceptEncoding = { new("gzip") } } });
        Assert.Equal(Packed, await packed.Content.ReadAsByteArrayAsync());
        Assert.Equal(Text, await _client.Http.GetByteArrayAsync("notes/a/log"));
    }

    [Theory]
    [InlineData("deflate")]
    [InlineData("br")]
    [InlineData("gzip, gzip")]
    public async Task Any_other_coding_is_refused(string coding)
    {
        using var content = new ByteArrayContent(Packed);
        content.Headers.TryAddWithoutValidation("Content-Encoding", coding);
        Assert.Equal("bad_content_type", (string?)(await SyncClient.ReadAsync(await _client.Http.PutAsync("notes/a/log", content), 415))["error"]);
        using var parts = Related($$$$$"""{"_attachments":{"log":{"follows":true,"length":{{{{{Packed.Length}}}}},"encoding":"{{{{{coding}}}}}"}}}""", Packed);
        Assert.Equal("bad_content_type", (string?)(await SyncClient.ReadAsync(await _client.Http.PutAsync("notes/a", parts), 415))["error"]);
        await _client.GetAsync("notes/a", 404);
    }

    [Theory]
    [InlineData("notes/a?")]
    [InlineData("notes/a?open_revs=all&", 0, "ok")]
    [InlineData("notes/_changes?include_docs=true&", "results", 0, "doc")]
    [InlineData("notes/_all_docs?include_docs=true&startkey=%22a%22&", "rows", 0, "doc")]
    [InlineData("notes/_design/d/_view/v?include_docs=true&", "rows", 0, "doc")]
    public async Task How_it_is_kept_is_told_to_who_asks(string path, params object[] steps)
    {
        await PutAsync("notes/a/log");
        await _client.PutAsync("notes/_design/d", """{"views":{"v":{"map":"function (doc) { emit(doc._id); }"}}}""");
        _client.Http.DefaultRequestHeaders.Accept.Add(new("application/json"));
        var stub = Stub(await _client.GetAsync($"{path}x=y"));
        Assert.Equal((Text.Length, Digest, true), ((int)stub["length"]!, (string)stub["digest"]!, (bool)stub["stub"]!));
        Assert.Null(stub["encoding"] ?? stub["encoded_length"]);
        var told = Stub(await _client.GetAsync($"{path}att_encoding_info=true"));
        Assert.Equal(("gzip", Packed.Length, Text.Length), ((string)told["encoding"]!, (int)told["encoded_length"]!, (int)told["length"]!));
        // The content in JSON is what is read, whatever is told besides.
        if (!path.Contains("open_revs", StringComparison.Ordinal))
        {
            var whole = Stub(await _client.GetAsync($"{path}attachments=true&att_encoding_info=true"));
            Assert.Equal(Text, Convert.FromBase64String((string)whole["data"]!));
            Assert.Equal(("gzip", Packed.Length), ((string)whole["encoding"]!, (int)whole["encoded_length"]!));
        }

        JsonNode Stub(JsonNode json) => steps.Aggregate(json, (node, step) => step is int n ? node[n]! : node[(string)step]!)["_attachments"]!["log"]!;
    }

    [Fact]
    public async Task A_bulk_get_tells_of_it_too()
    {
        await PutAsync("notes/a/log");
        var plain = (await _client.PostAsync("notes/_bulk_get?attachments=true", """{"docs":[{"id":"a"}]}"""))["results"]![0]!["docs"]![0]!["ok"]!["_attachments"]!["log"]!;
        Assert.Equal((true, null), (Text.AsSpan().SequenceEqual(Convert.FromBase64String((string)plain["data"]!)), (string?)plain["encoding"]));
        var told = (await _client.PostAsync("notes/_bulk_get?att_encoding_info=true", """{"docs":[{"id":"a"}]}"""))["results"]![0]!["docs"]![0]!["ok"]!["_attachments"]!["log"]!;
        Assert.Equal(("gzip", Packed.Length), ((string)told["encoding"]!, (int)told["encoded_length"]!));
    }

    /// <summary>A client that was told the encoding with the unpacked data sends both back with its next edit.</summary>
    [Fact]
    public async Task Data_in_json_is_the_content_itself_whatever_encoding_stands_beside_it()
    {
        await PutAsync("notes/a/log");
        var document = await _client.GetAsync("notes/a?attachments=true&att_encoding_info=true");
        await _client.PutAsync("notes/a", document.ToJsonString());
        var stub = (await _client.GetAsync("notes/a?att_encoding_info=true"))["_attachments"]!["log"]!;
        Assert.Equal((Text.Length, DigestOf(Text), null), ((int)stub["length"]!, (string)stub["digest"]!, (string?)stub["encoding"]));
        Assert.Equal(Text, await _client.Http.GetByteArrayAsync("notes/a/log"));
    }

    [Fact]
    public async Task A_stub_a_copy_and_another_attachment_leave_it_as_it_is()
    {
        await PutAsync("notes/a/log");
        var document = await _client.GetAsync("notes/a?att_encoding_info=true");
        document["n"] = 1;
        var rev = (string)(await _client.PutAsync("notes/a", document.ToJsonString()))["rev"]!;
        using var other = new ByteArrayContent([1]);
        await SyncClient.ReadAsync(await _client.Http.PutAsync($"notes/a/other?rev={rev}", other), 201);
        using var copy = new HttpRequestMessage(new("COPY"), "notes/a") { Headers = { { "Destination", "b" } } };
        await SyncClient.ReadAsync(await _client.Http.SendAsync(copy), 201);
        await _client.PostAsync("notes/_compact", "", 202);
        foreach (var id in new[] { "a", "b" })
        {
            Assert.Equal(Packed.Length, (int)(await _client.GetAsync($"notes/{id}?att_encoding_info=true"))["_attachments"]!["log"]!["encoded_length"]!);
            Assert.Equal(Text, await _client.Http.GetByteArrayAsync($"notes/{id}/log"));
        }
    }

    [Fact]
    public async Task The_same_bytes_are_another_edit_in_gzip_than_as_they_are()
    {
        await PutAsync("notes/a/log");
        using var plain = new ByteArrayContent(Packed) { Headers = { ContentType = new("text/plain") } };
        await SyncClient.ReadAsync(await _client.Http.PutAsync("notes/b/log", plain), 201);
        Assert.NotEqual((string?)(await _client.GetAsync("notes/a"))["_rev"], (string?)(await _client.GetAsync("notes/b"))["_rev"]);
        Assert.Equal(Packed, await _client.Http.GetByteArrayAsync("notes/b/log"));
    }

    /// <summary>As one server replicates to another: what one gives in parts is what the other takes.</summary>
    [Fact]
    public async Task In_parts_it_goes_packed_from_database_to_database()
    {
        await PutAsync("notes/a/log");
        await _client.PutAsync("copies");
        using var request = new HttpRequestMessage(HttpMethod.Get, "notes/a?attachments=true&revs=true") { Headers = { Accept = { new("multipart/related") } } };
        using var response = await _client.Http.SendAsync(request);
        var type = response.Content.Headers.ContentType!;
        var body = await response.Content.ReadAsByteArrayAsync();

        var reader = new MultipartReader(type.Parameters.Single(one => one.Name is "boundary").Value!.Trim('"'), new MemoryStream(body));
        var document = JsonNode.Parse(await (await reader.ReadNextSectionAsync())!.ReadAsStringAsync())!;
        var told = document["_attachments"]!["log"]!;
        Assert.Equal((true, "gzip", Packed.Length, Text.Length), ((bool)told["follows"]!, (string)told["encoding"]!, (int)told["encoded_length"]!, (int)told["length"]!));
        var part = (await reader.ReadNextSectionAsync())!;
        Assert.Equal(("gzip", $"{Packed.Length}"), ($"{part.Headers!["Content-Encoding"]}", $"{part.Headers["Content-Length"]}"));

        using var pushed = new ByteArrayContent(body) { Headers = { ContentType = type } };
        await SyncClient.ReadAsync(await _client.Http.PutAsync("copies/a?new_edits=false", pushed), 201);
        var kept = await _client.GetAsync("copies/a?att_encoding_info=true");
        Assert.Equal((string?)document["_rev"], (string?)kept["_rev"]);
        Assert.Equal((Digest, Packed.Length), ((string)kept["_attachments"]!["log"]!["digest"]!, (int)kept["_attachments"]!["log"]!["encoded_length"]!));
        Assert.Equal(Text, await _client.Http.GetByteArrayAsync("copies/a/log"));
    }

    [Theory]
    [InlineData("\"encoding\":\"gzip\",\"length\":7,\"encoded_length\":LENGTH", 201, null)]
    [InlineData("\"encoding\":\"gzip\",\"length\":LENGTH", 201, null)]
    [InlineData("\"encoding\":\"gzip\",\"encoded_length\":LENGTH,\"digest\":\"DIGEST\"", 201, null)]
    [InlineData("\"encoding\":\"gzip\",\"encoded_length\":12", 400, "bad_request")]
    [InlineData("\"encoding\":\"gzip\",\"encoded_length\":LENGTH,\"digest\":\"md5-kutfGhv2SnyM76iH8SRzrQ==\"", 400, "content_md5_mismatch")]
    public async Task What_follows_is_measured_and_hashed_as_it_comes(string members, int status, string? error)
    {
        members = members.Replace("LENGTH", $"{Packed.Length}", StringComparison.Ordinal).Replace("DIGEST", Digest, StringComparison.Ordinal);
        using var parts = Related($$$$$"""{"_attachments":{"log":{"follows":true,{{{{{members}}}}}}}}""", Packed);
        Assert.Equal(error, (string?)(await SyncClient.ReadAsync(await _client.Http.PutAsync("notes/a", parts), status))["error"]);
        if (error is not null)
        {
            await _client.GetAsync("notes/a", 404);
            return;
        }
        Assert.Equal(Text, await _client.Http.GetByteArrayAsync("notes/a/log"));
    }

    [Fact]
    public async Task A_bomb_and_what_is_no_gzip_are_refused_and_leave_nothing()
    {
        await using var small = service.Start(("Sync:AttachmentBytes", "1000000"));
        using var client = service.ClientOf(_user, small.Address);
        foreach (var (bytes, status, error) in new[] { (Pack(new byte[1_000_001]), 413, "too_large"), (Pack(new byte[300_000_000]), 413, "too_large"), (Text[..1000], 400, "bad_request") })
        {
            using var content = InGzip(bytes);
            Assert.Equal(error, (string?)(await SyncClient.ReadAsync(await client.Http.PutAsync("notes/bomb/log", content), status))["error"]);
            using var parts = Related($$$$$"""{"_attachments":{"log":{"follows":true,"encoding":"gzip","encoded_length":{{{{{bytes.Length}}}}}}}}""", bytes);
            Assert.Equal(error, (string?)(await SyncClient.ReadAsync(await client.Http.PutAsync("notes/bomb", parts), status))["error"]);
        }
        await client.GetAsync("notes/bomb", 404);
        Assert.Equal(0, await service.CountAsync("select count(*) from sync.blob b join sync.database d on d.id = b.db_id where d.owner = $1", _user));
        using var most = InGzip(Pack(new byte[1_000_000]));
        await SyncClient.ReadAsync(await client.Http.PutAsync("notes/most/log", most), 201);
    }

    [Fact]
    public async Task PouchDB_pulls_the_content_and_pushes_what_it_edits()
    {
        var some = Text[..50_000];
        await _client.PutAsync("gzip");
        var told = await SyncService.RunAsync("pouchdb.mjs", "gzip", service.Gateway.Address.ToString(), SyncService.Token(_user), Convert.ToBase64String(Pack(some)), Convert.ToBase64String(SHA256.HashData(some)));
        Assert.Equal(1, told.GetProperty("documents").GetInt32());
    }

    private async Task PutAsync(string path)
    {
        using var content = InGzip(Packed);
        await SyncClient.ReadAsync(await _client.Http.PutAsync(path, content), 201);
    }

    private static ByteArrayContent InGzip(byte[] bytes) => new(bytes) { Headers = { ContentType = new("text/plain"), ContentEncoding = { "gzip" } } };

    private static MultipartContent Related(string json, byte[] bytes) => new("related", "b0undary") { SyncClient.Json(json), new ByteArrayContent(bytes) };

    private static string DigestOf(byte[] bytes)
    {
        using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        md5.AppendData(bytes);
        return $"md5-{Convert.ToBase64String(md5.GetHashAndReset())}";
    }

    private static byte[] Pack(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal))
        {
            gzip.Write(bytes);
        }
        return packed.ToArray();
    }
}
