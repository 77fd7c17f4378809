using HealthChecks.Redis;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MobileIntegration.ServiceDefaults.Clients;
using StackExchange.Redis;

namespace Microsoft.Extensions.Hosting;

/// <summary>Redis with the members, settings, health checks and traces of the package Aspire.StackExchange.Redis.</summary>
public static class RedisExtensions
{
    private const string Section = "Aspire:StackExchange:Redis";

    /// <summary>
    /// Registers a singleton <see cref="IConnectionMultiplexer"/>, connected when the host starts and connecting again for ever. Settings come from
    /// <c>Aspire:StackExchange:Redis</c>, then <c>:{connectionName}</c> below it, then <c>ConnectionStrings:{connectionName}</c>, then the delegate.
    /// A missing connection string is an InvalidOperationException when the connection is first resolved.
    /// </summary>
    public static void AddRedisClient(
        this IHostApplicationBuilder builder,
        string connectionName,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null) =>
        builder.AddRedisClientBuilder(connectionName, configureSettings, configureOptions);

    /// <summary>The same, registered under the key <paramref name="name"/>.</summary>
    public static void AddKeyedRedisClient(
        this IHostApplicationBuilder builder,
        string name,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null) =>
        builder.AddKeyedRedisClientBuilder(name, configureSettings, configureOptions);

    /// <summary>As <see cref="AddRedisClient"/>, and returns what caches on this connection are chained to.</summary>
    public static RedisClientBuilder AddRedisClientBuilder(
        this IHostApplicationBuilder builder,
        string connectionName,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null) =>
        Add(builder, connectionName, null, configureSettings, configureOptions);

    /// <summary>As <see cref="AddKeyedRedisClient"/>, and returns what caches on this connection are chained to.</summary>
    public static RedisClientBuilder AddKeyedRedisClientBuilder(
        this IHostApplicationBuilder builder,
        string name,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null) =>
        Add(builder, name, name, configureSettings, configureOptions);

    private static RedisClientBuilder Add(
        IHostApplicationBuilder builder,
        string connectionName,
        string? key,
        Action<StackExchangeRedisSettings>? configureSettings,
        Action<ConfigurationOptions>? configureOptions)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(connectionName);
        var settings = ClientSettings.Bind<StackExchangeRedisSettings>(builder.Configuration, Section, connectionName);
        if (builder.Configuration.GetConnectionString(connectionName) is { Length: > 0 } connectionString)
        {
            settings.ConnectionString = connectionString;
        }
        configureSettings?.Invoke(settings);

        IConnectionMultiplexer Connect(IServiceProvider services)
        {
            var options = ConfigurationOptions.Parse(ClientSettings.Require(settings.ConnectionString, connectionName, Section));
            options.AbortOnConnectFail = false;
            builder.Configuration.GetSection($"{Section}:ConfigurationOptions").Bind(options);
            builder.Configuration.GetSection($"{Section}:{connectionName}:ConfigurationOptions").Bind(options);
            options.LoggerFactory ??= services.GetService<ILoggerFactory>();
            configureOptions?.Invoke(options);
            var connection = ConnectionMultiplexer.Connect(options);
            services.GetService<RedisTracing>()?.Follow(connection);
            return connection;
        }
        if (key is null)
        {
            builder.Services.AddSingleton(Connect);
        }
        else
        {
            builder.Services.AddKeyedSingleton(key, (services, _) => Connect(services));
        }
        if (!settings.DisableAutoActivation)
        {
            if (key is null)
            {
                builder.Services.ActivateSingleton<IConnectionMultiplexer>();
            }
            else
            {
                builder.Services.ActivateKeyedSingleton<IConnectionMultiplexer>(key);
            }
        }
        if (!settings.DisableTracing)
        {
            builder.AddRedisTracing();
        }
        if (!settings.DisableHealthChecks)
        {
            builder.TryAddHealthCheck(
                key is null ? "StackExchange.Redis" : $"StackExchange.Redis_{connectionName}",
                services => new RedisHealthCheck(key is null
                    ? services.GetRequiredService<IConnectionMultiplexer>()
                    : services.GetRequiredKeyedService<IConnectionMultiplexer>(key)));
        }
        return new RedisClientBuilder(builder, settings, key);
    }
}
