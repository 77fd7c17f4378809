using System.Net;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class KnownTokensTests : IAsyncLifetime
{
    private const string Handled = "found by handlers";
    private const string Known = "not found by handlers";

    private TestAuthority _authority = null!;
    private WebApplication _app = null!;
    private HttpClient _http = null!;

    public async Task InitializeAsync()
    {
        _authority = await TestAuthority.StartAsync();
        (_app, _http) = await TestServices.StartAsync(
            builder => builder.AddSlices(new Slice("known", _ => { }, Map, Scope: "stock")), app => app.MapSlices(), [$"--Authentication:Authority={_authority.Address}"]);
        await Eventually.TrueAsync(() => _app.Services.GetRequiredService<TokenCache>().HasKeys, TimeSpan.FromSeconds(20));

        static void Map(Microsoft.AspNetCore.Routing.IEndpointRouteBuilder endpoints)
        {
            endpoints.MapGet("/stock", How);
            endpoints.MapGet("/write", How).RequireScope("write");
            endpoints.MapGet("/boss", How).RequireAuthorization(policy => policy.RequireClaim("role", "boss"));
            endpoints.MapGet("/open", How).AllowAnonymous();
        }

        static string How(HttpContext http) => $"{http.User.FindFirst("sub")?.Value ?? "nobody"} {(http.Features.Get<IAuthenticateResultFeature>() is null ? Known : Handled)}";
    }

    public async Task DisposeAsync()
    {
        _http.Dispose();
        await _app.DisposeAsync();
        await _authority.DisposeAsync();
    }

    [Fact]
    public async Task Handlers_see_a_token_once_and_the_same_user_calls_afterwards()
    {
        var token = _authority.Token("stock");
        Assert.Equal($"ada {Handled}", await GetAsync("/stock", token));
        Assert.Equal($"ada {Known}", await GetAsync("/stock", token));
    }

    [Fact]
    public async Task Every_scope_that_an_endpoint_asks_for_must_be_there()
    {
        var (some, all) = (_authority.Token("stock"), _authority.Token("stock write"));
        await GetAsync("/stock", some);
        await GetAsync("/stock", all);

        using var refused = await _http.GetAsync("/write", some);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Equal("Bearer error=\"insufficient_scope\", scope=\"write\"", refused.Headers.WwwAuthenticate.ToString());
        Assert.Equal($"ada {Known}", await GetAsync("/write", all));
    }

    [Fact]
    public async Task A_policy_of_another_kind_is_judged_by_its_handlers()
    {
        var (other, boss) = (_authority.Token("stock"), _authority.Token("stock", token => token.Claims["role"] = "boss"));
        await GetAsync("/stock", other);
        await GetAsync("/stock", boss);

        using var refused = await _http.GetAsync("/boss", other);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Equal($"ada {Handled}", await GetAsync("/boss", boss));
    }

    [Fact]
    public async Task What_is_open_to_all_sees_who_calls()
    {
        var token = _authority.Token("stock");
        await GetAsync("/stock", token);
        Assert.Equal($"ada {Handled}", await GetAsync("/open", token));
        Assert.Equal($"nobody {Known}", await _http.GetStringAsync(new Uri("/open", UriKind.Relative)));
    }

    [Fact]
    public async Task A_known_token_ends_when_it_is_revoked()
    {
        var token = _authority.Token("stock", token => token.Claims[Revocations.TokenClaim] = "login-1");
        await GetAsync("/stock", token);
        _app.Services.GetRequiredService<RevokedTokens>().Add(["login-1"]);

        using var refused = await _http.GetAsync("/stock", token);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    private async Task<string> GetAsync(string path, string token)
    {
        using var response = await _http.GetAsync(path, token);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadAsStringAsync();
    }
}
