using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using Gateway;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using MobileServices.Devices;

namespace MobileIntegration.Tests.Gateway;

/// <summary>A gateway before the devices and a home that is down.</summary>
public sealed class RunningGateway : IAsyncLifetime
{
    internal TestService<DeviceStore> Devices { get; private set; } = null!;

    internal TestService<DiscoveredDestinations> Gateway { get; private set; } = null!;

    internal (string Key, string Value) Database { get; private set; }

    public async Task InitializeAsync()
    {
        Database = ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync());
        Devices = new(("Run", "devices"), Database);
        // Port 9 of this machine answers nobody.
        Gateway = new(
            ("Management:Port", $"{TestServices.FreePort()}"), Database, TestServices.At("devices", Devices.Address),
            TestServices.At("home", new("http://127.0.0.1:9")));
    }

    public async Task DisposeAsync()
    {
        await Gateway.DisposeAsync();
        await Devices.DisposeAsync();
    }
}

public sealed class GatewayTests(RunningGateway running) : IClassFixture<RunningGateway>
{
    private readonly TestService<DeviceStore> _devices = running.Devices;
    private readonly TestService<DiscoveredDestinations> _gateway = running.Gateway;

    [Fact]
    public async Task A_device_registers_through_the_gateway()
    {
        var id = Guid.NewGuid();
        var registration = new
        {
            appId = "com.example.shop",
            appVersion = "1.0.0",
            platform = "ios",
            osVersion = "18.1",
            model = "iPhone17,1",
            locale = "de",
            timeZone = "Europe/Berlin",
            pushAddresses = Array.Empty<object>(),
        };
        Assert.Equal(HttpStatusCode.Created, (await _gateway.Http.PutAsJsonAsync($"/devices/{id}", registration)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await _devices.Http.GetAsync($"/devices/{id}")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await _gateway.Http.GetAsync($"/devices/{id}")).StatusCode);
    }

    [Fact]
    public async Task A_problem_of_the_service_and_the_callers_trace_pass()
    {
        using var trace = new Activity("test").Start();
        var problem = await (await _gateway.Http.GetAsync($"/devices/{Guid.NewGuid()}")).ProblemAsync(404);
        Assert.Contains("is not registered", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(trace.TraceId.ToString(), problem.GetProperty("traceId").GetString());
    }

    [Fact]
    public async Task A_service_that_is_down_is_a_502_problem() =>
        await (await _gateway.Http.GetAsync("/api/home?customer=C-000001")).ProblemAsync(502);

    [Fact]
    public async Task A_service_that_stays_silent_is_a_504_problem()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var gateway = new TestService<DiscoveredDestinations>(
            ("Limits:RequestSeconds", "1"), running.Database, TestServices.At("home", new($"http://{silent.LocalEndpoint}")));
        var problem = await (await gateway.Http.GetAsync("/api/home?customer=C-000001")).ProblemAsync(504);
        Assert.Contains("took too long", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/customers/C-000001")]
    [InlineData("/api")]
    [InlineData("/devices/../health")]
    [InlineData("/devices/%2e%2e/health")]
    [InlineData("/crm/v1/customers")]
    public async Task What_is_not_public_is_not_there(string path) => await (await _gateway.Http.GetAsync(path)).ProblemAsync(404);

    /// <summary>As bytes, since no HTTP client would send these.</summary>
    [Theory]
    [InlineData("GET", "/devices/../health", 400)]
    [InlineData("GET", "/devices/%2e%2e/health", 400)]
    [InlineData("GET", "/devices/..%2fhealth", 400)]
    [InlineData("GET", "/devices/..\\health", 400)]
    [InlineData("GET", "//health", 400)]
    [InlineData("CONNECT", "/devices/x", 405)]
    [InlineData("TRACE", "/devices/x", 405)]
    public async Task A_request_cannot_be_turned_to_what_is_not_public(string method, string path, int status)
    {
        var answer = await RawAsync(
            $"{method} {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {TestAuthority.AllScopes}\r\nConnection: close\r\n\r\n");
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.Contains("application/problem+json", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("Healthy", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_header_in_UTF_8_passes()
    {
        var answer = await RawAsync(
            $"GET /devices/{Guid.NewGuid()} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {TestAuthority.AllScopes}\r\nConnection: close\r\nX-Name: Müller\r\n\r\n");
        Assert.Contains("is not registered", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Endpoints_that_move_are_found_again()
    {
        await using var before = new TestService<DeviceStore>(("Run", "devices"), running.Database);
        await using var gateway = new TestService<DiscoveredDestinations>(running.Database, TestServices.At("devices", before.Address));
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.Http.GetAsync($"/devices/{Guid.NewGuid()}")).StatusCode);

        await using var moved = new TestService<DeviceStore>(("Run", "devices"), running.Database);
        var configuration = (IConfigurationRoot)gateway.Services.GetRequiredService<IConfiguration>();
        configuration["services:devices:http:0"] = moved.Address.ToString();
        await before.DisposeAsync();
        configuration.Reload();

        await Eventually.TrueAsync(
            async () => (await gateway.Http.GetAsync($"/devices/{Guid.NewGuid()}")).StatusCode is HttpStatusCode.NotFound, TimeSpan.FromSeconds(30));
    }

    private Task<string> RawAsync(string request) => RawHttp.SendAsync(_gateway.Address, request);
}
