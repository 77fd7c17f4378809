using Microsoft.AspNetCore.OutputCaching.StackExchangeRedis;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using Microsoft.Extensions.DependencyInjection;
using MobileIntegration.ServiceDefaults.Clients;
using StackExchange.Redis;

namespace Microsoft.Extensions.Hosting;

/// <summary>
/// Caches on Redis with the members of the packages Aspire.StackExchange.Redis.DistributedCaching and Aspire.StackExchange.Redis.OutputCaching.
/// </summary>
public static class RedisCacheExtensions
{
    /// <summary>A Redis client and an <see cref="IDistributedCache"/> on it.</summary>
    public static void AddRedisDistributedCache(
        this IHostApplicationBuilder builder,
        string connectionName,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null) =>
        builder.AddRedisClientBuilder(connectionName, configureSettings, configureOptions).WithDistributedCache();

    /// <summary>A Redis client and an <see cref="IDistributedCache"/> on it, both under the key <paramref name="name"/>.</summary>
    public static void AddKeyedRedisDistributedCache(
        this IHostApplicationBuilder builder,
        string name,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null) =>
        builder.AddKeyedRedisClientBuilder(name, configureSettings, configureOptions).WithKeyedDistributedCache(name);

    /// <summary>A Redis client and the output cache's store on it.</summary>
    public static void AddRedisOutputCache(
        this IHostApplicationBuilder builder,
        string connectionName,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null) =>
        builder.AddRedisClientBuilder(connectionName, configureSettings, configureOptions).WithOutputCache();

    /// <summary>A keyed Redis client and the output cache's store on it.</summary>
    public static void AddKeyedRedisOutputCache(
        this IHostApplicationBuilder builder,
        string name,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null) =>
        builder.AddKeyedRedisClientBuilder(name, configureSettings, configureOptions).WithOutputCache();

    public static RedisClientBuilder WithDistributedCache(this RedisClientBuilder builder, Action<RedisCacheOptions>? configureOptions = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.HostBuilder.Services.AddStackExchangeRedisCache(options => configureOptions?.Invoke(options));
        builder.HostBuilder.Services.AddOptions<RedisCacheOptions>()
            .Configure<IServiceProvider>((options, services) => options.ConnectionMultiplexerFactory = () => Task.FromResult(builder.Connection(services)));
        return builder;
    }

    public static RedisClientBuilder WithKeyedDistributedCache(
        this RedisClientBuilder builder, string name, Action<RedisCacheOptions>? configureOptions = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.HostBuilder.Services.AddKeyedSingleton<IDistributedCache>(name, (services, _) =>
        {
            var options = new RedisCacheOptions { ConnectionMultiplexerFactory = () => Task.FromResult(builder.Connection(services)) };
            configureOptions?.Invoke(options);
            return new RedisCache(Options.Options.Create(options));
        });
        return builder;
    }

    public static RedisClientBuilder WithOutputCache(this RedisClientBuilder builder, Action<RedisOutputCacheOptions>? configureOptions = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.HostBuilder.Services.AddStackExchangeRedisOutputCache(options => configureOptions?.Invoke(options));
        builder.HostBuilder.Services.AddOptions<RedisOutputCacheOptions>()
            .Configure<IServiceProvider>((options, services) => options.ConnectionMultiplexerFactory = () => Task.FromResult(builder.Connection(services)));
        return builder;
    }
}
