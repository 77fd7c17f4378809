using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Playwright;
using MobileIntegration.LocalHost.Dashboard;
using static Microsoft.Playwright.Assertions;

namespace MobileIntegration.Tests.Dashboard;

/// <summary>A model whose parameter nobody has set.</summary>
[Collection(DashboardCollection.Name)]
public sealed class ParametersTests(RunningSystem system) : IDisposable
{
    private const string Given = "given on a page";
    private readonly string _folder = Directory.CreateTempSubdirectory("parameters-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_missing_value_is_given_on_the_page_and_what_waits_for_it_starts_and_the_next_run_has_it()
    {
        await using (var app = Model())
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(120));
            var starting = app.StartAsync(patience.Token);
            var dashboard = app.Services.GetRequiredService<DashboardHost>();
            using var http = new HttpClient();
            await Eventually.TrueAsync(() => ListensAsync(http, dashboard.LoginUrl), TimeSpan.FromSeconds(60));

            var page = await system.Browsing.NewPageAsync();
            await page.GotoAsync(dashboard.LoginUrl!);
            await page.GotoAsync(new Uri(new Uri(dashboard.LoginUrl!), "/parameters").ToString());
            var row = page.Locator("tr[data-parameter=api-key]");
            await Expect(row.Locator(".state")).ToHaveTextAsync(KnownResourceStates.ValueMissing);
            Assert.NotEqual(KnownResourceStates.Running, State(app));

            await page.GetByLabel("Value of api-key").FillAsync(Given);
            await row.GetByRole(AriaRole.Button, new() { Name = "Set" }).ClickAsync();
            await Expect(page.GetByRole(AriaRole.Status)).ToContainTextAsync("kept in the user secrets");
            await Expect(row).Not.ToContainTextAsync(Given);
            await starting;
            Assert.Equal(Given, await FirstLineAsync(app, patience.Token));
        }

        await using var again = Model();
        await again.StartAsync();
        Assert.Equal(Given, await FirstLineAsync(again, CancellationToken.None));
    }

    private DistributedApplication Model()
    {
        var builder = new DistributedApplicationBuilder(new DistributedApplicationOptions
        {
            Args = ["--environment=Development", "--Dashboard:AwaitParameters=true", "--data-folder", Path.Combine(_folder, "data")],
            ProjectDirectory = _folder,
            UserSecretsPath = Path.Combine(_folder, "secrets", "secrets.json"),
        });
        builder.Services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Warning));
        var key = builder.AddParameter("api-key", secret: true);
        builder.AddExecutable("client", "/bin/sh", _folder, "-c", "echo \"$KEY\"; exec sleep 600").WithEnvironment("KEY", key);
        return builder.Build();
    }

    private static async Task<bool> ListensAsync(HttpClient http, string? address)
    {
        try
        {
            return address is not null && (await http.GetAsync(address)).IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static string? State(DistributedApplication app) =>
        app.ResourceNotifications.TryGetCurrentState("client", out var client) ? client.Snapshot.State?.Text : null;

    private static async Task<string> FirstLineAsync(DistributedApplication app, CancellationToken ct)
    {
        await foreach (var lines in app.Services.GetRequiredService<ResourceLoggerService>().WatchAsync("client").WithCancellation(ct))
        {
            if (lines.Select(line => line.Content).FirstOrDefault(line => line.Contains(Given, StringComparison.Ordinal)) is { } line)
            {
                return line[line.IndexOf(Given, StringComparison.Ordinal)..];
            }
        }
        return "";
    }
}
