using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using MobileIntegration.ServiceDefaults;
using static MobileIntegration.Tests.MobileServices.IdentityService;

namespace MobileIntegration.Tests.MobileServices;

public sealed class IdentityTests(IdentityService identity) : IClassFixture<IdentityService>
{
    [Theory]
    [InlineData("http://127.0.0.1:49152/callback")]
    [InlineData("http://127.0.0.1:65000/callback")]
    [InlineData("http://[::1]:50001/callback")]
    [InlineData("com.example.shop:/callback")]
    [InlineData("https://app.example.com/callback")]
    public async Task An_app_gets_its_code_at_any_kind_of_redirect_that_it_registered(string redirect)
    {
        using var browser = new Browser(identity.Http.BaseAddress!);
        var (address, verifier) = AuthorizeAddress(redirect: redirect);
        var end = await browser.LogInAsync(address, User, Password);

        Assert.StartsWith(redirect, end.OriginalString, StringComparison.Ordinal);
        Assert.Equal("s<1", end.Parameter("state"));
        Assert.Equal(identity.Issuer, end.Parameter("iss"));
        var tokens = await identity.RedeemAsync(end, verifier, redirect: redirect);
        Assert.Equal("Bearer", tokens.Text("token_type"));
    }

    [Fact]
    public async Task An_access_token_is_what_services_of_the_system_take_and_names_nobody()
    {
        var tokens = await identity.LogInAsync();
        var token = tokens.Text("access_token");
        Assert.Equal(("ES256", "at+jwt"), (token.Part(0).Text("alg"), token.Part(0).Text("typ")));
        var claims = token.Part(1);
        Assert.Equal(identity.Issuer, claims.Text("iss"));
        Assert.Equal("mobile-integration", claims.Text("aud"));
        Assert.Equal("openid profile email offline_access home", claims.Text("scope"));
        Assert.Equal(600, claims.GetProperty("exp").GetInt64() - claims.GetProperty("iat").GetInt64());
        Assert.Equal(599, tokens.GetProperty("expires_in").GetInt64(), tolerance: 1);
        Assert.DoesNotContain("Grace", claims.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("grace", claims.ToString(), StringComparison.Ordinal);
        var id = tokens.Text("id_token").Part(1);
        Assert.Equal(("Grace Hopper", "grace@example.com", "app"), (id.Text("name"), id.Text("email"), id.Text("aud")));
        Assert.Equal(claims.Text("sub"), id.Text("sub"));

        var (app, http) = await TestServices.StartAsync(
            builder => builder.AddTokenAuthentication(),
            service =>
            {
                service.MapGet("/mine", () => "yours").RequireScope("home");
                service.MapGet("/other", () => "no").RequireScope("devices");
            },
            $"--Authentication:Authority={identity.Issuer}");
        await using (app)
        {
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
            Assert.Equal("yours", await http.GetStringAsync("/mine"));
            await (await http.GetAsync("/other")).ProblemAsync(403);
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", tokens.Text("id_token"));
            await (await http.GetAsync("/mine")).ProblemAsync(401);
        }
    }

    [Fact]
    public async Task Userinfo_tells_what_was_allowed_and_no_more()
    {
        var all = await UserInfoAsync((await identity.LogInAsync()).Text("access_token"));
        Assert.Equal(("Grace Hopper", "grace", "grace@example.com"), (all.Text("name"), all.Text("preferred_username"), all.Text("email")));
        var least = await UserInfoAsync((await identity.LogInAsync(scope: "openid")).Text("access_token"));
        Assert.Equal(["sub"], least.EnumerateObject().Select(claim => claim.Name));
        Assert.Equal(all.Text("sub"), least.Text("sub"));

        using var bad = new HttpRequestMessage(HttpMethod.Get, "/identity/connect/userinfo");
        bad.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "nonsense");
        using var refused = await identity.Http.SendAsync(bad);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.Contains("invalid_token", refused.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_browser_that_is_logged_in_is_asked_for_consent_only_and_a_trusted_client_not_even_that()
    {
        using var browser = new Browser(identity.Http.BaseAddress!);
        await browser.LogInAsync(AuthorizeAddress().Address, User, Password);

        var (page, _) = await browser.GetAsync(AuthorizeAddress(scope: "openid home").Address);
        Assert.Equal("Shop <b>app</b> asks for your consent", page!.Heading);
        Assert.Contains("See your home page", page.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("<b>", page.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page.Html, StringComparison.Ordinal);
        Assert.Contains("default-src 'none'", page.SecurityPolicy, StringComparison.Ordinal);
        Assert.Contains("form-action 'self' http://127.0.0.1:51234;", page.SecurityPolicy, StringComparison.Ordinal);
        var (_, denied) = await browser.SubmitAsync(page, ("decision", "deny"));
        Assert.Equal("access_denied", denied!.Parameter("error"));

        var (_, trusted) = await browser.GetAsync(AuthorizeAddress("own-app", redirect: "https://shop.example.com/callback", more: "&prompt=none").Address);
        Assert.NotEqual("", trusted!.Parameter("code"));
        var (_, asked) = await browser.GetAsync(AuthorizeAddress(more: "&prompt=none").Address);
        Assert.Equal("consent_required", asked!.Parameter("error"));
        var (again, _) = await browser.GetAsync(AuthorizeAddress(more: "&prompt=login").Address);
        Assert.StartsWith("Log in", again!.Heading, StringComparison.Ordinal);
        var (consent, _) = await browser.LogInAsync(again, User, Password);
        Assert.NotEqual("", (await browser.SubmitAsync(consent!, ("decision", "allow"))).Redirect!.Parameter("code"));
        var (old, _) = await browser.GetAsync(AuthorizeAddress(more: "&max_age=0").Address);
        Assert.StartsWith("Log in", old!.Heading, StringComparison.Ordinal);

        var (logout, _) = await browser.GetAsync("/identity/logout");
        Assert.Equal("You are logged out", (await browser.SubmitAsync(logout!)).Page!.Heading);
        var (_, gone) = await browser.GetAsync(AuthorizeAddress(more: "&prompt=none").Address);
        Assert.Equal("login_required", gone!.Parameter("error"));
    }

    [Fact]
    public async Task Wrong_passwords_lock_the_account_for_a_while_and_tell_nothing()
    {
        await identity.AddUserAsync("locked");
        using var browser = new Browser(identity.Http.BaseAddress!);
        var (page, _) = await browser.GetAsync(AuthorizeAddress().Address);
        var wrong = await browser.LogInAsync(page!, "locked", "wrong");
        var unknown = await browser.LogInAsync(page!, "nobody", "wrong");
        Assert.Equal(HttpStatusCode.BadRequest, wrong.Page!.Status);
        Assert.Equal(Alert(wrong.Page), Alert(unknown.Page!));

        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => browser.LogInAsync(page!, "locked", "wrong")));
        Assert.Equal(5, await identity.ScalarAsync<int>("select failed_count from identity.account where name = 'locked'"));
        var right = await browser.LogInAsync(page!, "locked", Password);
        Assert.Equal(Alert(wrong.Page), Alert(right.Page!));

        await identity.ExecuteAsync("update identity.account set locked_until = now() - interval '1 second' where name = 'locked'");
        var later = await browser.LogInAsync(page!, "LOCKED", Password);
        Assert.EndsWith("consent", later.Page!.Heading, StringComparison.Ordinal);

        static string Alert(BrowserPage page) => page.Html[page.Html.IndexOf("<p role=\"alert\">", StringComparison.Ordinal)..page.Html.IndexOf("</p>", StringComparison.Ordinal)];
    }

    [Fact]
    public async Task A_device_without_a_browser_is_connected_by_its_user()
    {
        using var started = await PostAsync(identity.Http, "connect/device", ("client_id", "app"), ("scope", "openid offline_access home"));
        var device = await started.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal($"{identity.Issuer}/device", device.Text("verification_uri"));
        Assert.Equal("authorization_pending", (await PollAsync()).Text("error"));

        using var browser = new Browser(identity.Http.BaseAddress!);
        var (page, _) = await browser.GetAsync("/identity/device");
        (page, _) = await browser.LogInAsync(page!, User, Password);
        Assert.Equal("Connect a device", page!.Heading);
        var (wrong, _) = await browser.GetAsync("/identity/device?user_code=0000-0000-0000");
        Assert.Equal(HttpStatusCode.BadRequest, wrong!.Status);
        (page, _) = await browser.GetAsync(device.Text("verification_uri_complete"));
        Assert.Equal("Connect Shop <b>app</b>?", page!.Heading);
        var (_, done) = await browser.SubmitAsync(page, ("decision", "allow"));
        Assert.Equal("The device is connected", (await browser.GetAsync(done!.OriginalString)).Page!.Heading);

        var tokens = await PollAsync();
        Assert.Contains("home", tokens.Text("access_token").Part(1).Text("scope"), StringComparison.Ordinal);
        Assert.Equal("Bearer", (await identity.RefreshAsync(tokens.Text("refresh_token"))).Text("token_type"));
        Assert.Equal("invalid_grant", (await PollAsync()).Text("error"));

        Task<JsonElement> PollAsync() => identity.TokenAsync(
            "urn:ietf:params:oauth:grant-type:device_code", ("client_id", "app"), ("device_code", device.Text("device_code")));
    }

    [Fact]
    public async Task A_device_that_the_user_refuses_is_told_so()
    {
        using var started = await PostAsync(identity.Http, "connect/device", ("client_id", "app"), ("scope", "openid"));
        var device = await started.Content.ReadFromJsonAsync<JsonElement>();
        using var browser = new Browser(identity.Http.BaseAddress!);
        var (page, _) = await browser.GetAsync(device.Text("verification_uri_complete"));
        (page, _) = await browser.LogInAsync(page!, User, Password);
        var (_, done) = await browser.SubmitAsync(page!, ("decision", "deny"));
        Assert.Equal("The device was not connected", (await browser.GetAsync(done!.OriginalString)).Page!.Heading);

        Assert.Equal("access_denied", (await identity.TokenAsync(
            "urn:ietf:params:oauth:grant-type:device_code", ("client_id", "app"), ("device_code", device.Text("device_code")))).Text("error"));
    }

    [Fact]
    public async Task A_back_office_client_gets_tokens_of_its_own_within_its_scopes()
    {
        var token = (await identity.TokenAsync("client_credentials", ("client_id", "back-office"), ("client_secret", Secret), ("scope", "home"))).Text("access_token");
        Assert.Equal(("back-office", "home", "mobile-integration"), (token.Part(1).Text("sub"), token.Part(1).Text("scope"), token.Part(1).Text("aud")));

        Assert.Equal("invalid_request", await ErrorAsync(("client_id", "back-office"), ("client_secret", Secret), ("scope", "devices")));
        Assert.Equal("invalid_client", await ErrorAsync(("client_id", "back-office"), ("client_secret", "wrong"), ("scope", "home")));
        Assert.Equal("invalid_request", await ErrorAsync(("client_id", "app"), ("client_secret", ""), ("scope", "home")));

        async Task<string> ErrorAsync(params (string, string)[] fields) => (await identity.TokenAsync("client_credentials", fields)).Text("error");
    }

    [Fact]
    public async Task Outside_Development_there_is_neither_its_account_nor_its_client()
    {
        Assert.Equal(0, await identity.ScalarAsync<long>("select count(*) from identity.account where name = 'ada'"));
        Assert.Equal(0, await identity.ScalarAsync<long>("select count(*) from identity.application where client_id like 'development%'"));
    }

    [Fact]
    public async Task Introspection_answers_the_audience_and_nobody_else()
    {
        var token = (await identity.LogInAsync()).Text("access_token");
        var told = await identity.IntrospectAsync(token);
        Assert.True(told.GetProperty("active").GetBoolean());
        Assert.Equal("app", told.Text("client_id"));
        Assert.False((await identity.IntrospectAsync(token, "back-office")).TryGetProperty("sub", out _));
        Assert.False((await identity.IntrospectAsync("nonsense")).GetProperty("active").GetBoolean());
    }

    [Fact]
    public async Task A_revoked_refresh_token_ends_the_login()
    {
        var tokens = await identity.LogInAsync();
        var other = await identity.LogInAsync();
        using var revoked = await PostAsync(identity.Http, "connect/revoke", ("client_id", "app"), ("token", tokens.Text("refresh_token")));
        Assert.Equal(HttpStatusCode.OK, revoked.StatusCode);

        Assert.Equal("invalid_grant", (await identity.RefreshAsync(tokens.Text("refresh_token"))).Text("error"));
        Assert.False((await identity.IntrospectAsync(tokens.Text("access_token"))).GetProperty("active").GetBoolean());
        Assert.True((await identity.IntrospectAsync(other.Text("access_token"))).GetProperty("active").GetBoolean());
    }

    [Fact]
    public async Task An_account_is_managed_with_its_scope_and_disabling_it_ends_its_logins()
    {
        await identity.AddUserAsync("linus");
        var tokens = await identity.LogInAsync(user: "linus");
        using var same = await identity.PutUserAsync("linus", new { displayName = "Linus T" });
        Assert.Equal(HttpStatusCode.OK, same.StatusCode);
        Assert.Equal("Bearer", (tokens = await identity.RefreshAsync(tokens.Text("refresh_token"))).Text("token_type"));

        using var disabled = await identity.PutUserAsync("linus", new { displayName = "Linus T", disabled = true });
        Assert.Equal(HttpStatusCode.OK, disabled.StatusCode);
        Assert.Equal("invalid_grant", (await identity.RefreshAsync(tokens.Text("refresh_token"))).Text("error"));
        Assert.False((await identity.IntrospectAsync(tokens.Text("access_token"))).GetProperty("active").GetBoolean());

        await (await identity.PutUserAsync("linus", new { displayName = "x" }, scope: "home")).ProblemAsync(403);
        await (await identity.Http.PutAsJsonAsync("/identity/users/linus", new { displayName = "x" })).ProblemAsync(401);
        await (await identity.PutUserAsync("nobody2", new { displayName = "x" })).ProblemAsync(400);
        await (await identity.PutUserAsync("a%20b", new { displayName = "\0", email = "x", password = "short" })).ProblemAsync(400);
    }

    private async Task<JsonElement> UserInfoAsync(string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/identity/connect/userinfo");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        using var response = await identity.Http.SendAsync(request);
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }
}
