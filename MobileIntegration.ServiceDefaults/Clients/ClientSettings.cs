using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace MobileIntegration.ServiceDefaults.Clients;

/// <summary>Settings of a PostgreSQL data source; configuration section <c>Aspire:Npgsql</c>.</summary>
public sealed class NpgsqlSettings
{
    public string? ConnectionString { get; set; }

    public bool DisableHealthChecks { get; set; }

    public bool DisableTracing { get; set; }

    public bool DisableMetrics { get; set; }
}

/// <summary>Settings of a Redis client; configuration section <c>Aspire:StackExchange:Redis</c>.</summary>
public sealed class StackExchangeRedisSettings
{
    public string? ConnectionString { get; set; }

    public bool DisableHealthChecks { get; set; }

    public bool DisableTracing { get; set; }

    /// <summary>Connect when first used instead of when the host starts.</summary>
    public bool DisableAutoActivation { get; set; }
}

internal static class ClientSettings
{
    public static T Bind<T>(IConfiguration configuration, string section, string connectionName) where T : new()
    {
        var settings = new T();
        configuration.GetSection(section).Bind(settings);
        configuration.GetSection($"{section}:{connectionName}").Bind(settings);
        return settings;
    }

    public static string Require(string? connectionString, string connectionName, string section) =>
        !string.IsNullOrEmpty(connectionString) ? connectionString : throw new InvalidOperationException(
            $"ConnectionString is missing. Set it in 'ConnectionStrings:{connectionName}', '{section}' or '{section}:{connectionName}'.");

    /// <summary>Registers a health check unless one of that name is registered already.</summary>
    public static void TryAddHealthCheck(this IHostApplicationBuilder builder, string name, Func<IServiceProvider, IHealthCheck> create)
    {
        if (builder.Properties.TryAdd($"HealthCheck:{name}", true))
        {
            SharedHealthCheck? check = null;
            builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(
                name, services => LazyInitializer.EnsureInitialized(ref check, () => new(create(services))), failureStatus: null, tags: null));
        }
    }
}

/// <summary>A process with several microservices is asked once for each at the same moment: they share one look at the server.</summary>
internal sealed class SharedHealthCheck(IHealthCheck check) : IHealthCheck
{
    private readonly Lock _lock = new();
    private Task<HealthCheckResult> _running = Task.FromResult(HealthCheckResult.Healthy());

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            if (_running.IsCompleted)
            {
                _running = Task.Run(() => check.CheckHealthAsync(context, CancellationToken.None), CancellationToken.None);
            }
            return _running.WaitAsync(cancellationToken);
        }
    }
}
