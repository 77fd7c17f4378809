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
    public static void TryAddHealthCheck(this IHostApplicationBuilder builder, HealthCheckRegistration registration)
    {
        if (builder.Properties.TryAdd($"HealthCheck:{registration.Name}", true))
        {
            builder.Services.AddHealthChecks().Add(registration);
        }
    }
}
