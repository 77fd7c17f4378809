using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.ServiceDefaults;
using MobileServices.Devices.Admin;

namespace MobileServices.Devices;

public static class DevicesSetup
{
    public static void AddDevices(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddTokenAuthentication();
        builder.AddNpgsqlDataSource("mobiledb");
        builder.AddMigrations<DeviceStore>("mobiledb", "devices");
        builder.Services.AddOptions<DevicesOptions>().BindConfiguration("Devices").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
        if (builder.Configuration.GetConnectionString("redis") is { Length: > 0 })
        {
            // Redis only brings the news sooner; without it everything here goes on.
            builder.AddRedisClient("redis", settings => settings.DisableHealthChecks = true);
        }
        builder.Services.AddSingleton<DeviceStore>();
        builder.Services.AddSingleton<DecisionKeys>();
        builder.Services.AddSingleton<RuleSets>();
        builder.Services.AddSingleton<ChangeStore>();
        builder.Services.AddSingleton<RegistryStore>();
    }
}
