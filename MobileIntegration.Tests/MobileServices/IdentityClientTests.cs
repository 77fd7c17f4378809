using System.Diagnostics;
using System.Text.Json;
using Duende.IdentityModel.Client;
using Duende.IdentityModel.OidcClient;
using Duende.IdentityModel.OidcClient.Browser;
using static MobileIntegration.Tests.MobileServices.IdentityService;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>Other people's clients, unchanged.</summary>
public sealed class IdentityClientTests(IdentityService identity) : IClassFixture<IdentityService>
{
    [Theory]
    [InlineData("openid-client.mjs")]
    [InlineData("oauth4webapi.mjs")]
    public async Task A_JavaScript_client_logs_in_refreshes_is_refused_on_reuse_and_revokes(string script)
    {
        var start = new ProcessStartInfo("node", [Path.Combine(NpmClients.Folder(), script), identity.Issuer, "app", User, Password])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var node = Process.Start(start)!;
        var error = node.StandardError.ReadToEndAsync();
        var output = await node.StandardOutput.ReadToEndAsync();
        await node.WaitForExitAsync();
        Assert.True(node.ExitCode == 0, await error);

        var told = JsonSerializer.Deserialize<JsonElement>(output);
        Assert.Equal("Grace Hopper", told.GetProperty("idToken").Text("name"));
        Assert.Equal("grace", told.GetProperty("userInfo").Text("preferred_username"));
        Assert.True(told.GetProperty("refreshed").GetBoolean());
        Assert.True(told.GetProperty("sameSuccessor").GetBoolean());
        Assert.Equal("invalid_grant", told.Text("reuse"));
        Assert.Equal("invalid_grant", told.Text("afterReuse"));
        Assert.Equal("invalid_grant", told.Text("afterRevocation"));
        if (script is "openid-client.mjs")
        {
            Assert.True(told.GetProperty("deviceConnected").GetBoolean());
        }
    }

    [Fact]
    public async Task The_dotnet_OidcClient_logs_in_refreshes_is_refused_on_reuse_and_revokes()
    {
        var client = new OidcClient(new OidcClientOptions
        {
            Authority = identity.Issuer,
            ClientId = "app",
            Scope = "openid profile offline_access home",
            RedirectUri = Redirect,
            Browser = new LoginBrowser(identity.Http.BaseAddress!),
            Policy = { Discovery = { RequireHttps = false } },
        });
        var login = await client.LoginAsync();
        Assert.False(login.IsError, $"{login.Error} {login.ErrorDescription}");
        Assert.Equal("Grace Hopper", login.User.FindFirst("name")?.Value);

        var second = await client.RefreshTokenAsync(login.RefreshToken);
        Assert.False(second.IsError, second.Error);
        Assert.Equal(second.RefreshToken, (await client.RefreshTokenAsync(login.RefreshToken)).RefreshToken);
        var third = await client.RefreshTokenAsync(second.RefreshToken);
        Assert.Equal("invalid_grant", (await client.RefreshTokenAsync(login.RefreshToken)).Error);
        Assert.Equal("invalid_grant", (await client.RefreshTokenAsync(third.RefreshToken)).Error);

        login = await client.LoginAsync();
        using var http = new HttpClient();
        using var request = new TokenRevocationRequest { Address = $"{identity.Issuer}/connect/revoke", ClientId = "app", Token = login.RefreshToken };
        Assert.False((await http.RevokeTokenAsync(request)).IsError);
        Assert.Equal("invalid_grant", (await client.RefreshTokenAsync(login.RefreshToken)).Error);
    }

    private sealed class LoginBrowser(Uri service) : IBrowser
    {
        public async Task<BrowserResult> InvokeAsync(BrowserOptions options, CancellationToken cancellationToken = default)
        {
            using var browser = new Browser(service);
            return new() { ResultType = BrowserResultType.Success, Response = (await browser.LogInAsync(options.StartUrl, User, Password)).AbsoluteUri };
        }
    }
}
