using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;

namespace MobileServices.Analytics.Journey;

internal static class JourneySetup
{
    /// <summary>From the other mobile services through the outbox of their database, and of orders through that of the integration, where the process knows it.</summary>
    public static void AddJourney(this IHostApplicationBuilder builder)
    {
        builder.AddSubscriber("analytics", from: "mobiledb", inbox: "mobiledb", events => events
            .On<UserOutcomes>((_, told, transaction, ct) => JourneyStore.NoteAsync(transaction, told.Data, ct)));
        if (builder.Configuration.GetConnectionString("integrationdb") is { Length: > 0 })
        {
            builder.AddSubscriber("analytics-orders", from: "integrationdb", inbox: "mobiledb", events => events
                .On<OrderChanged>((_, told, transaction, ct) => JourneyStore.NoteAsync(transaction, told, ct)));
        }
    }
}
