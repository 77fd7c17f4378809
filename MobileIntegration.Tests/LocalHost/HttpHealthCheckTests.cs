using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.Tests.LocalHost;

public sealed class HttpHealthCheckTests
{
    [Fact]
    public async Task A_server_that_begins_to_listen_during_a_look_is_healthy_with_that_look()
    {
        var (address, asked) = ($"http://127.0.0.1:{TestServices.FreePort()}", new TaskCompletionSource());
        var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions { DisableDashboard = true });
        ResourceBuilderExtensions.AddHttpHealthCheck(builder, "late", 200, _ =>
        {
            asked.TrySetResult();
            return ValueTask.FromResult(new Uri(address));
        });
        await using var services = builder.Services.BuildServiceProvider();
        var look = services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Name == "late");
        await asked.Task;

        var server = WebApplication.CreateBuilder([$"--urls={address}"]);
        server.Logging.ClearProviders();
        await using var app = server.Build();
        app.MapGet("/", () => "here");
        await app.StartAsync();

        Assert.Equal(HealthStatus.Healthy, (await look).Status);
    }

    [Fact]
    public async Task A_server_that_does_not_listen_is_unhealthy_and_the_address_is_named()
    {
        var address = new Uri($"http://127.0.0.1:{TestServices.FreePort()}");
        var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions { DisableDashboard = true });
        ResourceBuilderExtensions.AddHttpHealthCheck(builder, "away", 200, _ => ValueTask.FromResult(address));
        await using var services = builder.Services.BuildServiceProvider();

        var report = await services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Name == "away");

        Assert.Equal(HealthStatus.Unhealthy, report.Status);
        Assert.Contains($"{address} cannot be reached", report.Entries["away"].Description, StringComparison.Ordinal);
    }
}
