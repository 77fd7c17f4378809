using System.Text.RegularExpressions;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace MobileIntegration.Tests.Dashboard;

/// <summary>The pages over the whole system with traffic.</summary>
[Collection(DashboardCollection.Name)]
public sealed partial class DashboardPagesTests(RunningSystem system) : IAsyncLifetime
{
    private const string Home = "gateway: GET /api/home/{**rest}";

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => system.Browsing.ClosePagesAsync();

    [Fact]
    public async Task A_broken_backend_shows_in_the_blueprint_as_calls_that_fail()
    {
        var page = await system.Browsing.LogInAsync();
        await system.SendAsync();
        await Expect(page.GetByLabel(new Regex("Calls from gateway to frontend: <?[0-9.]+/s"))).ToHaveCountAsync(1);
        await Expect(page.GetByLabel(new Regex("Calls from backends to postgres: <?[0-9.]+/s"))).ToHaveCountAsync(1);

        await Command(page, "Crm: take down");
        try
        {
            await Expect(page.GetByRole(AriaRole.Status)).ToContainTextAsync("done");
            await page.Keyboard.PressAsync("b");
            await Eventually.TrueAsync(
                async () =>
                {
                    await system.SendAsync();
                    return await page.Locator("a.arrow.failing[aria-label^='Calls from integration to backends']").CountAsync() == 1;
                },
                TimeSpan.FromSeconds(30));
            await page.Locator("a.arrow.failing[aria-label^='Calls from integration to backends']").DispatchEventAsync("click");
            await Expect(page).ToHaveURLAsync(new Regex("/traces\\?resource=backends&errors=true"));
            await Expect(page.Locator("tbody tr.error").First).ToBeVisibleAsync();
        }
        finally
        {
            await Command(page, "Crm: mend");
            await Expect(page.GetByRole(AriaRole.Status)).ToContainTextAsync("done");
        }
    }

    [Fact]
    public async Task One_request_leads_from_its_log_to_its_trace_and_from_a_metrics_exemplar_to_it_again()
    {
        var page = await system.Browsing.LogInAsync();
        await system.SendAsync();
        await page.GotoAsync($"{system.Browsing.Address}/structuredlogs?resource=gateway&text=/api/home");
        await page.Locator("td.message a").First.ClickAsync();
        var details = page.GetByRole(AriaRole.Region, new() { Name = "Log record" }).Last;
        await Expect(details).ToContainTextAsync("Gateway.RequestLog");
        await details.GetByRole(AriaRole.Link, new() { NameRegex = new Regex("^Trace ") }).ClickAsync();

        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = Home })).ToBeVisibleAsync();
        var id = TraceId().Match(page.Url).Value;
        foreach (var part in (string[])["gateway", "frontend", "integration", "backends", "→ postgres"])
        {
            await Expect(page.Locator(".waterfall .name").Filter(new() { HasText = part }).First).ToBeVisibleAsync();
        }

        var spans = await page.Locator(".waterfall tbody tr").CountAsync();
        await page.Locator(".waterfall tbody .fold").First.ClickAsync();
        await Expect(page.Locator(".waterfall tbody tr")).ToHaveCountAsync(1);
        await page.Locator(".waterfall tbody .fold").First.ClickAsync();
        // Spans that end late may have come meanwhile.
        await Expect(page.Locator(".waterfall tbody tr").Nth(spans - 1)).ToBeVisibleAsync();
        await page.Locator(".waterfall tbody .name a").First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Region, new() { Name = "Span", Exact = true })).ToContainTextAsync("http.request.method");

        var route = Uri.EscapeDataString("http.route=/api/home/{**rest}");
        await page.GotoAsync($"{system.Browsing.Address}/metrics?resource=gateway&instrument=http.server.request.duration&window=15&dim={route}");
        await page.Locator($".exemplars a[href*='{id}']").First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = Home })).ToBeVisibleAsync();
        Assert.Contains(id, page.Url, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Filters_narrow_what_is_listed_and_are_in_the_address()
    {
        var page = await system.Browsing.LogInAsync();
        await system.SendAsync();
        await page.Keyboard.PressAsync("t");
        await Expect(page.Locator("tbody tr").Filter(new() { HasText = Home }).First).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "+ Filter" }).ClickAsync();
        await page.GetByLabel("Field").FillAsync("http.request.method");
        await page.GetByLabel("Value").FillAsync("BREW");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add" }).ClickAsync();
        await Expect(page.GetByText("No traces fit")).ToBeVisibleAsync();
        await page.GetByLabel("Use filter http.request.method").UncheckAsync();
        await Expect(page.Locator("tbody tr").First).ToBeVisibleAsync();
        await page.GetByLabel("At least").FillAsync("3600000");
        await Expect(page.GetByText("No traces fit")).ToBeVisibleAsync();

        var other = await page.Context.NewPageAsync();
        await other.GotoAsync(page.Url);
        await Expect(other.GetByLabel("Use filter http.request.method")).Not.ToBeCheckedAsync();
        await Expect(other.GetByLabel("At least")).ToHaveValueAsync("3600000");

        await page.Keyboard.PressAsync("Escape");
        await page.GotoAsync($"{system.Browsing.Address}/structuredlogs");
        await page.GetByLabel("Level").SelectOptionAsync("Critical");
        await Expect(page.GetByText("No log records fit these filters")).ToBeVisibleAsync();
        Assert.Contains("level=21", page.Url, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_secret_is_not_in_the_page_until_somebody_asks_for_it()
    {
        var page = await system.Browsing.LogInAsync();
        await page.GotoAsync($"{system.Browsing.Address}/resources?resource=mobile");
        var variable = page.Locator(".environment tr").Filter(new() { HasText = "ConnectionStrings__mobiledb" });
        await Expect(variable).ToContainTextAsync("●●●");
        Assert.DoesNotContain("Password=", await page.ContentAsync(), StringComparison.Ordinal);
        await variable.GetByRole(AriaRole.Button).ClickAsync();
        await Expect(variable).ToContainTextAsync("Password=");
        await Expect(page.Locator(".environment tr").Filter(new() { HasText = "ASPNETCORE_" }).First).Not.ToContainTextAsync("●●●");
    }

    [Fact]
    public async Task Console_lines_come_by_themselves_and_can_be_filtered_paused_and_taken_away()
    {
        var page = await system.Browsing.LogInAsync();
        await page.Keyboard.PressAsync("c");
        var log = page.GetByRole(AriaRole.Log);
        await page.GetByLabel("Text").FillAsync("GET /api/home/");
        await system.SendAsync();
        await Expect(log.Locator(".row").First).ToContainTextAsync("200");
        await page.GetByRole(AriaRole.Button, new() { Name = "Pause" }).ClickAsync();
        await Expect(page.Locator(".count")).ToContainTextAsync("paused");
        var before = await page.Locator(".count").TextContentAsync();
        await system.SendAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Continue" }).ClickAsync();
        await Expect(page.Locator(".count")).Not.ToHaveTextAsync(before!.Replace(", paused", "", StringComparison.Ordinal));

        var download = await page.RunAndWaitForDownloadAsync(() => page.GetByRole(AriaRole.Link, new() { Name = "Download" }).ClickAsync());
        var text = await File.ReadAllTextAsync(await download.PathAsync());
        Assert.Contains("Application started", text, StringComparison.Ordinal);
        Assert.Contains("GET /api/home/", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Telemetry_is_exported_and_imported_again_and_what_is_none_is_refused()
    {
        var page = await system.Browsing.LogInAsync();
        await system.SendAsync();
        await page.GotoAsync($"{system.Browsing.Address}/traces");
        var trace = await page.Locator("tbody tr").Filter(new() { HasText = Home }).First.GetByRole(AriaRole.Link).GetAttributeAsync("href");
        await page.GotoAsync($"{system.Browsing.Address}/runs");
        var download = await page.RunAndWaitForDownloadAsync(() => page.GetByRole(AriaRole.Link, new() { NameRegex = new Regex("^Export run of") }).First.ClickAsync());
        var zip = await download.PathAsync();

        await page.GetByLabel("Import").SetInputFilesAsync(new FilePayload { Name = "notes.json", MimeType = "application/json", Buffer = "not telemetry"u8.ToArray() });
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("notes.json was not imported");
        await page.GetByLabel("Import").SetInputFilesAsync(new FilePayload { Name = "yesterday.zip", MimeType = "application/zip", Buffer = await File.ReadAllBytesAsync(zip) });
        await Expect(page.GetByRole(AriaRole.Status)).ToContainTextAsync("Imported from yesterday.zip", new() { Timeout = 120_000 });
        await page.Locator($"a[href^='{trace}']").First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = Home })).ToBeVisibleAsync();
        await Expect(page.Locator(".past")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Keys_lead_to_pages_and_the_theme_is_kept()
    {
        var page = await system.Browsing.LogInAsync();
        await page.Keyboard.PressAsync("?");
        await Expect(page.GetByRole(AriaRole.Dialog)).ToContainTextAsync("Keyboard shortcuts");
        await page.Keyboard.PressAsync("Escape");
        foreach (var (key, name) in new[] { ("s", "Structured logs"), ("m", "Metrics"), ("y", "Runs"), ("b", "Blueprint") })
        {
            await page.Keyboard.PressAsync(key);
            await Expect(page.GetByRole(AriaRole.Heading, new() { Name = name, Level = 1 })).ToBeVisibleAsync();
        }

        await page.GetByLabel("Theme").SelectOptionAsync("dark");
        await page.ReloadAsync();
        await Expect(page.Locator("html")).ToHaveAttributeAsync("data-theme", "dark");
        await Expect(page.GetByLabel("Theme")).ToHaveValueAsync("dark");
    }

    [Theory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task No_page_has_a_serious_barrier(ColorScheme scheme)
    {
        var page = await system.Browsing.LogInAsync(scheme: scheme);
        var problems = new List<string>();
        var options = new AxeRunOptions { ResultTypes = [ResultType.Violations] };
        if (scheme == ColorScheme.Dark)
        {
            // The same elements in other colours.
            options.RunOnly = RunOnlyOptions.Rules("color-contrast", "link-in-text-block");
        }

        foreach (var path in await PathsAsync(page))
        {
            await ShowAsync(page, path);
#pragma warning disable CS0618 // The other way opens a second page for each look to gather what frames hold, which takes twice as long; there are no frames.
            var result = await page.Locator("html").RunAxeLegacy(options);
#pragma warning restore CS0618
            problems.AddRange(result.Violations.Where(one => one.Impact is "serious" or "critical")
                .SelectMany(one => one.Nodes.Select(node => $"{path}: {one.Id} {node.Html[..Math.Min(160, node.Html.Length)]} {node.Any.FirstOrDefault()?.Message}")));
        }

        Assert.Empty(problems);
    }

    [Fact]
    public async Task No_page_scrolls_sideways_on_a_phone()
    {
        var page = await system.Browsing.LogInAsync(width: 400);
        foreach (var path in await PathsAsync(page))
        {
            await ShowAsync(page, path);
            Assert.Equal((path, 0), (path, await page.EvaluateAsync<int>("document.documentElement.scrollWidth - document.documentElement.clientWidth")));
        }
    }

    /// <summary>The README's pictures: taken where they are missing, or all anew with DASHBOARD_IMAGES=1.</summary>
    [Fact]
    public async Task The_READMEs_pictures_can_be_taken_from_the_running_system()
    {
        var page = await system.Browsing.LogInAsync();
        for (var i = 0; i < 30; i++)
        {
            await system.SendAsync();
        }

        await page.GotoAsync($"{system.Browsing.Address}/traces?text={Uri.EscapeDataString("/api/home")}");
        var trace = await page.Locator("tbody td a").First.GetAttributeAsync("href");
        var folder = Path.Combine(Root(), "docs", "images");
        Directory.CreateDirectory(folder);
        foreach (var (name, path) in new[]
        {
            ("blueprint", "/"), ("resources", "/resources"), ("trace", trace!),
            ("metrics", "/metrics?resource=gateway&instrument=http.server.request.duration"),
        })
        {
            await ShowAsync(page, path);
            var picture = await page.ScreenshotAsync();
            Assert.True(picture.Length > 20_000);
            var file = Path.Combine(folder, $"{name}.png");
            if (!File.Exists(file) || Environment.GetEnvironmentVariable("DASHBOARD_IMAGES") == "1")
            {
                await File.WriteAllBytesAsync(file, picture);
            }
        }
    }

    private async Task<string[]> PathsAsync(IPage page)
    {
        await system.SendAsync();
        await page.GotoAsync($"{system.Browsing.Address}/traces");
        var trace = await page.Locator("tbody td a").First.GetAttributeAsync("href");
        return
        [
            "/", "/resources", "/resources?resource=mobile", "/parameters", "/consolelogs", "/structuredlogs", "/structuredlogs?log=1", "/traces", trace!,
            "/metrics", "/metrics?resource=gateway&table=true", "/runs",
        ];
    }

    private async Task ShowAsync(IPage page, string path)
    {
        await page.GotoAsync(system.Browsing.Address + path);
        await page.Locator("main h1").WaitForAsync();
        await page.Locator("main tbody tr, main .row, main svg.chart, main .empty").First.WaitForAsync();
    }

    private async Task Command(IPage page, string name)
    {
        await page.GotoAsync($"{system.Browsing.Address}/resources");
        await page.Locator("tr[data-resource=backends] details.menu summary").ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = name }).ClickAsync();
        if (!name.EndsWith("mend", StringComparison.Ordinal))
        {
            await Expect(page.GetByRole(AriaRole.Alertdialog)).ToContainTextAsync("will be disturbed");
            await page.GetByRole(AriaRole.Alertdialog).GetByRole(AriaRole.Button, new() { Name = name }).ClickAsync();
        }
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "MobileIntegration.sln")))
        {
            folder = folder.Parent;
        }

        return folder.FullName;
    }

    [GeneratedRegex("[0-9a-f]{32}")]
    private static partial Regex TraceId();
}
