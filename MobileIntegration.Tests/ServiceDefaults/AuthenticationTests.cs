using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class AuthenticationTests : IAsyncLifetime
{
    private TestAuthority _authority = null!;
    private WebApplication _app = null!;
    private HttpClient _http = null!;
    private int _reached;

    public async Task InitializeAsync()
    {
        _authority = await TestAuthority.StartAsync();
        (_app, _http) = await ServeAsync(_authority);
    }

    public async Task DisposeAsync()
    {
        _http.Dispose();
        await _app.DisposeAsync();
        await _authority.DisposeAsync();
    }

    [Fact]
    public async Task A_token_with_the_scope_passes() =>
        Assert.Equal("ada", await (await GetAsync("/stock", _authority.Token("read stock"))).Content.ReadAsStringAsync());

    [Fact]
    public async Task Without_a_token_only_what_is_public_answers()
    {
        var response = await _http.GetAsync("/stock");
        await response.ProblemAsync(401);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.Single().Scheme);
        Assert.Equal(HttpStatusCode.OK, (await _http.GetAsync("/welcome")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await _http.GetAsync("/health")).StatusCode);
        await (await _http.GetAsync("/nothing")).ProblemAsync(404);
        Assert.Equal(0, _reached);
    }

    [Fact]
    public async Task Without_the_scope_it_is_forbidden_and_the_scope_is_named()
    {
        var response = await GetAsync("/stock", _authority.Token("stocks restock"));
        await response.ProblemAsync(403);
        Assert.Contains("error=\"insufficient_scope\", scope=\"stock\"", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Equal(0, _reached);
    }

    [Theory]
    [MemberData(nameof(TestAuthority.WrongTokens), MemberType = typeof(TestAuthority))]
    public async Task A_token_that_is_not_right_is_a_401_problem_and_reaches_nothing(string kind)
    {
        var response = await GetAsync("/stock", _authority.WrongToken(kind, "stock"));

        await response.ProblemAsync(401);
        Assert.Contains("invalid_token", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Equal(0, _reached);
    }

    [Fact]
    public async Task While_the_authority_is_away_valid_tokens_pass_and_others_do_not()
    {
        var (good, expired) = (_authority.Token("stock"), _authority.WrongToken("expired", "stock"));
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("/stock", good)).StatusCode);
        var unknownKey = _authority.WrongToken("another key of the same name", "stock");
        await _authority.DisposeAsync();

        await (await GetAsync("/stock", unknownKey)).ProblemAsync(401);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("/stock", good)).StatusCode);
        await (await GetAsync("/stock", expired)).ProblemAsync(401);
    }

    [Fact]
    public async Task A_service_that_started_before_the_authority_asks_for_patience_until_it_is_there()
    {
        await using var late = TestAuthority.Down();
        var (app, http) = await ServeAsync(late);
        await using var _ = app;
        using var __ = http;
        var token = late.Token("stock");

        using var early = await GetAsync("/stock", token, http);
        await early.ProblemAsync(503);
        Assert.Equal(TimeSpan.FromSeconds(5), early.Headers.RetryAfter?.Delta);

        await late.BeginAsync();
        await Eventually.TrueAsync(async () => (await GetAsync("/stock", token, http)).StatusCode is HttpStatusCode.OK, TimeSpan.FromSeconds(60));
    }

    [Theory]
    [InlineData("")]
    [InlineData("http://login.example.com")]
    [InlineData("login")]
    public void An_authority_that_is_missing_or_not_safe_says_the_mend(string authority)
    {
        var error = Assert.Single(new AuthenticationSettings { Authority = authority }.Validate(new(this)));
        Assert.Contains("Set it to the address", error.ErrorMessage, StringComparison.Ordinal);
    }

    private async Task<(WebApplication App, HttpClient Http)> ServeAsync(TestAuthority authority) => await TestServices.StartAsync(
        builder =>
        {
            builder.AddSlices(
                new Slice("stock", _ => { }, app => app.MapGet("/stock", (HttpContext context) =>
                {
                    Interlocked.Increment(ref _reached);
                    return context.User.FindFirst("sub")!.Value;
                }), Scope: "stock"),
                new Slice("welcome", _ => { }, app => app.MapGet("/welcome", () => "welcome"), Public: true));
        },
        app => app.MapSlices(),
        $"--Authentication:Authority={authority.Address}");

    private Task<HttpResponseMessage> GetAsync(string path, string token, HttpClient? http = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return (http ?? _http).SendAsync(request);
    }
}
