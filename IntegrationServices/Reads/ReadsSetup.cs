using IntegrationServices.Commands;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;
using StackExchange.Redis;

namespace IntegrationServices.Reads;

internal static class ReadsSetup
{
    /// <summary>Keys name up to 100 ids.</summary>
    private const int LongestKey = 2048;

    /// <summary>Redis is on the way of every answer, which had better come from the system itself than wait.</summary>
    private const int RedisMilliseconds = 250;

    /// <summary>The cache, once however many slices read, and the settings of a kind.</summary>
    public static void AddReads(this IHostApplicationBuilder builder, string kind, double freshSeconds, double staleSeconds)
    {
        builder.Services.AddOptions<ReadsOptions>(kind)
            .Configure(options => (options.FreshSeconds, options.StaleSeconds) = (freshSeconds, staleSeconds))
            .BindConfiguration("Reads").BindConfiguration($"Reads:{kind}").ValidateDataAnnotations().ValidateOnStart();
        if (!builder.Properties.TryAdd(nameof(ReadCache), true))
        {
            return;
        }
        if (builder.Configuration.GetConnectionString("redis") is not null)
        {
            // The client tells once that Redis is away. The cache would tell of it three times a read, with a stack each, and have them wait for the console.
            builder.Configuration["Logging:LogLevel:Microsoft.Extensions.Caching.Hybrid"] ??= "Critical";
            // Shared by replicas and kept over restarts; reads do without when it is away, so it says nothing about health.
            builder.AddRedisDistributedCache("redis", settings => settings.DisableHealthChecks = true, options =>
            {
                options.BacklogPolicy = BacklogPolicy.FailFast;
                options.AsyncTimeout = RedisMilliseconds;
                options.SyncTimeout = RedisMilliseconds;
            });
        }
        builder.Services.AddHybridCache(options => options.MaximumKeyLength = LongestKey);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<ReadCache>();
        if (builder.Configuration.GetConnectionString(CommandsSetup.Database) is { Length: > 0 })
        {
            builder.AddIntegrationDatabase();
            builder.Services.AddSingleton<ReadEvictions>();
            builder.AddEventNews(CommandsSetup.Database, static (services, news) => services.GetRequiredService<ReadEvictions>().Told(news));
        }
    }
}

/// <summary>What changed in a backend system is no longer fresh in any process. Lists of orders and searches name no subject and end with their time.</summary>
internal sealed class ReadEvictions(ReadCache cache)
{
    private bool _listens;

    public void Told(EventNews news)
    {
        // That it listens from now on says nothing; that it listens again, that something may have been missed.
        if (news.Subject is not null || _listens)
        {
            // Nobody waits for Redis.
            _ = cache.EvictAsync(TagsOf(news));
        }
        _listens = true;
    }

    private static string[] TagsOf(EventNews news)
    {
        if (news.Subject is not { } subject)
        {
            return [Tags.All];
        }
        var id = subject[(subject.IndexOf(':', StringComparison.Ordinal) + 1)..];
        return news.Type switch
        {
            nameof(CustomerChanged) => [Tags.Customer(id)],
            nameof(OrderChanged) => [Tags.Order(id)],
            nameof(PriceChanged) => [Tags.Product(id)],
            nameof(StockChanged) => [Tags.StockOf(id[(id.IndexOf('/', StringComparison.Ordinal) + 1)..])],
            _ => [],
        };
    }
}
