using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using MobileServices.Push.Deliveries;
using MobileServices.Push.Events;
using MobileServices.Push.Messages;
using MobileServices.Push.Networks;
using MobileServices.Push.Networks.Apns;
using MobileServices.Push.Networks.Fcm;
using MobileServices.Push.Networks.Own;
using MobileServices.Push.Networks.WebPush;
using MobileServices.Push.Registrations;
using MobileServices.Push.Webhooks;

namespace MobileServices.Push;

public static class PushSetup
{
    /// <summary>
    /// The key of the connections for what is done for every batch: they keep the plans of their statements, whose planning is much of their work, and nothing else
    /// from one use to the next, so they are not reset. No statement there leaves anything behind in its session.
    /// </summary>
    internal const string Prepared = "mobiledb";

    public static void AddPush(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddTokenAuthentication();
        builder.AddNpgsqlDataSource("mobiledb");
        builder.AddKeyedNpgsqlDataSource(Prepared, settings => settings.DisableHealthChecks = true, source =>
        {
            source.Name = "push";
            (source.ConnectionStringBuilder.MaxAutoPrepare, source.ConnectionStringBuilder.AutoPrepareMinUsages, source.ConnectionStringBuilder.NoResetOnClose) = (100, 2, true);
        });
        builder.AddEvents("mobiledb");
        builder.AddMigrations<PushWorker>("mobiledb", "push");
        builder.AddKeySeal();
        builder.Services.AddOptions<PushOptions>().BindConfiguration("Push").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);

        builder.Services.AddSingleton<INetwork, WebPushNetwork>();
        builder.Services.AddSingleton<INetwork, FcmNetwork>();
        builder.Services.AddSingleton<INetwork, ApnsNetwork>();
        builder.Services.AddSingleton<INetwork, OwnNetwork>();

        builder.Services.AddSingleton(services => new PushHttp(services.GetRequiredService<IOptions<PushOptions>>()));
        builder.Services.AddSingleton<NetworkList>();
        builder.Services.AddSingleton<CredentialStore>();
        builder.Services.AddSingleton<OwnStore>();
        builder.Services.AddSingleton<OwnStreams>();
        builder.Services.AddSingleton<ReceiptStore>();
        builder.Services.AddSingleton<RegistrationStore>();
        builder.Services.AddSingleton<MessageRules>();
        builder.Services.AddSingleton<MessageStore>();
        builder.Services.AddSingleton<TemplateStore>();
        builder.Services.AddSingleton<FanOut>();
        builder.Services.AddSingleton<DeliveryStore>();
        builder.Services.AddSingleton<Claims>();
        builder.Services.AddSingleton<ChannelStore>();
        builder.Services.AddSingleton<Ledger>();
        builder.Services.AddSingleton<Pruning>();
        builder.Services.AddSingleton<PushMetrics>();
        builder.Services.AddSingleton<WakeupStore>();
        builder.Services.AddSingleton<WebhookStore>();
        builder.Services.AddSingleton<WebhookEvents>();
        builder.Services.AddSingleton<WebhookSender>();
        builder.Services.AddSingleton<IEnumerable<Sender>>(services => [.. services.GetServices<INetwork>().Select(network => ActivatorUtilities.CreateInstance<Sender>(services, network))]);
        builder.Services.AddHostedService<PushWorker>();
        builder.AddBackOfficeNews();
        builder.AddDeviceNews();
        builder.AddDatabaseNews();
    }
}
