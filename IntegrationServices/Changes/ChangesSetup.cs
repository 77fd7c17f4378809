using IntegrationServices.Commands;
using IntegrationServices.Connectors;
using IntegrationServices.Inventory;
using IntegrationServices.Products;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Changes;

public static class ChangesSetup
{
    public static void AddChanges(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddIntegrationDatabase();
        builder.AddMigrations<ChangeStore>(CommandsSetup.Database, "changes");
        builder.AddSqlConnector(Wms.Name, "wmsdb");
        builder.AddRestConnector(Pim.Name);
        builder.Services.AddOptions<ChangesOptions>().BindConfiguration("Changes").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<ChangeStore>();
        builder.Services.AddSingleton<ChangeOperations>();
        builder.Services.AddSingleton<DeadLetters>();
        builder.Services.AddSingleton<ChangeMetrics>();
        builder.Services.AddSingleton<Sources>();
        builder.Services.AddHttpClient(WebhookOrders.HttpClientName);
        builder.Services.AddHostedService<WebhookOrders>();
        builder.Services.AddHostedService<Polling>();
        builder.Services.AddHostedService<Queues>();
        if (builder.Configuration["Changes:DropFolder"] is { Length: > 0 })
        {
            builder.Services.AddSingleton(services =>
            {
                var settings = services.GetRequiredService<IOptions<ChangesOptions>>().Value;
                return new DropFolder(settings.DropFolder!, TimeSpan.FromSeconds(settings.SettleSeconds), services.GetRequiredService<TimeProvider>());
            });
            builder.Services.AddHostedService<StockFiles>();
        }
    }
}
