using MobileIntegration.ServiceDefaults;

namespace MobileServices.Devices;

public static class DevicesSetup
{
    public static void AddDevices(this IHostApplicationBuilder builder)
    {
        builder.AddNpgsqlDataSource("mobiledb");
        builder.AddMigrations<DeviceStore>("mobiledb", "devices");
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<DeviceStore>();
    }
}
