using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>What a caller sees of a backend system that is down, slow or refusing.</summary>
[Collection(nameof(BackOffice))]
public sealed class FailingBackendTests(BackOffice office)
{
    private static readonly Dictionary<string, string> Paths = new()
    {
        ["crm"] = "/customers/C-000001",
        ["erp"] = "/orders?customer=C-000001",
        ["pim"] = "/products/100001",
        ["wms"] = "/stock?products=100001",
    };

    [Theory]
    [InlineData("crm")]
    [InlineData("erp")]
    [InlineData("pim")]
    [InlineData("wms")]
    public async Task A_slow_system_is_a_504_that_names_it(string system)
    {
        await office.WithFaultAsync(system, new { latencyMs = 3000 }, () => FailsAsync(system, 504));
        await RecoversAsync(system);
    }

    [Theory]
    [InlineData("crm")]
    [InlineData("erp")]
    [InlineData("pim")]
    public async Task A_refusing_system_is_a_503_that_names_it(string system)
    {
        await office.WithFaultAsync(system, new { errorRate = 1, errorStatus = 503 }, () => FailsAsync(system, 503));
        await RecoversAsync(system);
    }

    [Fact]
    public async Task A_database_without_a_free_session_is_a_503()
    {
        await office.WithFaultAsync("wms", new { errorRate = 1 }, () => FailsAsync("wms", 503));
        await RecoversAsync("wms");
    }

    [Theory]
    [InlineData("crm")]
    [InlineData("erp")]
    [InlineData("pim")]
    public async Task A_failing_system_is_a_502_that_names_it(string system)
    {
        await office.WithFaultAsync(system, new { errorRate = 1, errorStatus = 500 }, () => FailsAsync(system, 502));
        await RecoversAsync(system);
    }

    [Theory]
    [InlineData("crm", 502)]
    [InlineData("erp", 502)]
    [InlineData("pim", 502)]
    [InlineData("wms", 503)]
    public async Task A_system_that_cuts_the_connection_is_named(string system, int status)
    {
        await office.WithFaultAsync(system, new { outage = true }, () => FailsAsync(system, status));
        await RecoversAsync(system);
    }

    [Theory]
    [InlineData("crm")]
    [InlineData("erp")]
    [InlineData("pim")]
    public async Task An_answer_that_drips_in_is_given_up(string system)
    {
        await office.WithFaultAsync(system, new { dripBytesPerSecond = 5 }, () => FailsAsync(system, 504));
        await RecoversAsync(system);
    }

    [Fact]
    public async Task In_development_a_failing_system_is_told_as_in_production()
    {
        // Port 9 of this machine answers nobody.
        await using var service = new TestService<global::IntegrationServices.Customers.Crm>(
            ("environment", "Development"), ("Run", "customers"), ("ConnectionStrings:integrationdb", office.IntegrationDatabase), TestServices.At("crm", new("http://127.0.0.1:9")));
        Assert.True(service.Services.GetRequiredService<IHostEnvironment>().IsDevelopment());
        var problem = await (await service.Http.GetAsync(Paths["crm"])).ProblemAsync(503);
        Assert.Equal("crm", problem.GetProperty("system").GetString());
    }

    private async Task FailsAsync(string system, int status)
    {
        var response = await office.Integration.Http.GetAsync(Paths[system]);
        var problem = await response.ProblemAsync(status);
        Assert.Equal(system, problem.GetProperty("system").GetString());
        Assert.True(response.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
    }

    private Task RecoversAsync(string system) => Eventually.TrueAsync(
        async () => (await office.Integration.Http.GetAsync(Paths[system])).StatusCode is HttpStatusCode.OK, TimeSpan.FromSeconds(15));
}
