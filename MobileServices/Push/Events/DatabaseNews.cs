using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;

namespace MobileServices.Push.Events;

/// <summary>A database that was synchronized from one device wakes the others up.</summary>
internal static class DatabaseNews
{
    public static void AddDatabaseNews(this IHostApplicationBuilder builder) =>
        builder.AddSubscriber("push-databases", from: "mobiledb", inbox: "mobiledb", events => events
            .On<DatabaseChanged>(async (services, told, transaction, ct) =>
            {
                foreach (var app in told.Data.Apps.Order(StringComparer.Ordinal))
                {
                    await services.GetRequiredService<WakeupStore>().WakeAsync(transaction, app, [.. told.Data.UserIds], told.Data.DeviceId, [$"sync:{told.Data.Database}"], ct);
                }
            }));
}
