using System.Net;
using System.Text;
using Gateway;
using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.Gateway;

/// <summary>What must not get through: each is refused with a 4xx, and the service never hears of it.</summary>
public sealed class HostileInputTests : IAsyncLifetime
{
    private Upstream _service = null!;
    private TestService<DiscoveredDestinations> _gateway = null!;

    private static readonly string Token = $"Authorization: Bearer {TestAuthority.AllScopes}\r\n";

    public async Task InitializeAsync()
    {
        _service = await Upstream.StartAsync();
        _gateway = new(
            ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()), ("Limits:BodyBytes", "2048"),
            TestServices.At("home", _service.Address), TestServices.At("devices", _service.Address));
    }

    public async Task DisposeAsync()
    {
        await _gateway.DisposeAsync();
        await _service.DisposeAsync();
    }

    /// <summary>What the client sends as bytes, so that a second request in the body would be seen in the journal.</summary>
    [Theory]
    [InlineData("Content-Length and chunked", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/home/smuggled HTTP/1.1\r\nHost: gateway\r\n\r\n", true)]
    [InlineData("chunked and Content-Length", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGET /api/home/smuggled HTTP/1.1\r\n\r\n", true)]
    [InlineData("two lengths", "Content-Length: 0\r\nContent-Length: 44\r\n\r\nGET /api/home/smuggled HTTP/1.1\r\nHost: gateway\r\n\r\n", false)]
    [InlineData("a list of lengths", "Content-Length: 0, 44\r\n\r\nGET /api/home/smuggled HTTP/1.1\r\n\r\n", false)]
    [InlineData("a negative length", "Content-Length: -5\r\n\r\nhello", false)]
    [InlineData("another coding", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", true)]
    [InlineData("a coding twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true)]
    [InlineData("a coding that is none", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", false)]
    [InlineData("chunked that is not last", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", false)]
    [InlineData("a folded header", "X-Name: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false)]
    [InlineData("a space before the colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", false)]
    [InlineData("a bare LF", "X-Name: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false)]
    [InlineData("a bare CR", "X-Name: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false)]
    [InlineData("a NUL in a header", "X-Name: a\0b\r\n\r\n", false)]
    [InlineData("a header without a name", ": a\r\n\r\n", false)]
    [InlineData("a chunk size that is none", "Transfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n", true)]
    [InlineData("a chunk size that overflows", "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n", true)]
    [InlineData("a chunk that is longer than its size", "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", true)]
    [InlineData("a LF in a chunk extension", "Transfer-Encoding: chunked\r\n\r\n2;a\nxx\r\n0\r\n\r\n", true)]
    [InlineData("a second Host", "Host: other\r\n\r\n", false)]
    public async Task A_message_that_can_be_read_in_two_ways_is_refused_and_its_connection_closed(string kind, string rest, bool problem)
    {
        var answer = await RawHttp.SendAsync(_gateway.Address, $"POST /api/home/orders HTTP/1.1\r\nHost: gateway\r\n{Token}{rest}");
        Assert.True(RawHttp.StatusesOf(answer) is [400], $"{kind}: {answer}");
        Assert.Equal(problem, answer.Contains("application/problem+json", StringComparison.Ordinal));
        AssertNothingReached();
    }

    [Theory]
    [InlineData("GET http://other/api/home HTTP/1.1\r\nHost: gateway\r\n")]
    [InlineData("GET /api/home HTTP/1.1\r\n")]
    [InlineData("GET /api/home HTTP/1.1\r\nHost: a/b\r\n")]
    [InlineData("GET /api/home HTTP/9.9\r\nHost: gateway\r\n")]
    [InlineData("GET  /api/home HTTP/1.1\r\nHost: gateway\r\n")]
    [InlineData("G\0T /api/home HTTP/1.1\r\nHost: gateway\r\n")]
    [InlineData("GET /api/home\r\nHost: gateway\r\n")]
    [InlineData("\u0016\u0003\u0001\u0002\r\n")]
    public async Task A_malformed_request_is_refused(string head)
    {
        var answer = await RawHttp.SendAsync(_gateway.Address, $"{head}{Token}Connection: close\r\n\r\n");
        Assert.True(RawHttp.StatusesOf(answer) is [>= 400 and < 500 or 505], answer);
        AssertNothingReached();
    }

    [Theory]
    [InlineData("/api/home/../home")]
    [InlineData("/api/home/./x")]
    [InlineData("/api/home/..")]
    [InlineData("/api/home/%2e%2e/admin")]
    [InlineData("/api/home/.%2E/admin")]
    [InlineData("/api/home/%252e%252e/admin")]
    [InlineData("/api/home/..%2fadmin")]
    [InlineData("/api/home/a%2Fb")]
    [InlineData("/api/home/a%252Fb")]
    [InlineData("/api/home/a%5cb")]
    [InlineData("/api/home/a\\b")]
    [InlineData("/api/home//x")]
    [InlineData("//api/home")]
    [InlineData("/api/home/a;b=c")]
    [InlineData("/api/home/..;/admin")]
    [InlineData("/api/home/a%00")]
    [InlineData("/api/home/a%0d%0aX-Name:%20b")]
    [InlineData("/api/home/a%7f")]
    [InlineData("/api/home/\0")]
    [InlineData("http://gateway/api/home/../admin")]
    public async Task A_path_that_can_be_read_in_two_ways_is_refused(string path)
    {
        var answer = await RawHttp.SendAsync(_gateway.Address, $"GET {path} HTTP/1.1\r\nHost: gateway\r\n{Token}Connection: close\r\n\r\n");
        Assert.True(RawHttp.StatusesOf(answer) is [400], answer);
        AssertNothingReached();
    }

    [Theory]
    [InlineData("/api/home/a.b/..c/...?next=/../x;y//z%2f")]
    [InlineData("/api/home/a%20b%3Bc%25")]
    [InlineData("/api/home/M%C3%BCller")]
    [InlineData("/api/home/")]
    public async Task A_path_that_is_merely_unusual_passes_as_it_is(string path)
    {
        var answer = await RawHttp.SendAsync(_gateway.Address, $"GET {path} HTTP/1.1\r\nHost: gateway\r\n{Token}Connection: close\r\n\r\n");
        Assert.Equal([200], RawHttp.StatusesOf(answer));
        Assert.Single(Reached());
    }

    [Theory]
    [InlineData("url", 9_000, 414, true)]
    [InlineData("url", 40_000, 414, false)]
    [InlineData("header", 20_000, 431, true)]
    [InlineData("header", 100_000, 431, false)]
    [InlineData("headers", 40_000, 431, true)]
    [InlineData("headers", 100_000, 431, false)]
    [InlineData("count", 150, 431, true)]
    [InlineData("count", 500, 431, false)]
    public async Task What_is_too_large_is_refused_and_beyond_twice_the_limit_without_a_problem(string what, int size, int status, bool problem)
    {
        var (query, headers) = what switch
        {
            "url" => ($"?q={new string('a', size)}", ""),
            "header" => ("", $"X-Large: {new string('a', size)}\r\n"),
            "headers" => ("", string.Concat(Enumerable.Range(0, 10).Select(n => $"X-Large-{n}: {new string('a', size / 10)}\r\n"))),
            _ => ("", string.Concat(Enumerable.Range(0, size).Select(n => $"X-{n}: a\r\n"))),
        };
        var answer = await RawHttp.SendAsync(_gateway.Address, $"GET /api/home{query} HTTP/1.1\r\nHost: gateway\r\n{Token}{headers}Connection: close\r\n\r\n");
        Assert.Equal([status], RawHttp.StatusesOf(answer));
        Assert.Equal(problem, answer.Contains("application/problem+json", StringComparison.Ordinal));
        AssertNothingReached();
    }

    [Theory]
    [InlineData("/api/home/orders", 2049, false)]
    [InlineData("/api/home/orders", 2049, true)]
    [InlineData("/api/home/orders", 100_000, false)]
    [InlineData("/api/home/orders", 100_000, true)]
    public async Task A_body_over_the_limit_is_a_413_whether_it_says_its_length_or_not(string path, int size, bool chunked)
    {
        using var response = await PostAsync(path, size, chunked);
        await response.ProblemAsync(413);
        AssertNothingReached();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_sends_its_large_body_at_once_hears_why_it_is_refused(bool chunked)
    {
        for (var i = 0; i < 10; i++)
        {
            using var response = await PostAsync("/api/home/orders", 8_000_000, chunked, atOnce: true);
            await response.ProblemAsync(413);
        }
        AssertNothingReached();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_of_just_the_limit_passes_with_its_length(bool chunked)
    {
        using var response = await PostAsync("/api/home/orders", 2048, chunked);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var received = Assert.Single(Reached());
        Assert.Equal((2048, "2048"), (received.Body.Length, received.Headers["Content-Length"]));
        Assert.False(received.Headers.ContainsKey("Transfer-Encoding"));
    }

    [Fact]
    public async Task A_route_may_take_less_than_the_others()
    {
        await using var gateway = new TestService<DiscoveredDestinations>(
            ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()), ("Authentication:InternalAddress", TestAuthority.Shared.Address),
            TestServices.At("home", _service.Address), TestServices.At("identity", _service.Address));
        foreach (var chunked in (bool[])[true, false])
        {
            using var login = await PostAsync("/identity/connect/token", 65537, chunked, gateway);
            await login.ProblemAsync(413);
        }
        AssertNothingReached();
        using var order = await PostAsync("/api/home/orders", 65537, true, gateway);
        Assert.Equal(HttpStatusCode.OK, order.StatusCode);
    }

    [Theory]
    [MemberData(nameof(TestAuthority.WrongTokens), MemberType = typeof(TestAuthority))]
    public async Task A_wrong_token_is_a_401_for_every_method(string kind)
    {
        var token = TestAuthority.Shared.WrongToken(kind, "home");
        foreach (var method in (string[])["GET", "POST", "DELETE"])
        {
            using var request = new HttpRequestMessage(new(method), "/api/home/orders");
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
            using var response = await _gateway.Http.SendAsync(request);
            await response.ProblemAsync(401);
        }
        AssertNothingReached();
    }

    private async Task<HttpResponseMessage> PostAsync(string path, int size, bool chunked, TestService<DiscoveredDestinations>? gateway = null, bool atOnce = false)
    {
        var body = new ByteArrayContent(Encoding.ASCII.GetBytes(new string('a', size)));
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = body };
        request.Headers.TransferEncodingChunked = chunked;
        // With this, the refusal comes before the body and the client hears it.
        request.Headers.ExpectContinue = !atOnce;
        return await (gateway ?? _gateway).Http.SendAsync(request);
    }

    private void AssertNothingReached() => Assert.Empty(Reached());

    private Upstream.Received[] Reached() => [.. _service.Journal.Where(call => call.Path is not AppRuleSet.Path)];
}
