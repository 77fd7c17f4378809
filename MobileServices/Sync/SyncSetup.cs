using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using MobileServices.Sync.Admin;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Bound;
using MobileServices.Sync.Changes;
using MobileServices.Sync.Checkpoints;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Indexes;
using MobileServices.Sync.Merging;
using MobileServices.Sync.Plain;
using MobileServices.Sync.Queries;
using MobileServices.Sync.Views;

namespace MobileServices.Sync;

public static class SyncSetup
{
    /// <summary>
    /// The key of the connections for what is read and written all the time: they keep the plans of their statements, and nothing else from one use to the
    /// next, so they are not reset. No statement there leaves anything behind in its session.
    /// </summary>
    internal const string Prepared = "mobiledb";

    public static void AddSync(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddTokenAuthentication();
        builder.AddNpgsqlDataSource("mobiledb");
        builder.AddKeyedNpgsqlDataSource(Prepared, settings => settings.DisableHealthChecks = true, source =>
        {
            source.Name = "sync";
            (source.ConnectionStringBuilder.MaxAutoPrepare, source.ConnectionStringBuilder.AutoPrepareMinUsages, source.ConnectionStringBuilder.NoResetOnClose) = (100, 2, true);
        });
        builder.AddEvents("mobiledb");
        builder.AddMigrations<SyncOptions>("mobiledb", "sync");
        var services = builder.Services;
        services.AddOptions<SyncOptions>().BindConfiguration("Sync").ValidateDataAnnotations().ValidateOnStart();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<SyncMetrics>();
        services.AddSingleton<RequestBodies>();
        services.AddSingleton<DatabaseStore>();
        services.AddSingleton<DocumentStore>();
        services.AddSingleton<DocumentJson>();
        services.AddSingleton<EditTransaction>();
        services.AddSingleton<DocumentWriter>();
        services.AddSingleton<DocumentWrites>();
        services.AddSingleton<LocalDocuments>();
        services.AddSingleton<BulkGet>();
        services.AddSingleton<AllDocs>();
        services.AddSingleton<Purge>();
        services.AddSingleton<Find>();
        services.AddSingleton<IndexStore>();
        services.AddSingleton<DesignIndexes>();
        services.AddSingleton<ViewEndpoints>();
        services.AddSingleton<BlobStore>();
        services.AddSingleton<ChangeNews>();
        services.AddSingleton<ChangeReader>();
        services.AddSingleton<FeedServices>();
        services.AddSingleton<SyncOutcomes>();
        services.AddHostedService(provider => provider.GetRequiredService<SyncOutcomes>());
        services.AddSingleton<ChangesEndpoints>();
        services.AddSingleton<PlainPush>();
        services.AddSingleton<IValidateOptions<SyncOptions>, MergeRules>();
        builder.AddBoundDatabases();
        services.AddSingleton<DeviceStates>();
        services.AddHostedService(provider => provider.GetRequiredService<DeviceStates>());
        services.AddSingleton<AdminStore>();
        services.AddSingleton<Tombstones>();
        services.AddHostedService(provider => provider.GetRequiredService<Tombstones>());
        builder.AddSubscriber("sync-devices", from: "mobiledb", inbox: "mobiledb", events => events
            .On<DeviceRemoved>((_, told, transaction, ct) => DeviceStates.ForgetAsync(told, transaction, ct)));
        services.AddSingleton<WakeUps>();
        services.AddHostedService(provider => provider.GetRequiredService<WakeUps>());
    }
}
