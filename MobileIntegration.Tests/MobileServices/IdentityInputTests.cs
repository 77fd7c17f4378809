using System.Net;
using System.Text;
using System.Text.Json;
using static MobileIntegration.Tests.MobileServices.IdentityService;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>What an attacker or a broken client sends: a clean refusal, and no redirect to anywhere that was not registered.</summary>
public sealed class IdentityInputTests(IdentityService identity) : IClassFixture<IdentityService>
{
    [Theory]
    [InlineData("redirect_uri", "https://evil.example.com/callback")]
    [InlineData("redirect_uri", "http://127.0.0.1:51234/other")]
    [InlineData("redirect_uri", "http://127.0.0.1.evil.example.com/callback")]
    [InlineData("redirect_uri", "http://evil@127.0.0.1:51234/callback")]
    [InlineData("redirect_uri", "https://app.example.com:8443/callback")]
    [InlineData("redirect_uri", "https://app.example.com/callback/../other")]
    [InlineData("redirect_uri", "javascript:alert(1)")]
    [InlineData("redirect_uri", "/callback")]
    [InlineData("client_id", "nobody")]
    [InlineData("client_id", "' or 1=1 --")]
    [InlineData("client_id", null)]
    [InlineData("redirect_uri", null)]
    public async Task A_client_or_redirect_that_is_not_registered_is_told_to_the_user_and_nobody_else(string field, string? value)
    {
        using var browser = new Browser(identity.Http.BaseAddress!);
        var (page, redirect) = await browser.GetAsync(With(AuthorizeAddress().Address, field, value));
        Assert.Null(redirect);
        Assert.Equal(HttpStatusCode.BadRequest, page!.Status);
        Assert.Equal("This request cannot be answered", page.Heading);
    }

    [Theory]
    [InlineData("code_challenge", null, "invalid_request")]
    [InlineData("code_challenge_method", "plain", "invalid_request")]
    [InlineData("code_challenge_method", null, "invalid_request")]
    [InlineData("response_type", "token", "unsupported_response_type")]
    [InlineData("response_type", "code id_token", "unsupported_response_type")]
    [InlineData("scope", "openid everything", "invalid_scope")]
    [InlineData("scope", "openid users", "invalid_request")]
    public async Task What_a_registered_app_does_wrong_it_is_told_as_an_OAuth_error(string field, string? value, string error)
    {
        using var browser = new Browser(identity.Http.BaseAddress!);
        var (page, redirect) = await browser.GetAsync(With(AuthorizeAddress().Address, field, value));
        if (redirect is null)
        {
            Assert.Equal(HttpStatusCode.BadRequest, page!.Status);
            Assert.Contains($"({error})", page.Html, StringComparison.Ordinal);
            return;
        }
        Assert.StartsWith(Redirect, redirect.OriginalString, StringComparison.Ordinal);
        Assert.Equal(error, redirect.Parameter("error"));
    }

    [Fact]
    public async Task A_form_that_is_not_ours_neither_logs_in_nor_consents()
    {
        using var browser = new Browser(identity.Http.BaseAddress!);
        var (login, _) = await browser.GetAsync(AuthorizeAddress().Address);
        var (page, redirect) = await browser.SubmitAsync(login!, ("__RequestVerificationToken", "forged"), ("username", User), ("password", Password));
        Assert.Null(redirect);
        Assert.Equal((HttpStatusCode.BadRequest, true), (page!.Status, page.Heading.StartsWith("Log in", StringComparison.Ordinal)));

        await browser.LogInAsync(login!, User, Password);
        var (consent, _) = await browser.GetAsync(AuthorizeAddress().Address);
        (page, redirect) = await browser.SubmitAsync(consent!, ("__RequestVerificationToken", login!.Hidden["__RequestVerificationToken"]), ("decision", "allow"));
        Assert.Null(redirect);
        Assert.Equal(HttpStatusCode.BadRequest, page!.Status);

        // Another browser's form and cookie do not go together with this one's.
        using var other = new Browser(identity.Http.BaseAddress!);
        await other.GetAsync(AuthorizeAddress().Address);
        (page, redirect) = await other.SubmitAsync(consent!, ("decision", "allow"));
        Assert.Null(redirect);
        Assert.Equal(HttpStatusCode.BadRequest, page!.Status);

        // A consent without a login is none.
        var (bare, _) = await other.GetAsync(AuthorizeAddress().Address);
        (page, redirect) = await other.SubmitAsync(bare!, ("step", "consent"), ("decision", "allow"));
        Assert.Null(redirect);
        Assert.StartsWith("Log in", page!.Heading, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_client_writes_is_shown_as_text()
    {
        using var browser = new Browser(identity.Http.BaseAddress!);
        var (page, _) = await browser.GetAsync(With(AuthorizeAddress().Address, "state", "\"><script>alert(1)</script>"));
        Assert.DoesNotContain("<script", page!.Html, StringComparison.Ordinal);
        var (code, _) = await browser.GetAsync("/identity/device?user_code=%22%3E%3Cscript%3E");
        Assert.DoesNotContain("<script", code!.Html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("connect/token")]
    [InlineData("connect/authorize")]
    [InlineData("connect/revoke")]
    [InlineData("connect/introspect")]
    [InlineData("connect/device")]
    [InlineData("connect/userinfo")]
    [InlineData("device")]
    [InlineData("logout")]
    [InlineData(".well-known/openid-configuration")]
    public async Task Nonsense_is_refused_at_every_endpoint(string path)
    {
        var http = identity.Http;
        Assert.Equal(413, await StatusAsync(Form($"client_id=app&token={new string('x', 70_000)}")));
        Assert.Equal(400, await StatusAsync(Form(string.Join('&', Enumerable.Range(0, 1100).Select(number => $"a{number}=1")))));
        Assert.Equal(400, await StatusAsync(Form("client_id=a%00b&token=%00")));
        Assert.InRange(await StatusAsync(Form("client_id=app&client_id=app&grant_type=refresh_token&grant_type=refresh_token")), 200, 499);
        Assert.InRange(await StatusAsync(Form("grant_type=refresh_token&client_id=app&refresh_token=%ff%fe%f0&scope=%0d%0a")), 200, 499);
        Assert.InRange(await StatusAsync(Form($"grant_type=password&username={User}&password={Password}&client_id=app")), 200, 499);
        Assert.InRange(await StatusAsync(new StringContent("{\"client_id\":", Encoding.UTF8, "application/json")), 200, 499);
        Assert.InRange(await StatusAsync(new StringContent("--x\r\nbroken", Encoding.UTF8, "multipart/form-data")), 200, 499);
        using var basic = new HttpRequestMessage(HttpMethod.Post, $"/identity/{path}") { Content = Form("grant_type=client_credentials&token=x") };
        basic.Headers.TryAddWithoutValidation("Authorization", "Basic !!!");
        using var answer = await http.SendAsync(basic);
        Assert.InRange((int)answer.StatusCode, 200, 499);
        using var got = await http.GetAsync($"/identity/{path}?client_id=a%00b");
        await got.ProblemAsync(400);

        async Task<int> StatusAsync(HttpContent content)
        {
            using (content)
            {
                using var response = await http.PostAsync($"/identity/{path}", content);
                return (int)response.StatusCode;
            }
        }

        static StringContent Form(string text) => new(text, Encoding.UTF8, "application/x-www-form-urlencoded");
    }

    [Fact]
    public async Task A_forged_host_is_in_no_answer()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/identity/.well-known/openid-configuration");
        request.Headers.Host = "evil.example.com";
        request.Headers.Add("X-Forwarded-Host", "evil.example.com");
        request.Headers.Add("X-Forwarded-Proto", "https");
        using var response = await identity.Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        Assert.DoesNotContain("evil", text, StringComparison.Ordinal);
        var document = JsonSerializer.Deserialize<JsonElement>(text);
        Assert.Equal(identity.Issuer, document.Text("issuer"));
        foreach (var endpoint in document.EnumerateObject().Where(member => member.Name.EndsWith("_endpoint", StringComparison.Ordinal) || member.Name is "jwks_uri"))
        {
            Assert.StartsWith($"{identity.Issuer}/", endpoint.Value.GetString(), StringComparison.Ordinal);
        }
        Assert.Equal(["S256"], document.GetProperty("code_challenge_methods_supported").EnumerateArray().Select(method => method.GetString()));
    }

    [Theory]
    [InlineData("/identity/login?returnUrl=https://evil.example.com")]
    [InlineData("/identity/connect/nothing")]
    public async Task There_is_no_address_to_be_sent_on_from(string path) => await (await identity.Http.GetAsync(path)).ProblemAsync(404);

    private static string With(string address, string field, string? value)
    {
        var query = System.Web.HttpUtility.ParseQueryString(address[(address.IndexOf('?', StringComparison.Ordinal) + 1)..]);
        if (value is null)
        {
            query.Remove(field);
        }
        else
        {
            query[field] = value;
        }
        return $"/identity/connect/authorize?{query}";
    }
}
