using System.Text.Json;
using static MobileIntegration.Tests.MobileServices.IdentityService;

namespace MobileIntegration.Tests.MobileServices;

public sealed class IdentityRefreshTests(IdentityService identity) : IClassFixture<IdentityService>
{
    [Fact]
    public async Task A_lost_answer_sent_for_again_is_the_same_answer()
    {
        var first = (await identity.LogInAsync()).Text("refresh_token");
        var answer = await identity.RefreshAsync(first);
        var again = await identity.RefreshAsync(first);

        foreach (var name in (string[])["access_token", "refresh_token", "id_token", "scope"])
        {
            Assert.Equal(answer.TryGetProperty(name, out var one) ? one.GetString() : null, again.TryGetProperty(name, out var two) ? two.GetString() : null);
        }
        Assert.NotEqual(first, answer.Text("refresh_token"));
        Assert.InRange(again.GetProperty("expires_in").GetInt64(), 500, answer.GetProperty("expires_in").GetInt64());
        Assert.Equal("Bearer", (await identity.RefreshAsync(again.Text("refresh_token"))).Text("token_type"));
    }

    [Fact]
    public async Task A_token_sent_again_after_the_window_ends_the_family_and_no_other()
    {
        var login = await identity.LogInAsync();
        var other = await identity.LogInAsync();
        var first = login.Text("refresh_token");
        var answer = await identity.RefreshAsync(first);
        await identity.ExecuteAsync("update identity.refresh_answer set answered_at = answered_at - interval '31 seconds'");

        Assert.Equal("invalid_grant", (await identity.RefreshAsync(first)).Text("error"));
        Assert.Equal("invalid_grant", (await identity.RefreshAsync(answer.Text("refresh_token"))).Text("error"));
        foreach (var token in (string[])[login.Text("access_token"), answer.Text("access_token")])
        {
            Assert.False((await identity.IntrospectAsync(token)).GetProperty("active").GetBoolean());
        }
        Assert.Equal("Bearer", (await identity.RefreshAsync(other.Text("refresh_token"))).Text("token_type"));
    }

    [Fact]
    public async Task A_token_that_is_not_the_last_one_ends_the_family_also_within_the_window()
    {
        var first = (await identity.LogInAsync()).Text("refresh_token");
        var second = (await identity.RefreshAsync(first)).Text("refresh_token");
        var third = (await identity.RefreshAsync(second)).Text("refresh_token");

        Assert.Equal("invalid_grant", (await identity.RefreshAsync(first)).Text("error"));
        Assert.Equal("invalid_grant", (await identity.RefreshAsync(third)).Text("error"));
        Assert.Equal("invalid_grant", (await identity.RefreshAsync(second)).Text("error"));
    }

    [Fact]
    public async Task Another_client_gets_nothing_for_a_token_and_with_a_used_one_it_ends_the_family()
    {
        var first = (await identity.LogInAsync()).Text("refresh_token");
        var answer = await identity.RefreshAsync(first);

        Assert.Equal("invalid_grant", (await OtherAsync(answer.Text("refresh_token"))).Text("error"));
        Assert.Equal(answer.Text("refresh_token"), (await identity.RefreshAsync(first)).Text("refresh_token"));
        Assert.Equal("invalid_grant", (await OtherAsync(first)).Text("error"));
        Assert.Equal("invalid_grant", (await identity.RefreshAsync(answer.Text("refresh_token"))).Text("error"));

        Task<JsonElement> OtherAsync(string token) => identity.TokenAsync("refresh_token", ("client_id", "own-app"), ("refresh_token", token));
    }

    [Fact]
    public async Task A_hundred_refreshes_of_one_token_at_two_replicas_end_with_one_living_family()
    {
        await using var replica = identity.StartReplica();
        var login = await identity.LogInAsync();
        var first = login.Text("refresh_token");

        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(number =>
            identity.RefreshAsync(first, number % 2 is 0 ? identity.Http : replica.Http)));

        var successor = Assert.Single(answers.Select(answer => answer.Text("refresh_token")).Distinct());
        Assert.Equal(1, await identity.ScalarAsync<long>(
            $"""
            select count(*) from identity.token
            where type = 'urn:ietf:params:oauth:token-type:refresh_token' and status = 'valid'
                and authorization_id = (select authorization_id from identity.token where id = '{login.Text("access_token").Part(1).Text("oi_tkn_id")}')
            """));
        Assert.Equal("Bearer", (await identity.RefreshAsync(successor, replica.Http)).Text("token_type"));
    }

    [Fact]
    public async Task Different_logins_refresh_at_the_same_time_and_none_is_lost()
    {
        var tokens = new List<string>();
        for (var number = 0; number < 5; number++)
        {
            tokens.Add((await identity.LogInAsync()).Text("refresh_token"));
        }
        for (var round = 0; round < 3; round++)
        {
            var answers = await Task.WhenAll(tokens.SelectMany(token => Enumerable.Range(0, 30).Select(async _ => (token, await identity.RefreshAsync(token)))));
            tokens = [.. answers.GroupBy(one => one.token, one => one.Item2.Text("refresh_token")).Select(family => Assert.Single(family.Distinct()))];
            Assert.Equal(5, tokens.Distinct().Count());
        }
    }

    [Fact]
    public async Task What_is_kept_of_an_answer_cannot_be_read_without_the_token()
    {
        var first = (await identity.LogInAsync()).Text("refresh_token");
        var answer = await identity.RefreshAsync(first);

        var kept = await identity.ScalarAsync<string>("select string_agg(encode(sealed, 'escape'), ' ') from identity.refresh_answer");
        var tokens = await identity.ScalarAsync<string>("select string_agg(t::text, ' ') from identity.token t");
        foreach (var secret in (string[])[first, answer.Text("refresh_token"), answer.Text("access_token"), "access_token"])
        {
            Assert.DoesNotContain(secret, kept, StringComparison.Ordinal);
            Assert.DoesNotContain(secret.Length > 20 ? secret : "no such text", tokens, StringComparison.Ordinal);
        }
        Assert.NotEqual("", kept);
    }

    [Fact]
    public async Task A_code_is_good_once_and_its_second_use_ends_what_came_of_the_first()
    {
        using var browser = new Browser(identity.Http.BaseAddress!);
        var (address, verifier) = AuthorizeAddress();
        var end = await browser.LogInAsync(address, User, Password);
        Assert.Equal("invalid_grant", (await identity.RedeemAsync(end, "another-verifier-another-verifier-another-verifier")).Text("error"));
        var tokens = await identity.RedeemAsync(end, verifier);
        Assert.Equal("invalid_grant", (await identity.RedeemAsync(end, verifier)).Text("error"));
        Assert.Equal("invalid_grant", (await identity.RefreshAsync(tokens.Text("refresh_token"))).Text("error"));
    }
}
