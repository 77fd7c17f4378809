using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MobileServices.Identity;
using MobileServices.Identity.Keys;
using static MobileIntegration.Tests.MobileServices.IdentityService;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>Keys turn over here, so each test has an identity service of its own.</summary>
public sealed class IdentityKeyTests : IAsyncLifetime
{
    private readonly IdentityService _identity = new();

    public Task InitializeAsync() => _identity.InitializeAsync();

    public Task DisposeAsync() => _identity.DisposeAsync();

    [Fact]
    public async Task Replicas_share_keys_sessions_and_forms()
    {
        await using var replica = _identity.StartReplica();
        Assert.Equal(await KeysAsync(_identity.Http), await KeysAsync(replica.Http));

        using var browser = new Browser(_identity.Http.BaseAddress!);
        var (address, verifier) = AuthorizeAddress();
        var (login, _) = await browser.GetAsync(address);
        // Cookies know no ports, so this is the same browser at the other replica.
        var (consent, _) = await browser.LogInAsync(login! with { Html = login.Html.Replace("action=\"", $"action=\"{replica.Address.GetLeftPart(UriPartial.Authority)}", StringComparison.Ordinal) }, User, Password);
        var (_, end) = await browser.SubmitAsync(consent!, ("decision", "allow"));
        var tokens = await TokenAsync(
            replica.Http, "authorization_code", ("client_id", "app"), ("code", end!.Parameter("code")), ("redirect_uri", Redirect), ("code_verifier", verifier));
        Assert.Equal("Bearer", (await _identity.RefreshAsync(tokens.Text("refresh_token"))).Text("token_type"));
    }

    [Fact]
    public async Task A_restart_keeps_keys_tokens_and_sessions()
    {
        var keys = await KeysAsync(_identity.Http);
        using var browser = new Browser(_identity.Http.BaseAddress!);
        var (address, verifier) = AuthorizeAddress();
        var tokens = await _identity.RedeemAsync(await browser.LogInAsync(address, User, Password), verifier);
        var lost = await _identity.RefreshAsync(tokens.Text("refresh_token"));

        await _identity.RestartAsync();

        Assert.Equal(keys, await KeysAsync(_identity.Http));
        Assert.True((await _identity.IntrospectAsync(tokens.Text("access_token"))).GetProperty("active").GetBoolean());
        Assert.Equal(lost.Text("refresh_token"), (await _identity.RefreshAsync(tokens.Text("refresh_token"))).Text("refresh_token"));
        Assert.EndsWith("consent", (await browser.GetAsync(AuthorizeAddress().Address)).Page!.Heading, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_new_key_is_published_before_it_signs_and_the_old_one_stays_as_long_as_its_tokens()
    {
        await using var replica = _identity.StartReplica();
        var login = await _identity.LogInAsync();
        var old = login.Text("access_token").Part(0).Text("kid");
        Assert.Equal([old], await KeysAsync(replica.Http));

        await _identity.ExecuteAsync("update identity.signing_key set use_from = use_from - interval '89 days 1 hour'");
        Refresh(_identity.Service);
        Refresh(replica);
        var both = await KeysAsync(replica.Http);
        Assert.Equal(2, both.Length);
        Assert.Equal(both, await KeysAsync(_identity.Http));
        login = await _identity.RefreshAsync(login.Text("refresh_token"), replica.Http);
        Assert.Equal(old, login.Text("access_token").Part(0).Text("kid"));

        await _identity.ExecuteAsync($"update identity.signing_key set use_from = now() where id <> '{old}'");
        Refresh(_identity.Service);
        Refresh(replica);
        var renewed = await _identity.RefreshAsync(login.Text("refresh_token"), replica.Http);
        Assert.Equal(both.Single(key => key != old), renewed.Text("access_token").Part(0).Text("kid"));
        Assert.Contains(old, await KeysAsync(_identity.Http));
        Assert.True((await _identity.IntrospectAsync(login.Text("access_token"))).GetProperty("active").GetBoolean());

        await _identity.ExecuteAsync($"update identity.signing_key set use_from = now() - interval '30 days 2 hours' where id <> '{old}'");
        Refresh(_identity.Service);
        Assert.DoesNotContain(old, await KeysAsync(_identity.Http));
    }

    [Fact]
    public async Task Upkeep_takes_out_kept_answers_whose_window_is_over()
    {
        var first = (await _identity.LogInAsync()).Text("refresh_token");
        await _identity.RefreshAsync(first);
        var worker = _identity.Service.Services.GetRequiredService<IdentityWorker>();
        await worker.StepAsync(default);
        Assert.Equal(1, await _identity.ScalarAsync<long>("select count(*) from identity.refresh_answer"));
        await _identity.ExecuteAsync("update identity.refresh_answer set answered_at = answered_at - interval '31 seconds'");
        await worker.StepAsync(default);
        Assert.Equal(0, await _identity.ScalarAsync<long>("select count(*) from identity.refresh_answer"));
        Assert.Equal("invalid_grant", (await _identity.RefreshAsync(first)).Text("error"));
    }

    [Fact]
    public async Task With_a_secret_no_private_key_can_be_read_from_the_database_and_without_it_no_replica_starts()
    {
        var login = await _identity.LogInAsync();
        Assert.Equal(0x30, (await KeyAsync())[0]);

        // From now on there is one: the key goes on, sealed.
        await using (var replica = _identity.StartReplica(("Keys:Secret", Seal)))
        {
            Assert.Equal([login.Text("access_token").Part(0).Text("kid")], await KeysAsync(replica.Http));
            using var key = System.Security.Cryptography.ECDsa.Create();
            Assert.ThrowsAny<System.Security.Cryptography.CryptographicException>(() => key.ImportPkcs8PrivateKey(KeyAsync().Result, out _));
            Assert.Equal("Bearer", (await _identity.RefreshAsync(login.Text("refresh_token"), replica.Http)).Text("token_type"));
        }

        foreach (var secret in (string[])["", "another secret of thirty-two characters"])
        {
            var (code, _, error) = await TestServices.RunToEndAsync(
                "MobileServices", ("Run", "identity"), ("ConnectionStrings__mobiledb", _identity.Database), ("Identity__Issuer", _identity.Issuer),
                secret.Length > 0 ? ("Keys__Secret", secret) : ("Logging__LogLevel__Default", "Warning"));
            Assert.Equal(1, code);
            Assert.Contains("Keys:Secret is not what it was sealed with", error, StringComparison.Ordinal);
        }
    }

    private const string Seal = "a secret of more than thirty-two characters";

    private Task<byte[]> KeyAsync() => _identity.ScalarAsync<byte[]>("select private_key from identity.signing_key");

    private static void Refresh(TestService<IdentityContext> service) => service.Services.GetRequiredService<SigningKeys>().Refresh();

    private static async Task<string[]> KeysAsync(HttpClient http) =>
        [.. (await http.GetFromJsonAsync<JsonElement>("/identity/.well-known/jwks")).GetProperty("keys").EnumerateArray().Select(key => key.Text("kid")).Order()];
}
