using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace BackendSystems.Webhooks;

/// <summary>Registers the webhooks of one system. Its outbox lies in the system's own database, schema <c>webhooks</c>.</summary>
internal static class WebhooksSetup
{
    /// <param name="connectionName">The system's database, so that change and event are one transaction.</param>
    public static void AddWebhooks(this IHostApplicationBuilder builder, string system, string connectionName, params string[] events)
    {
        if (builder.Properties.TryAdd($"webhooks:{connectionName}", true))
        {
            builder.AddMigrations<WebhookStore>(connectionName, "webhooks");
        }

        if (builder.Properties.TryAdd("webhooks", true))
        {
            AddSending(builder);
        }

        builder.Services.AddKeyedSingleton(system, (services, _) => new WebhookChannel(
            system,
            events,
            services.GetRequiredKeyedService<NpgsqlDataSource>(connectionName),
            services.GetRequiredService<IOptions<WebhooksOptions>>().Value.GiveUpAfter,
            services.GetRequiredService<TimeProvider>()));
        builder.Services.AddSingleton<IHostedService>(services =>
        {
            var channel = services.GetRequiredKeyedService<WebhookChannel>(system);
            return ActivatorUtilities.CreateInstance<WebhookSender>(services, channel, new WebhookStore(channel.Database, system));
        });
    }

    public static bool AllowsPrivateTargets(this WebhooksOptions options, IHostEnvironment environment) =>
        options.AllowPrivateTargets ?? environment.IsDevelopment();

    private static void AddSending(IHostApplicationBuilder builder)
    {
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddOptions<WebhooksOptions>().BindConfiguration("Webhooks").ValidateDataAnnotations().ValidateOnStart();
        var client = builder.Services.AddHttpClient(WebhookSender.HttpClientName);
#pragma warning disable EXTEXP0001 // experimental, but the only way: the outbox is what retries, a second layer would multiply the attempts
        client.RemoveAllResilienceHandlers();
#pragma warning restore EXTEXP0001
        client.RemoveAllLoggers() // a subscriber's address may carry a secret
            .ConfigurePrimaryHttpMessageHandler(services =>
            {
                var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, ConnectTimeout = TimeSpan.FromSeconds(5) };
                var options = services.GetRequiredService<IOptions<WebhooksOptions>>().Value;
                if (!options.AllowsPrivateTargets(services.GetRequiredService<IHostEnvironment>()))
                {
                    handler.ConnectCallback = WebhookTarget.ConnectPublicAsync;
                }

                return handler;
            });
    }
}
