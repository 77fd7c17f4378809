using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;
using MobileServices.Push.Registrations;

namespace MobileServices.Push.Events;

/// <summary>A device that is removed or blocked gets no messages any more, until it registers again.</summary>
internal static class DeviceNews
{
    public static void AddDeviceNews(this IHostApplicationBuilder builder) =>
        builder.AddSubscriber("push-devices", from: "mobiledb", inbox: "mobiledb", events => events
            // It may have registered again since it was removed.
            .On<DeviceRemoved>((services, told, transaction, ct) => services.GetRequiredService<RegistrationStore>()
                .EndAsync(transaction, told.Data.DeviceId, told.OccurredAt, "the device was removed", ct))
            .On<DeviceBlocked>((services, told, transaction, ct) => services.GetRequiredService<RegistrationStore>()
                .EndAsync(transaction, told.Data.DeviceId, null, $"the device was blocked: {told.Data.Reason}", ct)));
}
