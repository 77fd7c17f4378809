using BackendSystems.Seeding;
using BackendSystems.Webhooks;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.ServiceDefaults;

namespace BackendSystems.Wms;

public static class WmsSetup
{
    internal const string Name = "wms";

    /// <summary>Registers the warehouse system: a database of its own, <c>wmsdb</c>, that others read, and a drop folder.</summary>
    public static void AddWms(this IHostApplicationBuilder builder)
    {
        builder.AddDatabase(Databases.Wms);
        builder.AddMigrations<WmsStore>(Databases.Wms, Name);
        builder.AddWebhooks(Name, Databases.Wms, "stock.moved");
        builder.Services.AddOptions<WmsOptions>().BindConfiguration("Wms").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton<Seeder>();
        builder.Services.AddSingleton<WmsStore>();
        builder.Services.AddHostedService<WmsSeed>();
        builder.Services.AddHostedService<WmsExport>();
    }
}
