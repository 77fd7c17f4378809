using System.Text.Json.Nodes;
using FrontendServices.Home;
using Gateway;
using IntegrationServices.Customers;
using MobileServices.Identity;

namespace MobileIntegration.Tests.Gateway.Docs;

/// <summary>A gateway before all services to which a route leads, none of which has anything behind it: they tell what they would do.</summary>
public sealed class DocumentedGateway : IAsyncLifetime
{
    public const string Document = "/docs/openapi.json";
    private TestService<IdentityContext> _mobile = null!;
    private TestService<Crm> _integration = null!;
    private TestService<HomeComposer> _frontend = null!;

    internal TestService<DiscoveredDestinations> Gateway { get; private set; } = null!;

    /// <summary>The address that tokens name as their issuer.</summary>
    internal string Issuer { get; private set; } = null!;

    /// <summary>Where the services of the gateway are.</summary>
    internal (string Key, string Value)[] Services { get; private set; } = [];

    public async Task InitializeAsync()
    {
        var database = ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync());
        var port = TestServices.FreePort();
        Issuer = $"http://127.0.0.1:{port}/identity";
        _mobile = new(port, database, ("Authentication:Authority", Issuer), ("Identity:Issuer", Issuer));
        var empty = await TestPostgres.CreateDatabaseAsync();
        _integration = new(("Run", "commands,changes"), ("ConnectionStrings:wmsdb", empty), ("ConnectionStrings:integrationdb", empty));
        _frontend = new(("ConnectionStrings:frontenddb", await TestPostgres.CreateDatabaseAsync()));
        Services =
        [
            database, ("Authentication:Authority", Issuer), ("Authentication:InternalAddress", "http://identity/identity"),
            TestServices.At("devices", _mobile.Address), TestServices.At("identity", _mobile.Address), TestServices.At("commands", _integration.Address),
            TestServices.At("changes", _integration.Address), TestServices.At("configuration", _mobile.Address), TestServices.At("push", _mobile.Address), TestServices.At("sync", _mobile.Address), TestServices.At("analytics", _mobile.Address),
            .. new[] { "home", "catalog", "app-orders", "account" }.Select(name => TestServices.At(name, _frontend.Address)),
        ];
        Gateway = Start();
        // The first document of a process may take longer than the gateway waits.
        await Eventually.TrueAsync(async () => (await DocumentAsync())["info"]!["x-not-up-to-date"] is null, TimeSpan.FromSeconds(120));
    }

    /// <summary>Another replica, with settings of its own.</summary>
    internal TestService<DiscoveredDestinations> Start(params (string Key, string Value)[] more) => new([.. Services, ("Docs:Access", "everyone"), ("Docs:RefreshSeconds", "1"), .. more]);

    internal async Task<JsonObject> DocumentAsync(TestService<DiscoveredDestinations>? gateway = null)
    {
        using var http = new HttpClient { BaseAddress = (gateway ?? Gateway).Address };
        using var response = await http.GetAsync(Document);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        var document = JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject();
        Assert.True(response.IsSuccessStatusCode, document.ToJsonString());
        return document;
    }

    public async Task DisposeAsync()
    {
        await Gateway.DisposeAsync();
        await _frontend.DisposeAsync();
        await _integration.DisposeAsync();
        await _mobile.DisposeAsync();
    }
}
