using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.ServiceDefaults;
using MobileServices.Configuration.Admin;

namespace MobileServices.Configuration;

public static class ConfigurationSetup
{
    public static void AddConfiguration(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddTokenAuthentication();
        builder.AddNpgsqlDataSource("mobiledb");
        builder.AddMigrations<FlagSets>("mobiledb", "configuration");
        builder.Services.AddOptions<ConfigurationOptions>().BindConfiguration("Configuration").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<FlagStore>();
        builder.Services.AddSingleton<ChangeStream>();
        builder.Services.AddSingleton<FlagSets>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<FlagSets>());
        builder.Services.AddHostedService<Publisher>();
    }
}
