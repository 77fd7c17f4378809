using BackendSystems.Faults;
using BackendSystems.Seeding;
using BackendSystems.Webhooks;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.ServiceDefaults;

namespace BackendSystems.Crm;

public static class CrmSetup
{
    internal const string Name = "crm";

    /// <summary>Registers the customer relationship system: REST/JSON over its schema in the database <c>backenddb</c>.</summary>
    public static void AddCrm(this IHostApplicationBuilder builder)
    {
        builder.AddDatabase(Databases.Backend);
        builder.AddMigrations<CrmStore>(Databases.Backend, Name);
        builder.AddWebhooks(Name, Databases.Backend, "customer.updated");
        builder.AddFaults(Name, "/crm/v1", (context, status) =>
            TypedResults.Problem("The Crm fails because it was told to (PUT /crm/faults).", statusCode: status).ExecuteAsync(context));
        builder.Services.TryAddSingleton<Seeder>();
        builder.Services.AddSingleton<CrmStore>();
        builder.Services.AddHostedService<CrmSeed>();
    }
}
