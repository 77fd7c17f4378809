using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using MobileIntegration.LocalHost.Running;
using MobileIntegration.Tests.LocalHost.Running;
using MobileIntegration.Tests.MobileServices;

namespace MobileIntegration.Tests.Dashboard;

/// <summary>An AppHost with its dashboard, and a browser.</summary>
internal sealed partial class Browsing : IAsyncDisposable
{
    public const string Token = "token-of-this-test";
    private const string Chromium = "/usr/bin/chromium";
    private readonly string _data = Path.Combine(Path.GetTempPath(), $"apphost-{Guid.CreateVersion7():n}");
    private AppHostProcess _appHost = null!;
    private IPlaywright _playwright = null!;
    private IBrowser _browser = null!;

    public string Address { get; private set; } = null!;

    public string Gateway { get; private set; } = "";

    /// <summary>Starts what the arguments select, or starts it again with the same data.</summary>
    public async Task StartAsync(params string[] args)
    {
        _appHost = new AppHostProcess(_data, [.. args, $"AppHost:BrowserToken={Token}"]);
        await _appHost.WaitForLineAsync("resources are healthy", TimeSpan.FromSeconds(150));
        Address = AddressIn("Login to the dashboard at");
        Gateway = _appHost.Lines.Any(line => line.Contains("gateway: http", StringComparison.Ordinal)) ? AddressIn("gateway: http") : "";
        if (_playwright is null)
        {
            Assertions.SetDefaultExpectTimeout(60_000);
            _playwright = await Playwright.CreateAsync();
            _browser = await _playwright.Chromium.LaunchAsync(new()
            {
                ExecutablePath = File.Exists(Chromium) ? Chromium : null,
                Args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            });
        }
    }

    public async Task StopAsync()
    {
        Unix.SignalTree(_appHost.Id, Unix.SigInt);
        await _appHost.Exited.WaitAsync(TimeSpan.FromSeconds(40));
    }

    /// <summary>A page of a browser that knows nothing of the others.</summary>
    public async Task<IPage> NewPageAsync(int width = 1366, ColorScheme scheme = ColorScheme.Light)
    {
        var context = await _browser.NewContextAsync(new() { ViewportSize = new() { Width = width, Height = 860 }, ColorScheme = scheme, AcceptDownloads = true });
        var page = await context.NewPageAsync();
        page.SetDefaultTimeout(60_000);
        return page;
    }

    /// <summary>A page after the login.</summary>
    public async Task<IPage> LogInAsync(int width = 1366, ColorScheme scheme = ColorScheme.Light)
    {
        var page = await NewPageAsync(width, scheme);
        await page.GotoAsync($"{Address}/login?t={Token}");
        await page.GetByRole(AriaRole.Heading, new() { Name = "Blueprint" }).WaitForAsync();
        return page;
    }

    /// <summary>Ends all pages: those that nobody looks at any more are drawn anew four times a second all the same.</summary>
    public async Task ClosePagesAsync()
    {
        foreach (var context in _browser.Contexts.ToArray())
        {
            await context.CloseAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
            _playwright.Dispose();
        }

        if (!_appHost.Exited.IsCompleted)
        {
            await StopAsync();
        }

        Directory.Delete(_data, recursive: true);
    }

    private string AddressIn(string line) => Http().Match(_appHost.Lines.First(one => one.Contains(line, StringComparison.Ordinal))).Value;

    [GeneratedRegex("http://localhost:[0-9]+")]
    private static partial Regex Http();
}

/// <summary>One whole system for all tests that leave it as it was.</summary>
public sealed class RunningSystem : IAsyncLifetime
{
    private readonly HttpClient _client = new();
    private int _customer = 100;
    private long _authorized;

    internal Browsing Browsing { get; } = new();

    public async Task InitializeAsync()
    {
        await Browsing.StartAsync();
        await Eventually.TrueAsync(async () => (await CallAsync()).IsSuccessStatusCode, TimeSpan.FromSeconds(60));
    }

    public async Task DisposeAsync() => await Browsing.DisposeAsync();

    /// <summary>A request of a customer of whom nothing is in a cache, let in by the gateway.</summary>
    public async Task<HttpResponseMessage> SendAsync()
    {
        var response = await CallAsync();
        Assert.NotEqual(HttpStatusCode.Unauthorized, response.StatusCode);
        return response;
    }

    private async Task<HttpResponseMessage> CallAsync()
    {
        // Tests of this collection may take longer than the ten minutes that a token is good for.
        if (_authorized == 0 || Stopwatch.GetElapsedTime(_authorized) > TimeSpan.FromMinutes(5))
        {
            using var gateway = new HttpClient { BaseAddress = new(Browsing.Gateway) };
            var tokens = await IdentityService.TokenAsync(
                gateway, "client_credentials", ("client_id", "development-back-office"), ("client_secret", "development-only-not-a-secret"), ("scope", "home customers"));
            _client.Authorize(tokens.Text("access_token"));
            _authorized = Stopwatch.GetTimestamp();
        }

        return await _client.GetAsync(new Uri($"{Browsing.Gateway}/api/home?customer=C-{Interlocked.Increment(ref _customer):000000}"));
    }
}

/// <summary>Tests of the dashboard run one after another: each starts a system.</summary>
[CollectionDefinition(Name)]
public sealed class DashboardCollection : ICollectionFixture<RunningSystem>
{
    public const string Name = "dashboard";
}
