using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using MobileIntegration.Contracts;
using MobileIntegration.Tests.AppHost;

namespace MobileIntegration.Tests.Gateway;

/// <summary>What a gateway says of itself, as a process of its own in production.</summary>
public sealed class GatewayTelemetryTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly Uri _address = new($"http://127.0.0.1:{TestServices.FreePort()}");
    private readonly List<Process> _started = [];
    private TraceReceiver _traces = null!;
    private Upstream _services = null!;
    private string _database = null!;

    public async Task InitializeAsync()
    {
        _traces = await TraceReceiver.StartAsync();
        _services = await Upstream.StartAsync(AnswerAsync);
        _database = await TestPostgres.CreateDatabaseAsync();
    }

    public async Task DisposeAsync()
    {
        foreach (var process in _started)
        {
            process.Kill();
            process.Dispose();
        }
        await _services.DisposeAsync();
        await _traces.DisposeAsync();
    }

    [Fact]
    public async Task Probes_of_health_and_polls_leave_no_spans_and_calls_do()
    {
        var gateway = Start(("OTEL_EXPORTER_OTLP_ENDPOINT", _traces.Address), ("OTEL_BSP_SCHEDULE_DELAY", "100"));
        using var http = await ClientAsync();
        foreach (var path in (string[])["/health", "/alive"])
        {
            (await http.GetAsync(path)).EnsureSuccessStatusCode();
        }
        await Eventually.TrueAsync(() => _services.Probes > 1 && Asked(AppRuleSet.Path) > 1 && Asked(Revocations.FullPath) > 1, Patience);

        // Spans go out in the order in which they end: those of all that was before are here with the last one.
        var trace = Convert.ToHexStringLower(Guid.NewGuid().ToByteArray());
        using var last = new HttpRequestMessage(HttpMethod.Get, "/api/home/last");
        last.Headers.Add("traceparent", $"00-{trace}-00f067aa0ba902b7-01");
        (await http.SendAsync(last)).EnsureSuccessStatusCode();
        var spans = await _traces.WaitForTraceAsync(trace, spans => spans.Count(span => span.Path == "/api/home/last") is 2, Patience);
        await EndAsync(gateway);

        Assert.Contains(spans, span => span.ParentSpanId == "00f067aa0ba902b7");
        Assert.DoesNotContain(_traces.All, span => span.Path is "/health" or "/alive" or AppRuleSet.Path or Revocations.FullPath);

        int Asked(string path) => _services.Journal.Count(call => call.Path.Split('?')[0] == path);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_calls_are_exported_the_console_has_no_line_for_each(bool exports)
    {
        var gateway = Start(exports ? ("OTEL_EXPORTER_OTLP_ENDPOINT", _traces.Address) : ("Logging__Console__FormatterName", "simple"));
        using var http = await ClientAsync();
        for (var call = 0; call < 5; call++)
        {
            (await http.GetAsync("/api/home")).EnsureSuccessStatusCode();
        }
        var (_, output, _) = await EndAsync(gateway);

        Assert.Equal(!exports, output.Contains("GET /api/home", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_hosting_startup_that_cannot_be_loaded_is_told()
    {
        var gateway = Start(("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "Not.Installed"));
        (await ClientAsync()).Dispose();
        var (_, output, _) = await EndAsync(gateway);

        Assert.Contains("Not.Installed", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_exception_that_ends_the_start_is_told()
    {
        var (exitCode, output, error) = await TestServices.RunToEndAsync(
            "Gateway", ("ConnectionStrings__mobiledb", _database), ("ASPNETCORE_URLS", "https://127.0.0.1:0"), ("Kestrel__Certificates__Default__Path", "/nowhere/gateway.pfx"));

        Assert.NotEqual(0, exitCode);
        Assert.Contains("/nowhere/gateway.pfx", output + error, StringComparison.Ordinal);
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        switch (context.Request.Path.Value!)
        {
            case AppRuleSet.Path:
                await Results.Text("""{"version":1,"rules":[],"blockedDevices":[]}""", "application/json").ExecuteAsync(context);
                break;
            case Revocations.FullPath:
                await Results.Text("""{"ids":[],"cursor":"1"}""", "application/json").ExecuteAsync(context);
                break;
            case var path when path.StartsWith("/identity/", StringComparison.Ordinal):
                using (var client = new HttpClient())
                {
                    await Results.Text(await client.GetStringAsync(TestAuthority.Shared.Address + path["/identity".Length..]), "application/json").ExecuteAsync(context);
                }
                break;
            default:
                await context.Response.WriteAsync("answer");
                break;
        }
    }

    private Process Start(params (string Key, string Value)[] settings)
    {
        var process = TestServices.StartProcess(
            "Gateway",
            [
                ("ASPNETCORE_URLS", $"{_address}"), ("ConnectionStrings__mobiledb", _database), ("Authentication__InternalAddress", "http://identity/identity"),
                ("AppGate__PollSeconds", "1"), ("Upstream__ProbeSeconds", "1"),
                .. new[] { "home", "devices", "identity" }.Select(name => TestServices.At(name, _services.Address)).Select(at => (at.Key.Replace(":", "__", StringComparison.Ordinal), at.Value)),
                .. settings,
            ]);
        _started.Add(process);
        return process;
    }

    private async Task<HttpClient> ClientAsync()
    {
        var client = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null }) { BaseAddress = _address };
        client.Authorize(TestAuthority.AllScopes);
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var answer = await client.GetAsync("/api/home");
                return answer.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }, Patience);
        return client;
    }

    private static async Task<(int ExitCode, string Output, string Error)> EndAsync(Process gateway)
    {
        using (var kill = Process.Start("kill", ["-TERM", $"{gateway.Id}"]))
        {
            await kill.WaitForExitAsync();
        }
        return await gateway.EndAsync();
    }
}
