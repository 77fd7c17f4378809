using System.Text.RegularExpressions;
using Microsoft.Playwright;
using MobileIntegration.LocalHost.Running;
using MobileIntegration.Tests.LocalHost.Running;
using static Microsoft.Playwright.Assertions;

namespace MobileIntegration.Tests.Dashboard;

/// <summary>The dashboard of a running model, in a browser.</summary>
public sealed partial class DashboardTests : IAsyncLifetime
{
    private const string Token = "token-of-this-test";
    private const string Chromium = "/usr/bin/chromium";
    private readonly string _data = Path.Combine(Path.GetTempPath(), $"apphost-{Guid.CreateVersion7():n}");
    private AppHostProcess _appHost = null!;
    private IPlaywright _playwright = null!;
    private IBrowser _browser = null!;
    private IPage _page = null!;
    private string _address = null!;

    public async Task InitializeAsync()
    {
        _appHost = new AppHostProcess(_data, ["--only", "mobile,redis", $"AppHost:BrowserToken={Token}"]);
        await _appHost.WaitForLineAsync("resources are healthy", TimeSpan.FromSeconds(90));
        _address = Address().Match(_appHost.Lines.First(line => line.Contains("Login to the dashboard", StringComparison.Ordinal))).Value;
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = File.Exists(Chromium) ? Chromium : null,
            Args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        });
        _page = await _browser.NewPageAsync();
        _page.SetDefaultTimeout(30_000);
    }

    public async Task DisposeAsync()
    {
        await _browser.DisposeAsync();
        _playwright.Dispose();
        Unix.SignalTree(_appHost.Id, Unix.SigInt);
        await _appHost.Exited.WaitAsync(TimeSpan.FromSeconds(20));
        Directory.Delete(_data, recursive: true);
    }

    [Fact]
    public async Task A_developer_logs_in_stops_a_service_and_starts_it_again()
    {
        var refused = await _page.GotoAsync($"{_address}/login?t=wrong");
        Assert.Equal(401, refused!.Status);
        await _page.GotoAsync($"{_address}/resources");
        Assert.Contains("/login", _page.Url, StringComparison.Ordinal);

        var foreign = new List<string>();
        _page.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(_address, StringComparison.Ordinal) && !request.Url.StartsWith("data:", StringComparison.Ordinal))
            {
                foreign.Add(request.Url);
            }
        };
        await _page.GotoAsync($"{_address}/login?t={Token}");
        await Expect(_page.GetByRole(AriaRole.Heading, new() { Name = "Blueprint" })).ToBeVisibleAsync();
        await Expect(_page.GetByRole(AriaRole.Link, new() { Name = "mobile: Running, Healthy" })).ToBeVisibleAsync();

        await _page.GetByRole(AriaRole.Link, new() { Name = "Resources" }).ClickAsync();
        var service = _page.Locator("tr[data-resource=mobile]");
        await service.Locator("fluent-button", new() { HasText = "Stop" }).ClickAsync();
        await Expect(service.Locator(".state")).ToHaveTextAsync("Finished");
        await service.Locator("fluent-button", new() { HasText = "Start" }).ClickAsync();
        await Expect(service).ToContainTextAsync("Healthy", new() { Timeout = 30_000 });

        await service.GetByRole(AriaRole.Link, new() { Name = "mobile", Exact = true }).ClickAsync();
        await Expect(_page.GetByRole(AriaRole.Log)).ToContainTextAsync("Application started");
        Assert.Empty(foreign);
    }

    [GeneratedRegex("http://localhost:[0-9]+")]
    private static partial Regex Address();
}
