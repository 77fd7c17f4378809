using Dapper;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;

namespace MobileServices.Sync.Bound;

internal static class BoundSetup
{
    /// <summary>Without <c>Sync:Bound</c> nothing is bound, and no integration is needed.</summary>
    public static void AddBoundDatabases(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<IValidateOptions<SyncOptions>, BoundRules>();
        services.AddSingleton<BoundBell>();
        services.AddSingleton<BoundOutbox>();
        services.AddSingleton<BoundDatabases>();
        services.AddSingleton<BoundOperations>();
        if (!builder.Configuration.GetSection("Sync:Bound").GetChildren().Any() || builder.Configuration.GetConnectionString("integrationdb") is not { Length: > 0 })
        {
            return;
        }
        services.AddHttpClient(ServiceTokens.Client);
        services.AddSingleton<ServiceTokens>();
        services.AddTransient<ServiceTokenHandler>();
        services.AddHttpClient(BoundOrders.Client, http => http.BaseAddress = new("http://orders")).AddHttpMessageHandler<ServiceTokenHandler>();
        services.AddSingleton<BoundStore>();
        services.AddSingleton<BoundDocuments>();
        services.AddSingleton<BoundOrders>();
        services.AddHostedService<BoundWorker>();
        builder.AddSubscriber("sync", from: "integrationdb", inbox: "mobiledb", events => events.On<OrderChanged>(TakeAsync));
    }

    /// <summary>The order is read anew for each database of its customer; an event for a customer without one has nothing to do.</summary>
    private static async Task TakeAsync(IServiceProvider services, Event<OrderChanged> told, NpgsqlTransaction transaction, CancellationToken ct)
    {
        await transaction.Connection!.ExecuteAsync(new CommandDefinition(
            """
            insert into sync.bound_read as r (db_id, order_id, wanted)
            select db_id, @OrderId, @Version from sync.bound where customer_id = @CustomerId and source = @source order by db_id
            on conflict (db_id, order_id) do update set wanted = greatest(r.wanted, excluded.wanted), due_at = now(), failures = 0
            """, new { told.Data.OrderId, told.Version, told.Data.CustomerId, source = BoundOptions.Orders }, transaction, cancellationToken: ct));
        services.GetRequiredService<BoundBell>().Ring();
    }
}
