using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace MobileIntegration.ServiceDefaults.Clients;

/// <summary>A registered Redis client, for caches to be chained to; Aspire's AspireRedisClientBuilder.</summary>
/// <param name="serviceKey">The key it is registered under; null when without.</param>
public sealed class RedisClientBuilder(IHostApplicationBuilder hostBuilder, StackExchangeRedisSettings settings, string? serviceKey)
{
    public IHostApplicationBuilder HostBuilder { get; } = hostBuilder;

    public StackExchangeRedisSettings Settings { get; } = settings;

    public string? ServiceKey { get; } = serviceKey;

    internal IConnectionMultiplexer Connection(IServiceProvider services) => ServiceKey is null
        ? services.GetRequiredService<IConnectionMultiplexer>()
        : services.GetRequiredKeyedService<IConnectionMultiplexer>(ServiceKey);
}
