using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace MobileIntegration.Tests.Dashboard;

/// <summary>The dashboard of a small model, whose resources the tests stop and start.</summary>
[Collection(DashboardCollection.Name)]
public sealed class DashboardTests : IAsyncLifetime
{
    private readonly Browsing _browsing = new();

    public Task InitializeAsync() => _browsing.StartAsync("--only", "frontend");

    public async Task DisposeAsync() => await _browsing.DisposeAsync();

    [Fact]
    public async Task A_developer_logs_in_and_stops_what_others_wait_for_then_finds_the_run_after_a_restart()
    {
        var address = _browsing.Address;
        var page = await _browsing.NewPageAsync();
        var refused = await page.GotoAsync($"{address}/login?t=wrong");
        Assert.Equal(401, refused!.Status);
        await page.GotoAsync($"{address}/resources");
        Assert.Contains("/login", page.Url, StringComparison.Ordinal);

        var foreign = new List<string>();
        page.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(address, StringComparison.Ordinal) && !request.Url.StartsWith("data:", StringComparison.Ordinal))
            {
                foreign.Add(request.Url);
            }
        };
        await page.GotoAsync($"{address}/login?t={Browsing.Token}");
        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "frontend: Running" })).ToBeVisibleAsync();

        await page.Keyboard.PressAsync("r");
        var service = page.Locator("tr[data-resource=frontend]");
        var database = page.Locator("tr[data-resource=postgres]");
        await database.GetByRole(AriaRole.Button, new() { Name = "Stop postgres" }).ClickAsync();
        await Expect(database.Locator(".state")).ToHaveTextAsync("Finished");
        await service.GetByRole(AriaRole.Button, new() { Name = "Stop frontend" }).ClickAsync();
        await Expect(service.Locator(".state")).ToHaveTextAsync("Finished");
        await service.GetByRole(AriaRole.Button, new() { Name = "Start frontend" }).ClickAsync();
        await Expect(service.Locator(".state")).ToHaveTextAsync("Waiting");
        await Expect(service).ToContainTextAsync("waits for");
        await database.GetByRole(AriaRole.Button, new() { Name = "Start postgres" }).ClickAsync();
        await Expect(service.Locator(".state")).ToHaveTextAsync("Running", new() { Timeout = 60_000 });
        await Expect(service).ToContainTextAsync("Healthy");

        await service.GetByRole(AriaRole.Link, new() { Name = "frontend", Exact = true }).ClickAsync();
        await page.GetByRole(AriaRole.Region, new() { Name = "Details of frontend" }).GetByRole(AriaRole.Link, new() { Name = "Console" }).ClickAsync();
        // Lines that came since may have pushed it out of sight.
        await page.GetByLabel("Text").FillAsync("Application started");
        await Expect(page.GetByRole(AriaRole.Log)).ToContainTextAsync("Application started");
        await page.GotoAsync($"{address}/traces?health=true");
        await Expect(page.Locator("tbody tr").First).ToBeVisibleAsync();
        Assert.Empty(foreign);

        await _browsing.StopAsync();
        await _browsing.StartAsync("--only", "frontend");
        page = await _browsing.LogInAsync();
        await page.Keyboard.PressAsync("y");
        await Expect(page.Locator("tr[data-run]")).ToHaveCountAsync(2);
        await page.Locator("tr[data-run]").Last.GetByRole(AriaRole.Button).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Status)).ToContainTextAsync("Past run of");
        await page.GetByRole(AriaRole.Link, new() { Name = "Logs", Exact = true }).First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Region, new() { Name = "Log records" })).ToContainTextAsync("Application is shutting down");
        await page.GetByRole(AriaRole.Button, new() { Name = "Back to now" }).ClickAsync();
        await Expect(page.Locator(".past")).ToHaveCountAsync(0);
    }
}
