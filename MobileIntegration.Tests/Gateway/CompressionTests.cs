using System.IO.Compression;
using System.Net;
using Gateway;
using Microsoft.AspNetCore.Http;
using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.Gateway;

public sealed class CompressionTests : IAsyncLifetime
{
    private static readonly string Text = string.Concat(Enumerable.Repeat("again and again ", 500));

    private Upstream _service = null!;
    private TestService<DiscoveredDestinations> _gateway = null!;

    public async Task InitializeAsync()
    {
        _service = await Upstream.StartAsync(context =>
        {
            var path = context.Request.Path.Value!;
            context.Response.ContentType =
                path.EndsWith("/events", StringComparison.Ordinal) ? "text/event-stream" : "application/json";
            context.Response.Headers.ContentEncoding = path.EndsWith("/coded", StringComparison.Ordinal) ? "x-own" : default;
            context.Response.Headers.CacheControl = path.EndsWith("/kept", StringComparison.Ordinal) ? "public, max-age=600" : default;
            context.Response.Headers.ETag = "\"1\"";
            return context.Response.WriteAsync(Text);
        });
        _gateway = new(
            ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()), ("Authentication:InternalAddress", TestAuthority.Shared.Address),
            TestServices.At("home", _service.Address), TestServices.At("identity", _service.Address));
    }

    public async Task DisposeAsync()
    {
        await _gateway.DisposeAsync();
        await _service.DisposeAsync();
    }

    [Theory]
    [InlineData("/api/home/x", "br", 3)]
    [InlineData("/api/home/x", "gzip", 3)]
    [InlineData("/api/home/kept", "br", 1)]
    [InlineData("/api/home/kept", "gzip", 1)]
    public async Task Answers_are_compressed_as_the_caller_likes_whether_they_were_kept_or_not(string path, string coding, int calls)
    {
        for (var i = 0; i < 2; i++)
        {
            using var answer = await GetAsync(path, coding);
            Assert.Equal([coding], answer.Content.Headers.ContentEncoding);
            Assert.Contains("Accept-Encoding", answer.Headers.Vary);
            Assert.Equal("\"1\"", answer.Headers.ETag?.Tag);
            var bytes = await answer.Content.ReadAsByteArrayAsync();
            Assert.InRange(bytes.Length, 1, Text.Length / 10);
            await using Stream decoded = coding is "br"
                ? new BrotliStream(new MemoryStream(bytes), CompressionMode.Decompress)
                : new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress);
            Assert.Equal(Text, await new StreamReader(decoded).ReadToEndAsync());
        }
        using var plain = await GetAsync(path, "identity");
        Assert.Equal(Text, await plain.Content.ReadAsStringAsync());
        Assert.Equal(calls, _service.Journal.Count(call => call.Path is not AppRuleSet.Path));
    }

    [Theory]
    [InlineData("/api/home/events")]
    [InlineData("/api/home/coded")]
    [InlineData("/identity/.well-known/openid-configuration")]
    public async Task What_is_coded_already_streams_of_events_and_what_holds_tokens_are_not_compressed(string path)
    {
        using var answer = await GetAsync(path, "br, gzip");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.DoesNotContain("br", answer.Content.Headers.ContentEncoding);
        Assert.Equal(Text, await answer.Content.ReadAsStringAsync());
    }

    private async Task<HttpResponseMessage> GetAsync(string path, string codings)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.AcceptEncoding.ParseAdd(codings);
        return await _gateway.Http.SendAsync(request);
    }
}
