using MobileServices.Identity;

namespace MobileIntegration.Tests.MobileServices;

public sealed class IdentityStartTests
{
    [Fact]
    public async Task With_an_external_authority_it_is_not_run_and_says_so()
    {
        using var process = TestServices.StartProcess(
            "MobileServices", ("Run", "devices,identity"), ("Authentication__Authority", "https://login.example.com"),
            ("ConnectionStrings__mobiledb", await TestPostgres.CreateDatabaseAsync()));
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            string? line;
            do
            {
                line = await process.StandardOutput.ReadLineAsync(patience.Token);
            }
            while (line is not null && !line.Contains("identity slice", StringComparison.Ordinal));
            Assert.Contains("tokens come from https://login.example.com", line, StringComparison.Ordinal);
        }
        finally
        {
            process.Kill();
        }

        await using var service = new TestService<IdentityContext>(
            ("Run", "devices,identity"), ("Authentication:Authority", "https://login.example.com"),
            ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()));
        await (await service.Http.GetAsync("/identity/.well-known/openid-configuration")).ProblemAsync(404);
    }

    [Theory]
    [InlineData("Identity__Issuer", null, "Identity:Issuer is ''. Set it to the public address of the gateway followed by /identity")]
    [InlineData("Identity__Issuer", "http://shop.example.com/identity", "https, or http on this machine")]
    [InlineData("Identity__Issuer", "https://shop.example.com/", "followed by /identity")]
    [InlineData("Identity__ReplaySeconds", "1000", "Identity:ReplaySeconds must be from 0 to 300.")]
    [InlineData("Identity__Clients__app__RedirectUris__0", "http://shop.example.com/callback", "Use https://..., a private scheme")]
    [InlineData("Identity__Clients__app__RedirectUris__0", "shop:/callback", "Use https://..., a private scheme")]
    [InlineData("Identity__Clients__app__Scopes__0", "everything", "Identity:Clients:app:Scopes names 'everything', which there is not. Valid: openid,")]
    [InlineData("Identity__Clients__app__Secret", "short", "Identity:Clients:app:Secret is shorter than 24 characters.")]
    public async Task A_setting_that_is_wrong_is_named_with_its_mend(string key, string? value, string message)
    {
        List<(string, string)> settings = [("Run", "identity"), ("ConnectionStrings__mobiledb", "Host=127.0.0.1;Port=9")];
        if (key != "Identity__Issuer")
        {
            settings.Add(("Identity__Issuer", "https://shop.example.com/identity"));
        }
        if (value is not null)
        {
            settings.Add((key, value));
        }
        var (exitCode, _, error) = await TestServices.RunToEndAsync("MobileServices", [.. settings]);
        Assert.Equal(1, exitCode);
        Assert.StartsWith("error: ", error, StringComparison.Ordinal);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
    }
}
