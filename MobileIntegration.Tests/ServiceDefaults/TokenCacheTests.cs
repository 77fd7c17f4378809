using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class TokenCacheTests : IAsyncLifetime
{
    private TestAuthority _authority = null!;
    private WebApplication _app = null!;
    private HttpClient _http = null!;
    private readonly List<MeterListener> _listeners = [];

    public async Task InitializeAsync()
    {
        _authority = await TestAuthority.StartAsync();
        (_app, _http) = await ServeAsync();
    }

    public async Task DisposeAsync()
    {
        _listeners.ForEach(listener => listener.Dispose());
        _http.Dispose();
        await _app.DisposeAsync();
        await _authority.DisposeAsync();
    }

    [Fact]
    public async Task A_token_is_checked_once_and_says_the_same_every_time()
    {
        var counted = Count(_app);
        var token = _authority.Token("stock read");

        var claims = new[] { await GetAsync(token), await GetAsync(token), await GetAsync(token) };

        Assert.All(claims, one => Assert.Equal(claims[0], one));
        Assert.Contains("sub=ada", claims[0], StringComparison.Ordinal);
        Assert.Contains("scope=stock read", claims[0], StringComparison.Ordinal);
        Assert.Equal(["checked", "known", "known"], counted);
    }

    [Theory]
    [MemberData(nameof(TestAuthority.WrongTokens), MemberType = typeof(TestAuthority))]
    public async Task A_wrong_token_is_refused_also_when_the_right_one_is_known(string kind)
    {
        await GetAsync(_authority.Token("stock"));
        using var response = await _http.GetAsync("/claims", _authority.WrongToken(kind, "stock"));
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task A_known_token_ends_when_it_expires()
    {
        // Clocks may be off by 30 s.
        var token = _authority.Token("stock", token => token.Expires = DateTime.UtcNow.AddSeconds(-27));
        await GetAsync(token);
        var counted = Count(_app);
        await GetAsync(token);
        Assert.Equal(["known"], counted);

        await Eventually.TrueAsync(async () => (await _http.GetAsync("/claims", token)).StatusCode is HttpStatusCode.Unauthorized, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_known_token_is_checked_again_when_the_keys_have_been_fetched_anew()
    {
        var token = _authority.Token("stock");
        await GetAsync(token);
        var counted = Count(_app);
        _app.Services.GetRequiredService<IOptionsMonitor<JwtBearerOptions>>().Get(JwtBearerDefaults.AuthenticationScheme).ConfigurationManager!.RequestRefresh();

        await Eventually.TrueAsync(async () =>
        {
            await GetAsync(token);
            return counted.Contains("checked");
        }, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_known_token_ends_when_the_authority_withdraws_the_key()
    {
        var token = _authority.Token("stock");
        await GetAsync(token);
        _authority.WithdrawKey();

        _app.Services.GetRequiredService<IOptionsMonitor<JwtBearerOptions>>().Get(JwtBearerDefaults.AuthenticationScheme).ConfigurationManager!.RequestRefresh();

        await Eventually.TrueAsync(async () => (await _http.GetAsync("/claims", token)).StatusCode is HttpStatusCode.Unauthorized, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Only_so_many_are_kept_and_those_in_use_longest()
    {
        var (app, http) = await ServeAsync("--Authentication:CachedTokens=20");
        await using var _ = app;
        using var client = http;
        var used = _authority.Token("stock", token => token.Claims["jti"] = "used");
        for (var other = 0; other < 100; other++)
        {
            await GetAsync(used, http);
            await GetAsync(_authority.Token("stock", token => token.Claims["jti"] = $"{other}"), http);
            Assert.InRange(app.Services.GetRequiredService<TokenCache>().Count, 1, 20);
        }
        var counted = Count(app);
        await GetAsync(used, http);
        Assert.Equal(["known"], counted);
    }

    [Fact]
    public async Task With_none_kept_every_token_is_checked()
    {
        var (app, http) = await ServeAsync("--Authentication:CachedTokens=0");
        await using var _ = app;
        using var client = http;
        var token = _authority.Token("stock");
        Assert.Equal(await GetAsync(token, http), await GetAsync(token, http));
        Assert.Equal(0, app.Services.GetRequiredService<TokenCache>().Count);
    }

    private async Task<(WebApplication App, HttpClient Http)> ServeAsync(params string[] settings)
    {
        var (app, http) = await StartAsync(settings);
        await Eventually.TrueAsync(() => app.Services.GetRequiredService<TokenCache>().HasKeys, TimeSpan.FromSeconds(20));
        return (app, http);
    }

    private async Task<(WebApplication App, HttpClient Http)> StartAsync(string[] settings) => await TestServices.StartAsync(
        builder => builder.AddSlices(new Slice("claims", _ => { }, app => app.MapGet("/claims", (HttpContext context) =>
            $"{context.User.Identity!.Name} {string.Join(' ', context.User.Claims.Select(claim => $"{claim.Type}={claim.Value}"))}"), Scope: "stock")),
        app => app.MapSlices(),
        [$"--Authentication:Authority={_authority.Address}", .. settings]);

    private async Task<string> GetAsync(string token, HttpClient? http = null)
    {
        using var response = await (http ?? _http).GetAsync("/claims", token);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadAsStringAsync();
    }

    /// <summary>The outcomes that this service counts from now on.</summary>
    private List<string?> Count(WebApplication app)
    {
        List<string?> outcomes = [];
        var meters = app.Services.GetRequiredService<IMeterFactory>();
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == TokenCache.CounterName && instrument.Meter.Scope == meters)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) =>
        {
            lock (outcomes)
            {
                outcomes.Add(tags[0].Value as string);
            }
        });
        listener.Start();
        _listeners.Add(listener);
        return outcomes;
    }
}
