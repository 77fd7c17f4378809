using System.Globalization;
using Microsoft.Extensions.Configuration;
using MobileIntegration.LocalHost.ApplicationModel;
using Npgsql;
using StackExchange.Redis;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Uses a server that is running already instead of one of our own: settings <c>Postgres:ConnectionString</c> and <c>Redis:ConnectionString</c>.
/// </summary>
internal static class ExternalServers
{
    /// <exception cref="DistributedApplicationException">The setting is no connection string.</exception>
    public static void Use(IResource resource, IConfiguration configuration)
    {
        switch (resource)
        {
            case PostgresServerResource postgres:
                var address = Read(() => new NpgsqlConnectionStringBuilder(configuration["Postgres:ConnectionString"]), "Postgres:ConnectionString", "Host=..;Port=..;Username=..;Password=..");
                postgres.UserNameParameter = new ParameterResource($"{postgres.Name}-external-username", _ => address.Username ?? "postgres");
                postgres.PasswordParameter = new ParameterResource($"{postgres.Name}-external-password", _ => address.Password ?? "", secret: true);
                Allocate(postgres, address.Host ?? "localhost", address.Port);
                break;

            case RedisResource redis:
                var options = Read(() => ConfigurationOptions.Parse(configuration["Redis:ConnectionString"]!), "Redis:ConnectionString", "host:port,password=..");
                var (host, port) = options.EndPoints.FirstOrDefault() switch
                {
                    System.Net.DnsEndPoint dns => (dns.Host, dns.Port),
                    System.Net.IPEndPoint ip => (ip.Address.ToString(), ip.Port),
                    _ => throw new DistributedApplicationException("The setting Redis:ConnectionString names no server. Its form is host:port,password=.."),
                };
                redis.SetPassword(options.Password is { Length: > 0 } password ? new ParameterResource($"{redis.Name}-external-password", _ => password, secret: true) : null);
                Allocate(redis, host, port == 0 ? 6379 : port);
                break;
        }
    }

    private static void Allocate(IResource resource, string host, int port)
    {
        foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
        {
            endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, host, port);
        }
    }

    private static T Read<T>(Func<T> read, string setting, string form)
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException)
        {
            throw new DistributedApplicationException(
                string.Create(CultureInfo.InvariantCulture, $"The setting {setting} is no connection string: {exception.Message} Its form is {form}"), exception);
        }
    }
}
