using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MobileIntegration.Tests.MobileServices;

namespace MobileIntegration.Tests.AppHost;

/// <summary>The whole system, started once by its own AppHost.cs for all tests of one topology.</summary>
public abstract class RunningSystem(params string[] args) : IAsyncLifetime
{
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(180);
    private static readonly string[] Processes = ["gateway", "frontend", "integration", "mobile", "backends"];

    public DistributedApplication App { get; private set; } = null!;

    public TraceReceiver Traces { get; private set; } = null!;

    /// <summary>The services that answer for the home page, from the gateway to the back office.</summary>
    public abstract IReadOnlyList<string> HomeServices { get; }

    protected virtual IReadOnlyList<string> Resources => Processes;

    public async Task InitializeAsync()
    {
        using var patience = new CancellationTokenSource(StartPatience);
        Traces = await TraceReceiver.StartAsync();
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MobileIntegration_AppHost>(
            [.. args, $"ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL={Traces.Address}"], patience.Token);
        builder.Services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Warning));
        App = await builder.BuildAsync(patience.Token);
        await App.StartAsync(patience.Token);
        await Task.WhenAll(Resources.Select(resource => App.ResourceNotifications.WaitForResourceHealthyAsync(resource, patience.Token)));
    }

    public async Task DisposeAsync()
    {
        await App.DisposeAsync();
        await Traces.DisposeAsync();
    }

    /// <summary>A client of the gateway with a token of the back office, which sees all customers.</summary>
    public async Task<HttpClient> GatewayAsync()
    {
        var gateway = App.CreateHttpClient("gateway", "http");
        var tokens = await IdentityService.TokenAsync(
            gateway, "client_credentials", ("client_id", "development-back-office"), ("client_secret", "development-only-not-a-secret"),
            ("scope", "home catalog devices customers"));
        gateway.Authorize(tokens.Text("access_token"));
        // However long a loaded machine takes.
        gateway.DefaultRequestHeaders.Add("Prefer", "wait=25");
        return gateway;
    }

    /// <summary>The process that runs the identity service.</summary>
    public abstract string Identity { get; }

    /// <summary>The address of a microservice, whichever process runs it.</summary>
    public abstract HttpClient ClientOf(string microservice);
}

public sealed class GroupedSystem() : RunningSystem
{
    public override IReadOnlyList<string> HomeServices { get; } = ["gateway", "frontend", "integration", "backends"];

    public override string Identity => "mobile";

    public override HttpClient ClientOf(string microservice) => App.CreateHttpClient(microservice switch
    {
        "crm" or "erp" or "pim" or "wms" => "backends",
        "devices" or "identity" or "configuration" or "push" or "sync" or "analytics" => "mobile",
        _ => "integration",
    });
}

public sealed class SplitSystem() : RunningSystem("Topology=split")
{
    public override IReadOnlyList<string> HomeServices { get; } = ["gateway", "home", "customers", "products", "orders", "inventory", "crm", "pim", "erp"];

    protected override IReadOnlyList<string> Resources { get; } =
        ["gateway", "home", "catalog", "app-orders", "account", "customers", "products", "orders", "inventory", "commands", "changes", "devices", "configuration", "push", "sync", "analytics", "identity", "crm", "erp", "pim", "wms"];

    public override string Identity => "identity";

    public override HttpClient ClientOf(string microservice) => App.CreateHttpClient(microservice);
}
