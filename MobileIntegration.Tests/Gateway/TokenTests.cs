using System.Net;
using Gateway;
using Microsoft.AspNetCore.Http;

namespace MobileIntegration.Tests.Gateway;

/// <summary>What the gateway lets through to a service.</summary>
public sealed class TokenTests : IAsyncLifetime
{
    private Upstream _service = null!;
    private (string Key, string Value) _database;
    private TestService<DiscoveredDestinations> _gateway = null!;

    public async Task InitializeAsync()
    {
        _service = await Upstream.StartAsync();
        _database = ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync());
        _gateway = new(_database, TestServices.At("home", _service.Address), TestServices.At("identity", _service.Address));
    }

    public async Task DisposeAsync()
    {
        await _gateway.DisposeAsync();
        await _service.DisposeAsync();
    }

    [Fact]
    public async Task A_token_with_the_scope_of_the_route_passes_and_goes_on_to_the_service()
    {
        var token = TestAuthority.Shared.Token("home");
        Assert.Equal("answer", await (await _gateway.Http.GetAsync("/api/home", token)).Content.ReadAsStringAsync());
        Assert.Equal($"Bearer {token}", _service.Journal.Single().Headers["Authorization"]);
    }

    [Fact]
    public async Task Without_a_token_it_is_a_401_and_nothing_reaches_the_service()
    {
        var response = await _gateway.Http.GetAsync("/api/home", null);
        await response.ProblemAsync(401);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.Single().Scheme);
        Assert.Empty(_service.Journal);
    }

    [Fact]
    public async Task Without_the_scope_of_the_route_it_is_a_403_that_names_it_and_nothing_reaches_the_service()
    {
        var response = await _gateway.Http.GetAsync("/api/home", TestAuthority.Shared.Token("devices customers"));
        await response.ProblemAsync(403);
        Assert.Contains("scope=\"home\"", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Empty(_service.Journal);
    }

    [Theory]
    [MemberData(nameof(TestAuthority.WrongTokens), MemberType = typeof(TestAuthority))]
    public async Task A_wrong_token_is_a_401_and_nothing_reaches_the_service(string kind)
    {
        var response = await _gateway.Http.GetAsync("/api/home", TestAuthority.Shared.WrongToken(kind, "home"));
        await response.ProblemAsync(401);
        Assert.Contains("invalid_token", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Empty(_service.Journal);
    }

    [Fact]
    public async Task With_an_authority_outside_there_are_no_identity_routes()
    {
        await (await _gateway.Http.GetAsync("/identity/.well-known/openid-configuration", null)).ProblemAsync(404);
        Assert.Empty(_service.Journal);
    }

    [Fact]
    public async Task Discovery_and_keys_come_from_inside_when_the_identity_service_is_the_systems_own()
    {
        await using var authority = await TestAuthority.StartAsync();
        // Nobody answers at the issuer's address; what it says of itself names it all the same.
        await using var inside = await Upstream.StartAsync(async context =>
        {
            using var client = new HttpClient();
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync((await client.GetStringAsync($"{authority.Address}{context.Request.Path.Value!["/identity".Length..]}"))
                .Replace(authority.Address, "http://127.0.0.1:9/identity", StringComparison.Ordinal));
        });
        await using var gateway = new TestService<DiscoveredDestinations>(
            ("Authentication:Authority", "http://127.0.0.1:9/identity"), ("Authentication:InternalAddress", "http://identity/identity"),
            _database, TestServices.At("identity", inside.Address), TestServices.At("home", _service.Address));

        var token = authority.Token("home", token => token.Issuer = "http://127.0.0.1:9/identity");
        await Eventually.TrueAsync(async () => (await gateway.Http.GetAsync("/api/home", token)).StatusCode is HttpStatusCode.OK, TimeSpan.FromSeconds(30));
        Assert.Equal(HttpStatusCode.OK, (await gateway.Http.GetAsync("/identity/.well-known/openid-configuration", null)).StatusCode);
    }
}
