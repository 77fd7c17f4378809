using System.Diagnostics;
using System.IO.Compression;
using System.Text;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>What is larger than the whole heap of the processes, of the service and of the gateway before it, goes through them in pieces.</summary>
public sealed class SyncMemoryTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private const string HeapBytes = "5000000";
    private const int Megabytes = 100;
    private const long Length = (long)Megabytes << 20;

    private readonly string _user = service.NewUser();
    private readonly List<Process> _processes = [];
    private SyncClient _client = null!;

    public async Task InitializeAsync()
    {
        var (port, gateway) = (TestServices.FreePort(), TestServices.FreePort());
        await StartAsync("MobileServices", $"http://127.0.0.1:{port}/sync/_up", ("Run", "sync"), ("ConnectionStrings__mobiledb", service.Database), ("ASPNETCORE_URLS", $"http://127.0.0.1:{port}"));
        await StartAsync("Gateway", $"http://127.0.0.1:{gateway}/sync/_up", ("Management__Port", $"{TestServices.FreePort()}"), ("ConnectionStrings__mobiledb", await TestPostgres.CreateDatabaseAsync()),
            ("services__sync__http__0", $"http://127.0.0.1:{port}"), ("services__devices__http__0", "http://127.0.0.1:9"), ("ASPNETCORE_URLS", $"http://127.0.0.1:{gateway}"));
        _client = service.ClientOf(_user, new($"http://127.0.0.1:{gateway}"));
        await _client.PutAsync("large");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        foreach (var process in _processes)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }
    }

    [Fact]
    public async Task An_attachment_by_itself()
    {
        using var content = Film();
        await SyncClient.ReadAsync(await _client.Http.PutAsync("large/film/film.mp4", content), 201);
        Assert.Equal(Length, await ReadAsync(new(HttpMethod.Get, "large/film/film.mp4")));
        AssertAlive();
    }

    [Fact]
    public async Task Four_attachments_at_once()
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async n =>
        {
            using var content = Film((char)('a' + n));
            await SyncClient.ReadAsync(await _client.Http.PutAsync($"large/film{n}/film.mp4", content), 201);
        }));
        var lengths = await Task.WhenAll(Enumerable.Range(0, 4).Select(n => ReadAsync(new(HttpMethod.Get, $"large/film{n}/film.mp4"))));
        Assert.All(lengths, length => Assert.Equal(Length, length));
        AssertAlive();
    }

    [Fact]
    public async Task An_attachment_in_parts()
    {
        using var parts = new MultipartContent("related", "b0undary")
        {
            SyncClient.Json($$$$$"""{"n":1,"_attachments":{"film.mp4":{"follows":true,"length":{{{{{Length}}}}},"content_type":"video/mp4"}}}"""), Film(),
        };
        await SyncClient.ReadAsync(await _client.Http.PutAsync("large/film", parts), 201);
        Assert.Equal(Length, (long)(await _client.GetAsync("large/film"))["_attachments"]!["film.mp4"]!["length"]!);
        Assert.InRange(await ReadAsync(new(HttpMethod.Get, "large/film?attachments=true") { Headers = { Accept = { new("multipart/related") } } }), Length, Length + 10_000);
        Assert.InRange(await ReadAsync(new(HttpMethod.Get, "large/film?attachments=true") { Headers = { Accept = { new("application/json") } } }), Length * 4 / 3, (Length * 4 / 3) + 10_000);
        AssertAlive();
    }

    [Fact]
    public async Task An_attachment_that_is_unpacked()
    {
        using var packed = new MemoryStream();
        await using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            await new Repeated(new byte[1 << 20], Megabytes).CopyToAsync(gzip);
        }
        using var content = new ByteArrayContent(packed.ToArray()) { Headers = { ContentEncoding = { "gzip" } } };
        await SyncClient.ReadAsync(await _client.Http.PutAsync("large/zeros/z", content), 201);
        Assert.Equal(Length, await ReadAsync(new(HttpMethod.Get, "large/zeros/z")));
        Assert.InRange(await ReadAsync(new(HttpMethod.Get, "large/zeros?attachments=true") { Headers = { Accept = { new("application/json") } } }), Length * 4 / 3, (Length * 4 / 3) + 10_000);
        AssertAlive();
    }

    [Fact]
    public async Task An_answer_of_many_large_documents_leaves_or_local_documents()
    {
        const int Count = 110;
        var body = $"\"a\":\"{new string('x', 1_000_000)}\"";
        using var writer = service.ClientOf(_user);
        foreach (var some in Enumerable.Range(100, Count).Chunk(10))
        {
            var docs = some.SelectMany(n => new[] { $$"""{"_id":"leaves","_rev":"1-{{n}}",{{body}}}""", $$"""{"_id":"d{{n}}","_rev":"1-a",{{body}}}""", $$"""{"_id":"_local/l{{n}}",{{body}}}""" });
            Assert.Empty((await writer.PostAsync("large/_bulk_docs", $$"""{"new_edits":false,"docs":[{{string.Join(',', docs)}}]}""", 201)).AsArray());
        }
        var ids = string.Join(',', Enumerable.Range(100, Count).Select(n => $"\"d{n}\""));
        var entries = string.Join(',', Enumerable.Range(100, Count).Select(n => $$"""{"id":"d{{n}}"}"""));
        (string Path, string? Json, string Accept)[] asked =
        [
            ("leaves?open_revs=all", null, "application/json"),
            ("leaves?open_revs=all", null, "multipart/mixed"),
            ("_bulk_get", """{"docs":[{"id":"leaves"}]}""", "application/json"),
            ("_bulk_get", $$"""{"docs":[{{entries}}]}""", "multipart/mixed"),
            ("_local_docs?include_docs=true", null, "application/json"),
            ("_all_docs?include_docs=true", null, "application/json"),
            ("_all_docs?include_docs=true", $$"""{"keys":[{{ids}}]}""", "application/json"),
            ("_find", """{"selector":{},"limit":1000}""", "application/json"),
            ("_changes?include_docs=true", null, "application/json"),
        ];
        foreach (var (path, json, accept) in asked)
        {
            var request = new HttpRequestMessage(json is null ? HttpMethod.Get : HttpMethod.Post, $"large/{path}") { Content = json is null ? null : SyncClient.Json(json), Headers = { Accept = { new(accept) } } };
            Assert.InRange(await ReadAsync(request), Count * 1_000_000, (Count + 1) * 1_010_000);
            AssertAlive();
        }
        Assert.Contains("Sync:SortBytes", (string?)(await _client.PostAsync("large/_find", """{"selector":{},"sort":["_id"]}""", 400))["reason"], StringComparison.Ordinal);
        AssertAlive();
    }

    private async Task<long> ReadAsync(HttpRequestMessage request)
    {
        using var response = await _client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.True(response.IsSuccessStatusCode, $"{request.RequestUri}: {response.StatusCode}");
        await using var stream = await response.Content.ReadAsStreamAsync();
        var (buffer, total) = (new byte[1 << 20], 0L);
        while (await stream.ReadAsync(buffer) is > 0 and var read)
        {
            total += read;
        }
        request.Dispose();
        return total;
    }

    private void AssertAlive() => Assert.All(_processes, process => Assert.False(process.HasExited));

    private static StreamContent Film(char of = 'x') => new(new Repeated(Encoding.ASCII.GetBytes(new string(of, 1 << 20)), Megabytes)) { Headers = { ContentType = new("video/mp4"), ContentLength = Length } };

    private async Task StartAsync(string assembly, string address, params (string Key, string Value)[] environment)
    {
        var process = TestServices.StartProcess(assembly, [.. environment, ("DOTNET_GCHeapHardLimit", HeapBytes), ("Logging__LogLevel__Default", "None")]);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _processes.Add(process);
        using var http = new HttpClient();
        http.Authorize(SyncService.Token(_user));
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var up = await http.GetAsync(address);
                return up.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }, TimeSpan.FromSeconds(60));
    }
}

/// <summary>The same bytes again and again.</summary>
internal sealed class Repeated(byte[] piece, int times) : Stream
{
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => (long)piece.Length * times;

    public override long Position { get => _position; set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count)
    {
        var start = (int)(_position % piece.Length);
        var read = (int)Math.Min(Math.Min(count, piece.Length - start), Length - _position);
        piece.AsSpan(start, read).CopyTo(buffer.AsSpan(offset));
        _position += read;
        return read;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
