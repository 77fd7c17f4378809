using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;
using static MobileIntegration.Tests.MobileServices.IdentityService;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>The pages in a real browser, which keeps their security policy, with scripts switched off.</summary>
public sealed class IdentityPageTests(IdentityService identity) : IClassFixture<IdentityService>
{
    private const string Chromium = "/usr/bin/chromium";

    [Fact]
    public async Task A_user_logs_in_with_the_keyboard_and_without_scripts_and_comes_back_to_the_app()
    {
        var app = $"http://127.0.0.1:{TestServices.FreePort()}";
        await using var listener = StartApp(app);
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = File.Exists(Chromium) ? Chromium : null,
            Args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        });
        var page = await browser.NewPageAsync(new() { JavaScriptEnabled = false });
        page.SetDefaultTimeout(30_000);
        var complaints = new List<string>();
        page.Console += (_, message) => complaints.Add(message.Text);
        var (address, verifier) = AuthorizeAddress(redirect: $"{app}/callback");

        await page.GotoAsync($"{new Uri(identity.Issuer).GetLeftPart(UriPartial.Authority)}{address}");
        await page.GetByLabel("User name").FillAsync(User);
        await page.GetByLabel("Password").FillAsync("wrong");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("wrong");
        complaints.Clear();
        await page.GetByLabel("User name").FillAsync(User);
        await page.GetByLabel("Password").FillAsync(Password);
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByRole(AriaRole.Heading)).ToContainTextAsync("asks for your consent");
        await page.GetByRole(AriaRole.Button, new() { Name = "Allow", Exact = true }).ClickAsync();

        await Expect(page.GetByText("Back in the app")).ToBeVisibleAsync();
        Assert.Matches(new Regex($"^{Regex.Escape(app)}/callback\\?"), page.Url);
        Assert.Empty(complaints);
        Assert.Equal("Bearer", (await identity.RedeemAsync(new Uri(page.Url), verifier, redirect: $"{app}/callback")).Text("token_type"));
    }

    private static WebApplication StartApp(string address)
    {
        var builder = WebApplication.CreateBuilder([$"--urls={address}"]);
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.MapGet("/callback", () => Results.Content("Back in the app", "text/html"));
        app.MapGet("/favicon.ico", () => Results.NoContent());
        app.Start();
        return app;
    }
}
