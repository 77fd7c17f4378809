using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Redis;
using StackExchange.Redis;

namespace MobileIntegration.LocalHost;

/// <summary>Adds Redis-compatible servers.</summary>
public static class RedisBuilderExtensions
{
    internal const string DataTarget = "/data";
    private const int DefaultPort = 6379;
    private static readonly TimeSpan DefaultPersistenceInterval = TimeSpan.FromSeconds(60);

    public static IResourceBuilder<RedisResource> AddRedis(this IDistributedApplicationBuilder builder, string name, int? port) => builder.AddRedis(name, port, null);

    /// <summary>Adds a Redis-compatible server; the password is generated and kept if not given.</summary>
    public static IResourceBuilder<RedisResource> AddRedis(this IDistributedApplicationBuilder builder, string name, int? port = null, IResourceBuilder<ParameterResource>? password = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        // Without special characters: a comma would end the password in a connection string.
        var secret = password?.Resource ?? ParameterResourceBuilderExtensions.CreateDefaultPasswordParameter(builder, $"{name}-password", special: false);
        var server = builder.AddResource(new RedisResource(name, secret));
        server.WithEndpoint(port: port, targetPort: DefaultPort, scheme: "redis", name: RedisResource.PrimaryEndpointName)
            .WithEnvironment(context =>
            {
                if (server.Resource.PasswordParameter is { } current)
                {
                    context.EnvironmentVariables["REDIS_PASSWORD"] = current;
                }
            });
        var key = $"{name}_check";
        builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(key, _ => new PingCheck(server.Resource), null, null));
        return server.WithHealthCheck(key);
    }

    /// <summary>Keeps the server's data over restarts, in a folder of that name among the AppHost's data.</summary>
    public static IResourceBuilder<RedisResource> WithDataVolume(this IResourceBuilder<RedisResource> builder, string? name = null, bool isReadOnly = false) =>
        Mount(builder, name ?? $"{builder.Resource.Name}-data", ContainerMountType.Volume, isReadOnly);

    /// <summary>Keeps the server's data in a directory, relative to the AppHost's.</summary>
    public static IResourceBuilder<RedisResource> WithDataBindMount(this IResourceBuilder<RedisResource> builder, string source, bool isReadOnly = false) =>
        Mount(builder, Path.GetFullPath(source, builder.ApplicationBuilder.AppHostDirectory), ContainerMountType.BindMount, isReadOnly);

    /// <summary>Saves the data every so often (60 s if not given) if at least that many keys have changed.</summary>
    public static IResourceBuilder<RedisResource> WithPersistence(this IResourceBuilder<RedisResource> builder, TimeSpan? interval = null, long keysChangedThreshold = 1) =>
        builder.WithAnnotation(new PersistenceAnnotation(interval ?? DefaultPersistenceInterval, keysChangedThreshold), ResourceAnnotationMutationBehavior.Replace);

    /// <summary>Fixes the public port of the server; null has one chosen.</summary>
    public static IResourceBuilder<RedisResource> WithHostPort(this IResourceBuilder<RedisResource> builder, int? port) =>
        builder.WithEndpoint(RedisResource.PrimaryEndpointName, endpoint => endpoint.Port = port);

    public static IResourceBuilder<RedisInsightResource> WithHostPort(this IResourceBuilder<RedisInsightResource> builder, int? port) =>
        builder.WithEndpoint("http", endpoint => endpoint.Port = port);

    public static IResourceBuilder<RedisCommanderResource> WithHostPort(this IResourceBuilder<RedisCommanderResource> builder, int? port) =>
        builder.WithEndpoint("http", endpoint => endpoint.Port = port);

    /// <summary>Sets the password; null: none is asked for.</summary>
    public static IResourceBuilder<RedisResource> WithPassword(this IResourceBuilder<RedisResource> builder, IResourceBuilder<ParameterResource>? password)
    {
        builder.Resource.SetPassword(password?.Resource);
        return builder;
    }

    /// <summary>Shows Redis Insight, which needs a container engine, as not available.</summary>
    public static IResourceBuilder<RedisResource> WithRedisInsight(this IResourceBuilder<RedisResource> builder, Action<IResourceBuilder<RedisInsightResource>>? configureContainer = null, string? containerName = null)
    {
        UnavailableResources.Add(builder, containerName ?? "redisinsight", name => new RedisInsightResource(name), 5540, "redis-cli or any Redis client", configureContainer);
        return builder;
    }

    /// <summary>Shows Redis Commander, which needs a container engine, as not available.</summary>
    public static IResourceBuilder<RedisResource> WithRedisCommander(this IResourceBuilder<RedisResource> builder, Action<IResourceBuilder<RedisCommanderResource>>? configureContainer = null, string? containerName = null)
    {
        UnavailableResources.Add(builder, containerName ?? "rediscommander", name => new RedisCommanderResource(name), 8081, "redis-cli or any Redis client", configureContainer);
        return builder;
    }

    private static IResourceBuilder<RedisResource> Mount(IResourceBuilder<RedisResource> builder, string source, ContainerMountType type, bool isReadOnly)
    {
        builder.WithAnnotation(new ContainerMountAnnotation(source, DataTarget, type, isReadOnly));
        return isReadOnly || builder.Resource.HasAnnotationOfType<PersistenceAnnotation>() ? builder : builder.WithPersistence();
    }

    private sealed class PingCheck(RedisResource resource) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            var options = ConfigurationOptions.Parse((await resource.GetConnectionStringAsync(cancellationToken).ConfigureAwait(false))!);
            options.ConnectTimeout = 2000;
            try
            {
                await using var connection = await ConnectionMultiplexer.ConnectAsync(options).WaitAsync(cancellationToken).ConfigureAwait(false);
                await connection.GetDatabase().PingAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
                return HealthCheckResult.Healthy();
            }
            catch (Exception failure) when (failure is RedisException or TimeoutException)
            {
                return new(context.Registration.FailureStatus, failure.Message, failure);
            }
        }
    }
}
