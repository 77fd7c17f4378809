using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using MobileServices.Devices.Admin;

namespace MobileServices.Devices;

public static class DevicesSetup
{
    public static void AddDevices(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddTokenAuthentication();
        builder.AddDeviceProofs();
        builder.AddNpgsqlDataSource("mobiledb");
        builder.AddEvents("mobiledb");
        builder.AddMigrations<DeviceStore>("mobiledb", "devices");
        builder.Services.AddOptions<DevicesOptions>().BindConfiguration("Devices").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.AddRedisNews();
        builder.Services.AddSingleton<DeviceStore>();
        builder.AddKeySeal();
        builder.Services.AddSingleton<DecisionKeys>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<DecisionKeys>());
        builder.Services.AddSingleton<RuleSets>();
        builder.Services.AddSingleton<ChangeStore>();
        builder.Services.AddSingleton<RegistryStore>();
    }
}
