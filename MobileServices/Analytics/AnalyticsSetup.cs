using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.ServiceDefaults;
using MobileServices.Analytics.Administration;
using MobileServices.Analytics.Ingest;
using MobileServices.Analytics.Journey;
using MobileServices.Analytics.Otlp;
using MobileServices.Analytics.Queries;
using MobileServices.Analytics.Rollups;

namespace MobileServices.Analytics;

public static class AnalyticsSetup
{
    public static void AddAnalytics(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddTokenAuthentication();
        builder.AddNpgsqlDataSource("mobiledb");
        builder.AddMigrations<AnalyticsOptions>("mobiledb", "analytics");
        builder.Services.AddOptions<AnalyticsOptions>().BindConfiguration("Analytics").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<AnalyticsMetrics>();
        builder.Services.AddSingleton<AppStore>();
        builder.Services.AddSingleton<WriteKeys>();
        builder.Services.AddSingleton<EventStore>();
        builder.Services.AddSingleton<EventWriter>();
        builder.Services.AddSingleton<TrackingServices>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<EventWriter>());
        builder.Services.AddSingleton<PersonStore>();
        builder.Services.AddSingleton<RetentionStore>();
        builder.Services.AddSingleton<OtlpLimits>();
        builder.Services.AddHttpClient<OtlpForwarder>().WithoutRetries();
        builder.AddJourney();
        builder.Services.AddSingleton<RollupStore>();
        builder.Services.AddSingleton<RollupWorker>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<RollupWorker>());
        builder.Services.AddSingleton<QueryStore>();
        builder.Services.AddSingleton<QueryServices>();
        builder.Services.AddSingleton<FunnelStore>();
    }
}
