using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Microsoft.Playwright;

namespace MobileIntegration.Tests.Dashboard;

/// <summary>The gateway's page about the API, in a browser.</summary>
[Collection(DashboardCollection.Name)]
public sealed class DocsPageTests(RunningSystem system)
{
    [Fact]
    public async Task The_development_account_logs_in_on_the_page_and_makes_a_call()
    {
        var page = await system.Browsing.NewPageAsync();
        var foreign = new ConcurrentBag<string>();
        var complaints = new ConcurrentBag<string>();
        page.Context.Request += (_, request) =>
        {
            if (request.Url.StartsWith("http", StringComparison.Ordinal) && !request.Url.StartsWith(system.Browsing.Gateway, StringComparison.Ordinal))
            {
                foreign.Add(request.Url);
            }
        };
        page.Console += (_, message) =>
        {
            if (message.Text.Contains("Content Security Policy", StringComparison.OrdinalIgnoreCase))
            {
                complaints.Add(message.Text);
            }
        };
        await page.GotoAsync($"{system.Browsing.Gateway}/docs");
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Mobile API" })).ToBeVisibleAsync();

        var login = await page.RunAndWaitForPopupAsync(() => page.GetByRole(AriaRole.Button, new() { Name = "Authorize" }).ClickAsync());
        await login.GetByLabel("User name").FillAsync("ada");
        await login.GetByLabel("Password").FillAsync("development-only");
        await login.GetByRole(AriaRole.Button, new() { Name = "Log in" }).ClickAsync();
        var closed = new TaskCompletionSource();
        login.Close += (_, _) => closed.TrySetResult();
        await login.GetByRole(AriaRole.Button, new() { Name = "Allow", Exact = true }).ClickAsync();
        await closed.Task.WaitAsync(TimeSpan.FromSeconds(60));

        await page.GotoAsync($"{system.Browsing.Gateway}/docs/#tag/home/GET/api/home");
        await page.GetByRole(AriaRole.Button, new() { Name = "Test Request (get /api/home)" }).ClickAsync();
        var client = page.GetByRole(AriaRole.Dialog, new() { Name = "API Client" });
        // A home page that is late on a busy machine is a 503 or 504, or lacks the section that came too late: asked again.
        await Eventually.TrueAsync(
            async () =>
            {
                await client.GetByRole(AriaRole.Button, new() { Name = "Send get request to" }).ClickAsync();
                var status = client.GetByText(new Regex("^[2-5][0-9]{2} "));
                await status.First.WaitForAsync();
                return (await status.First.TextContentAsync())!.StartsWith("200", StringComparison.Ordinal) && await ShowsCustomerAsync(client);
            },
            TimeSpan.FromSeconds(120));
        await ShootAsync(page, "docs-answer");
        Assert.Empty(complaints);
        Assert.Empty(foreign);
    }

    private static async Task<bool> ShowsCustomerAsync(ILocator client)
    {
        try
        {
            await client.GetByText("C-000123").First.WaitForAsync(new() { Timeout = 10_000 });
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private static Task ShootAsync(IPage page, string name) => Environment.GetEnvironmentVariable("SCREENSHOTS") is { Length: > 0 } folder
        ? page.ScreenshotAsync(new() { Path = Path.Combine(folder, $"{name}.png") })
        : Task.CompletedTask;
}
