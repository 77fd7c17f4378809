using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults.Events.Inboxes;
using Npgsql;

namespace MobileIntegration.ServiceDefaults.Events;

/// <summary>Events between services: an outbox in the publisher's database, from which subscribers of any process take theirs.</summary>
public static class EventsSetup
{
    /// <summary>Gives a database an outbox (schema <c>events</c>), to be written by <see cref="Outbox.PublishAsync"/>. Call it before the migrations that use it.</summary>
    /// <param name="connectionName">The connection string's name.</param>
    public static void AddEvents(this IHostApplicationBuilder builder, string connectionName)
    {
        ArgumentNullException.ThrowIfNull(builder);
        if (!builder.Properties.TryAdd($"events:{connectionName}", true))
        {
            return;
        }
        builder.AddMigrations<Subscription>(connectionName, "events");
        builder.Services.AddOptions<EventsOptions>().BindConfiguration("Events").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
    }

    /// <summary>
    /// A subscriber: it has every event of its types that is told from its first start on, at least once and in order per subject, shared among its
    /// replicas. Whatever has its own name has its own events.
    /// </summary>
    /// <param name="name">Its name for good, such as <c>push</c>.</param>
    /// <param name="from">The connection string of the publishers' database.</param>
    /// <param name="inbox">The connection string of its own database, where its effects are; null when it has none there.</param>
    /// <param name="on">What it does with which event.</param>
    public static void AddSubscriber(this IHostApplicationBuilder builder, string name, string from, string? inbox, Action<Subscription> on)
    {
        ArgumentNullException.ThrowIfNull(on);
        builder.AddEvents(from);
        builder.AddEventListener(from);
        if (inbox is not null && builder.Properties.TryAdd($"inbox:{inbox}", true))
        {
            builder.AddMigrations<Inbox>(inbox, "inbox");
            builder.AddDatabase(inbox);
        }
        var subscription = new Subscription(name, from, inbox);
        on(subscription);
        builder.Services.AddSingleton<IHostedService>(services => new SubscriptionWorker(
            subscription,
            services.GetRequiredKeyedService<NpgsqlDataSource>(from),
            inbox is null ? null : new Inbox(services.GetRequiredKeyedService<NpgsqlDataSource>(inbox), name),
            services.GetRequiredKeyedService<EventListener>(from),
            services.GetRequiredService<IOptions<EventsOptions>>().Value,
            services.GetRequiredService<IServiceScopeFactory>(),
            services.GetRequiredService<IMeterFactory>(),
            services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<ILogger<SubscriptionWorker>>()));
    }

    /// <summary>
    /// Tells every process, not one of the replicas, of each event at once and at most once, for what each keeps in memory. It is told on one thread and
    /// must return soon.
    /// </summary>
    public static void AddEventNews(this IHostApplicationBuilder builder, string from, Action<IServiceProvider, EventNews> told)
    {
        builder.AddEvents(from);
        builder.AddEventListener(from);
        builder.Services.AddKeyedSingleton(from, told);
    }

    private static void AddEventListener(this IHostApplicationBuilder builder, string from)
    {
        if (!builder.Properties.TryAdd($"events:{from}:listener", true))
        {
            return;
        }
        builder.AddDatabase(from);
        builder.Services.AddKeyedSingleton(from, (services, _) => new EventListener(
            services.GetRequiredKeyedService<NpgsqlDataSource>(from),
            services.GetKeyedServices<Action<IServiceProvider, EventNews>>(from).Select(told => (Action<EventNews>)(news => told(services, news))),
            services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<ILogger<EventListener>>()));
        builder.Services.AddSingleton<IHostedService>(services => services.GetRequiredKeyedService<EventListener>(from));
    }

    /// <summary>A data source of its own under the connection string's name: how the service uses that database itself stays its own affair.</summary>
    private static void AddDatabase(this IHostApplicationBuilder builder, string connectionName)
    {
        if (builder.Properties.TryAdd($"events:{connectionName}:database", true))
        {
            builder.AddKeyedNpgsqlDataSource(connectionName, settings => settings.DisableHealthChecks = true);
        }
    }
}
