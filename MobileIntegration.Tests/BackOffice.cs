using System.Net.Http.Json;
using BackendSystems.Crm;
using FrontendServices.Home;
using IntegrationServices.Customers;

namespace MobileIntegration.Tests;

/// <summary>
/// The back office with its seeded data, and the integration and frontend services on it, for the tests of both. Connectors give up after a
/// second, so that a slow system shows quickly.
/// </summary>
public sealed class BackOffice : IAsyncLifetime
{
    internal TestService<CrmStore> Backends { get; private set; } = null!;

    internal TestService<Crm> Integration { get; private set; } = null!;

    internal TestService<HomeComposer> Frontend { get; private set; } = null!;

    /// <summary>Connection string of the database of the other three.</summary>
    internal string BackendDatabase { get; private set; } = null!;

    /// <summary>Connection string of the warehouse system's own database.</summary>
    internal string WmsDatabase { get; private set; } = null!;

    /// <summary>Connection string of the database of the integration services.</summary>
    internal string IntegrationDatabase { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        WmsDatabase = await TestPostgres.CreateDatabaseAsync();
        BackendDatabase = await TestPostgres.CreateDatabaseAsync();
        Backends = new(("ConnectionStrings:backenddb", BackendDatabase), ("ConnectionStrings:wmsdb", WmsDatabase), ("Webhooks:AllowPrivateTargets", "true"));
        IntegrationDatabase = await TestPostgres.CreateDatabaseAsync();
        Integration = new(
            ("ConnectionStrings:wmsdb", WmsDatabase),
            ("ConnectionStrings:integrationdb", IntegrationDatabase),
            ("Reads:FreshSeconds", "0"), ("Reads:StaleSeconds", "0"),
            ("Commands:FirstRetrySeconds", "0.05"), ("Commands:LongestRetrySeconds", "1"), ("Changes:PollSeconds", "3600"),
            TestServices.At("crm", Backends.Address), TestServices.At("erp", Backends.Address), TestServices.At("pim", Backends.Address),
            // All of these tests share them, and what some let fail is not to be held against the systems by others.
            ("Backends:crm:BreakerCalls", "1000000"), ("Backends:erp:BreakerCalls", "1000000"), ("Backends:pim:BreakerCalls", "1000000"),
            ("Backends:crm:TimeoutSeconds", "1"), ("Backends:erp:TimeoutSeconds", "1"), ("Backends:pim:TimeoutSeconds", "1"),
            // A connection that is cut is opened anew twice before the fault is told.
            ("Backends:wms:TimeoutSeconds", "2"));
        Frontend = new(
            ("ConnectionStrings:frontenddb", await TestPostgres.CreateDatabaseAsync()),
            // As the systems are now, however long a loaded machine takes.
            ("Sections:FreshSeconds", "0"), ("Sections:StaleSeconds", "0"), ("Deadlines:DefaultMilliseconds", "20000"),
            TestServices.At("customers", Integration.Address), TestServices.At("orders", Integration.Address),
            TestServices.At("products", Integration.Address), TestServices.At("inventory", Integration.Address));
        // The first calls of a process are slow ones.
        foreach (var path in (string[])["/customers/C-000001", "/orders?customer=C-000001", "/products/100001", "/stock?products=100001"])
        {
            await Eventually.TrueAsync(async () => (await Integration.Http.GetAsync(path)).IsSuccessStatusCode, TimeSpan.FromMinutes(2));
        }
    }

    public async Task DisposeAsync()
    {
        await Frontend.DisposeAsync();
        await Integration.DisposeAsync();
        await Backends.DisposeAsync();
    }

    /// <summary>Makes a backend system misbehave while <paramref name="test"/> runs.</summary>
    internal async Task WithFaultAsync(string system, object fault, Func<Task> test)
    {
        (await Backends.Http.PutAsJsonAsync($"/{system}/faults", fault)).EnsureSuccessStatusCode();
        try
        {
            await test();
        }
        finally
        {
            (await Backends.Http.DeleteAsync($"/{system}/faults")).EnsureSuccessStatusCode();
        }
    }
}

[CollectionDefinition(nameof(BackOffice))]
public sealed class BackOfficeTests : ICollectionFixture<BackOffice>;
