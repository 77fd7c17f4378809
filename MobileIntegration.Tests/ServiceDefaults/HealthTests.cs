using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class HealthTests
{
    [Fact]
    public async Task Health_is_open_in_production()
    {
        var (app, http) = await TestServices.StartAsync(_ => { }, _ => { });
        await using var _ = app;
        Assert.Equal("Healthy", await http.GetStringAsync("/health"));
        Assert.Equal("Healthy", await http.GetStringAsync("/alive"));
    }

    [Fact]
    public async Task A_failing_check_is_named_and_leaves_the_process_alive()
    {
        var (app, http) = await TestServices.StartAsync(
            builder => builder.Services.AddHealthChecks().AddCheck("disk", () => HealthCheckResult.Unhealthy()), _ => { });
        await using var _ = app;
        var problem = await (await http.GetAsync("/health")).ProblemAsync(503);
        Assert.Contains("disk", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal("Healthy", await http.GetStringAsync("/alive"));
    }

    [Fact]
    public async Task With_a_management_port_health_answers_there_and_nowhere_else()
    {
        var port = TestServices.FreePort();
        var (app, http) = await TestServices.StartAsync(_ => { }, app => app.MapGet("/hello", () => "hello"), $"--Management:Port={port}");
        await using var _ = app;
        using var management = new HttpClient { BaseAddress = new Uri($"http://localhost:{port}") };

        Assert.Equal("Healthy", await management.GetStringAsync("/health"));
        Assert.Equal("Healthy", await management.GetStringAsync("/alive"));
        await (await management.GetAsync("/hello")).ProblemAsync(404);

        Assert.Equal("hello", await http.GetStringAsync("/hello"));
        await (await http.GetAsync("/health")).ProblemAsync(404);
        await (await http.GetAsync("/alive")).ProblemAsync(404);
        await (await http.GetAsync("/openapi/v1.json")).ProblemAsync(404);

        // The Host header is the client's word, not where it connected to.
        using var forged = new HttpRequestMessage(HttpMethod.Get, "/health") { Headers = { Host = $"localhost:{port}" } };
        await (await http.SendAsync(forged)).ProblemAsync(404);
    }

    [Theory]
    [InlineData("http://127.0.0.1:8080;http://127.0.0.1:8081")]
    [InlineData("http://*:8081/")]
    public async Task A_management_port_where_the_service_itself_listens_ends_the_start(string urls)
    {
        var failure = await Assert.ThrowsAsync<StartException>(() => TestServices.StartAsync(_ => { }, _ => { }, "--Management:Port=8081", $"--urls={urls}"));
        Assert.StartsWith("Management:Port is 8081, the port of ", failure.Message, StringComparison.Ordinal);
    }
}
