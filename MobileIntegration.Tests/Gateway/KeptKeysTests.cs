using System.Net;
using Gateway;
using Npgsql;

namespace MobileIntegration.Tests.Gateway;

/// <summary>The authority is away when a gateway starts.</summary>
public sealed class KeptKeysTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private TestAuthority _authority = null!;
    private Upstream _service = null!;
    private string _database = null!;

    public async Task InitializeAsync()
    {
        _authority = await TestAuthority.StartAsync();
        _service = await Upstream.StartAsync();
        _database = await TestPostgres.CreateDatabaseAsync();
        await using (StartGateway())
        {
            await Eventually.TrueAsync(async () => await RunAsync("select count(*) from authority.kept") is 1L, Patience);
        }
        await _authority.EndAsync();
    }

    public async Task DisposeAsync()
    {
        await _service.DisposeAsync();
        await _authority.DisposeAsync();
    }

    [Fact]
    public async Task A_restarted_gateway_takes_tokens_by_the_keys_that_were_kept_and_no_others()
    {
        await using var gateway = StartGateway();

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(gateway, _authority.Token("home")));
        foreach (var wrong in (string[])["another key of the same name", "expired", "another issuer", "alg none"])
        {
            await (await gateway.Http.GetAsync("/api/home", _authority.WrongToken(wrong, "home"))).ProblemAsync(401);
        }
        Assert.Single(_service.Journal);
    }

    [Theory]
    [InlineData("now() - interval '25 hours'", "24")]
    [InlineData("now() - interval '61 minutes'", "1")]
    [InlineData("now()", "0")]
    public async Task Keys_that_are_too_old_are_not_used(string fetched, string hours)
    {
        await RunAsync($"update authority.kept set fetched_at = {fetched}");
        await using var gateway = StartGateway(hours);

        using var answer = await gateway.Http.GetAsync("/api/home", _authority.Token("home"));
        await answer.ProblemAsync(503);
        Assert.NotNull(answer.Headers.RetryAfter);
        Assert.Empty(_service.Journal);
    }

    [Fact]
    public async Task Keys_that_grow_too_old_while_they_are_used_end()
    {
        await RunAsync("update authority.kept set fetched_at = now() - interval '24 hours' + interval '20 seconds'");
        await using var gateway = StartGateway();
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(gateway, _authority.Token("home")));

        await Eventually.TrueAsync(async () => await StatusAsync(gateway, _authority.Token("home")) is HttpStatusCode.ServiceUnavailable, Patience);
    }

    [Fact]
    public async Task Once_the_authority_answers_its_word_holds_and_is_kept()
    {
        await using var gateway = StartGateway();
        var (before, old) = (_authority.Token("home"), await RunAsync("select keys from authority.kept"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(gateway, before));

        await using var authority = TestAuthority.Down(_authority.Address);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(gateway, authority.Token("home")));
        await authority.BeginAsync();

        await Eventually.TrueAsync(async () => await StatusAsync(gateway, authority.Token("home")) is HttpStatusCode.OK, Patience);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(gateway, before));
        await Eventually.TrueAsync(async () => !Equals(await RunAsync("select keys from authority.kept"), old), Patience);
    }

    private TestService<DiscoveredDestinations> StartGateway(string hours = "24") => new(
        ("ConnectionStrings:mobiledb", _database), ("Authentication:Authority", _authority.Address), ("Authentication:KeptKeysHours", hours),
        TestServices.At("home", _service.Address));

    private static async Task<HttpStatusCode> StatusAsync(TestService<DiscoveredDestinations> gateway, string token)
    {
        using var answer = await gateway.Http.GetAsync("/api/home", token);
        return answer.StatusCode;
    }

    private async Task<object?> RunAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(_database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }
}
