using System.Diagnostics;
using System.Text.Json;
using GatewayBenchmark;
using MobileIntegration.LocalHost;

namespace FrontendBenchmark;

/// <summary>All combinations of four backend systems that are up, slow, down or refusing, and what the home page says of each.</summary>
internal static class FailureMatrix
{
    private const int DeadlineMs = 800;
    private const int MarginMs = 50;
    private static readonly (string System, string Section)[] Parts = [("crm", "profile"), ("erp", "orders"), ("pim", "suggestions"), ("wms", "stock")];
    private static readonly string[] Sizes =
    [
        "/api/home", "/api/home?sections=profile,orders&fields=profile.givenName,orders.id,orders.status,orders.total",
        "/api/catalog/products?limit=20", "/api/catalog/products/100042", "/api/catalog/products/100042?sections=product",
    ];
    private static readonly object?[] Faults = [null, new { latencyMs = 20_000 }, new { outage = true }, new { errorRate = 1, errorStatus = 503 }];

    public static async Task RunAsync(Bench bench, int requests)
    {
        var folder = Directory.CreateTempSubdirectory("frontend-benchmark-").FullName;
        var storage = DistributedApplication.CreateBuilder(new DistributedApplicationOptions
        {
            DisableDashboard = true,
            Args = ["--data-folder", folder, "DcpPublisher:RandomizePorts=true"],
        });
        var postgres = storage.AddPostgres("postgres");
        var databases = ((string[])["backenddb", "wmsdb", "integrationdb"]).Select(name => postgres.AddDatabase(name)).ToList();
        await using var cleanUp = new Removed(folder);
        await using var running = storage.Build();
        await running.StartAsync();
        var settings = new List<(string, string)>();
        foreach (var database in databases)
        {
            await running.ResourceNotifications.WaitForResourceHealthyAsync(database.Resource.Name);
            settings.Add(($"ConnectionStrings__{database.Resource.Name}", (await database.Resource.ConnectionStringExpression.GetValueAsync(default))!));
        }
        var backends = await bench.ServiceAsync("backends", "BackendSystems", [.. settings]);
        var integration = await bench.ServiceAsync(
            "integration", "IntegrationServices", [.. settings, ("Reads__FreshSeconds", "0"), ("Reads__StaleSeconds", "0"), .. At(["crm", "erp", "pim"], backends)]);
        var frontend = await bench.ServiceAsync(
            "frontend", "FrontendServices",
            [("Run", "home,catalog"), ("Sections__FreshSeconds", "0"), ("Sections__StaleSeconds", "0"), ("Home__SuggestionsSeconds", "3600"), .. At(["customers", "orders", "products", "inventory"], integration)]);

        using var switches = new HttpClient { BaseAddress = new(backends.Address) };
        using var app = new HttpClient { BaseAddress = new(frontend.Address) };
        app.DefaultRequestHeaders.Authorization = new("Bearer", bench.Token("C-000123", 1));
        await UntilFreshAsync(app, Parts.Select(part => part.Section), TimeSpan.FromMinutes(2));
        foreach (var path in Sizes)
        {
            Console.WriteLine($"{(await app.GetByteArrayAsync(new Uri(path, UriKind.Relative))).Length,7} bytes {path}");
        }
        var times = new List<double>();
        int wrong = 0, alone = 0;
        for (var combination = 0; combination < 256; combination++)
        {
            var states = Parts.Select((_, at) => combination >> (2 * at) & 3).ToArray();
            for (var at = 0; at < Parts.Length; at++)
            {
                var path = new Uri($"/{Parts[at].System}/faults", UriKind.Relative);
                using var set = Faults[states[at]] is { } fault ? await switches.PutAsJsonAsync(path, fault) : await switches.DeleteAsync(path);
                set.EnsureSuccessStatusCode();
            }
            // A system that is up again is left alone for some seconds after it failed too often; how long the answers take counts all the while.
            var missed = 0;
            for (var tries = 0; tries < 10; tries++)
            {
                var answers = await Task.WhenAll(Enumerable.Range(0, requests).Select(_ => AskAsync(app)));
                times.AddRange(answers.Select(answer => answer.Milliseconds));
                missed = 0;
                foreach (var (_, page) in answers)
                {
                    for (var at = 0; at < Parts.Length; at++)
                    {
                        var section = page.GetProperty(Parts[at].Section);
                        var status = section.GetProperty("status").GetString();
                        if (states[at] is 0)
                        {
                            missed += status is "fresh" ? 0 : 1;
                        }
                        else if (status is not "failed" || section.TryGetProperty("data", out var _) || section.GetProperty("problem").GetProperty("status").GetInt32() is < 502 or > 504)
                        {
                            wrong++;
                        }
                    }
                }
                if (missed is 0)
                {
                    break;
                }
                await Task.Delay(1000);
            }
            alone += missed;
        }
        times.Sort();
        Console.WriteLine($"256 combinations of crm, erp, pim and wms up, slow, down or refusing, {requests} requests each, deadline {DeadlineMs} ms:");
        Console.WriteLine($"p50 {Quantile(0.5):0} ms, p99 {Quantile(0.99):0} ms, longest {times[^1]:0} ms: p99 is {(Quantile(0.99) <= DeadlineMs + MarginMs ? "within" : "NOT within")} the deadline + {MarginMs} ms");
        Console.WriteLine($"sections of failing systems that did not say so: {wrong}; of systems that are up and were left alone for more than 10 s: {alone}; answers: {times.Count}");

        double Quantile(double share) => times[(int)((times.Count - 1) * share)];
    }

    /// <summary>A folder that goes when what is in it has ended.</summary>
    private sealed class Removed(string folder) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            Directory.Delete(folder, recursive: true);
            return ValueTask.CompletedTask;
        }
    }

    private static IEnumerable<(string, string)> At(string[] names, Proxy server) => names.Select(name => ($"services__{name}__http__0", server.Address));

    private static async Task UntilFreshAsync(HttpClient app, IEnumerable<string> sections, TimeSpan patience)
    {
        var began = Stopwatch.GetTimestamp();
        string[] wanted = [.. sections];
        while (wanted.Length > 0 && Stopwatch.GetElapsedTime(began) < patience)
        {
            var (_, page) = await AskAsync(app);
            if (wanted.All(section => page.GetProperty(section).GetProperty("status").GetString() == "fresh"))
            {
                return;
            }
            await Task.Delay(200);
        }
    }

    private static async Task<(double Milliseconds, JsonElement Page)> AskAsync(HttpClient app)
    {
        var began = Stopwatch.GetTimestamp();
        var page = await app.GetFromJsonAsync<JsonElement>("/api/home");
        return (Stopwatch.GetElapsedTime(began).TotalMilliseconds, page);
    }
}
