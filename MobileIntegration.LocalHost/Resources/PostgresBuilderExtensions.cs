using System.Data;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Postgres;
using Npgsql;

namespace MobileIntegration.LocalHost;

/// <summary>Adds PostgreSQL servers and databases.</summary>
public static class PostgresBuilderExtensions
{
    internal const string DataTarget = "/var/lib/postgresql";
    private const int DefaultPort = 5432;

    /// <summary>Adds a PostgreSQL server; the user is "postgres" and the password generated and kept if not given.</summary>
    public static IResourceBuilder<PostgresServerResource> AddPostgres(this IDistributedApplicationBuilder builder, string name, IResourceBuilder<ParameterResource>? userName = null, IResourceBuilder<ParameterResource>? password = null, int? port = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var secret = password?.Resource ?? ParameterResourceBuilderExtensions.CreateDefaultPasswordParameter(builder, $"{name}-password");
        var server = builder.AddResource(new PostgresServerResource(name, userName?.Resource, secret));
        server.WithEndpoint(port: port, targetPort: DefaultPort, name: PostgresServerResource.PrimaryEndpointName)
            .WithEnvironment("POSTGRES_HOST_AUTH_METHOD", "scram-sha-256")
            .WithEnvironment("POSTGRES_INITDB_ARGS", "--auth-host=scram-sha-256 --auth-local=scram-sha-256")
            .WithEnvironment(context =>
            {
                context.EnvironmentVariables["POSTGRES_USER"] = server.Resource.UserNameReference;
                context.EnvironmentVariables["POSTGRES_PASSWORD"] = server.Resource.PasswordParameter;
            });
        AddCheck(server, server.Resource);
        return server.OnResourceReady((resource, ready, ct) => CreateDatabasesAsync(resource, ready.Services, ct));
    }

    /// <summary>Adds a database, which is created when the server is ready if it is not there; its name on the server is the resource's if not given.</summary>
    public static IResourceBuilder<PostgresDatabaseResource> AddDatabase(this IResourceBuilder<PostgresServerResource> builder, string name, string? databaseName = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var database = builder.ApplicationBuilder.AddResource(new PostgresDatabaseResource(name, databaseName ?? name, builder.Resource));
        builder.Resource.AddDatabase(database.Resource);
        AddCheck(database, database.Resource);
        return database;
    }

    /// <summary>Creates the database with this SQL instead of a plain CREATE DATABASE.</summary>
    public static IResourceBuilder<PostgresDatabaseResource> WithCreationScript(this IResourceBuilder<PostgresDatabaseResource> builder, string script)
    {
        ArgumentNullException.ThrowIfNull(script);
        return builder.WithAnnotation(new CreationScriptAnnotation(script), ResourceAnnotationMutationBehavior.Replace);
    }

    /// <summary>Keeps the server's data over restarts, in a folder of that name among the AppHost's data.</summary>
    public static IResourceBuilder<PostgresServerResource> WithDataVolume(this IResourceBuilder<PostgresServerResource> builder, string? name = null, bool isReadOnly = false) =>
        builder.WithAnnotation(new ContainerMountAnnotation(name ?? $"{builder.Resource.Name}-data", DataTarget, ContainerMountType.Volume, isReadOnly));

    /// <summary>Keeps the server's data in a directory, relative to the AppHost's.</summary>
    public static IResourceBuilder<PostgresServerResource> WithDataBindMount(this IResourceBuilder<PostgresServerResource> builder, string source, bool isReadOnly = false) =>
        builder.WithAnnotation(new ContainerMountAnnotation(
            Path.GetFullPath(source, builder.ApplicationBuilder.AppHostDirectory), DataTarget, ContainerMountType.BindMount, isReadOnly));

    /// <summary>Fixes the public port of the server; null has one chosen.</summary>
    public static IResourceBuilder<PostgresServerResource> WithHostPort(this IResourceBuilder<PostgresServerResource> builder, int? port) =>
        builder.WithEndpoint(PostgresServerResource.PrimaryEndpointName, endpoint => endpoint.Port = port);

    public static IResourceBuilder<PgAdminContainerResource> WithHostPort(this IResourceBuilder<PgAdminContainerResource> builder, int? port) =>
        builder.WithEndpoint("http", endpoint => endpoint.Port = port);

    public static IResourceBuilder<PgWebContainerResource> WithHostPort(this IResourceBuilder<PgWebContainerResource> builder, int? port) =>
        builder.WithEndpoint("http", endpoint => endpoint.Port = port);

    public static IResourceBuilder<PostgresServerResource> WithPassword(this IResourceBuilder<PostgresServerResource> builder, IResourceBuilder<ParameterResource> password)
    {
        ArgumentNullException.ThrowIfNull(password);
        builder.Resource.PasswordParameter = password.Resource;
        return builder;
    }

    public static IResourceBuilder<PostgresServerResource> WithUserName(this IResourceBuilder<PostgresServerResource> builder, IResourceBuilder<ParameterResource> userName)
    {
        ArgumentNullException.ThrowIfNull(userName);
        builder.Resource.UserNameParameter = userName.Resource;
        return builder;
    }

    /// <summary>Shows pgAdmin, which needs a container engine, as not available.</summary>
    public static IResourceBuilder<T> WithPgAdmin<T>(this IResourceBuilder<T> builder, Action<IResourceBuilder<PgAdminContainerResource>>? configureContainer = null, string? containerName = null)
        where T : PostgresServerResource
    {
        UnavailableResources.Add(builder, containerName ?? "pgadmin", name => new PgAdminContainerResource(name), 80, "psql or any PostgreSQL client", configureContainer);
        return builder;
    }

    /// <summary>Shows pgweb, which needs a container engine, as not available.</summary>
    public static IResourceBuilder<PostgresServerResource> WithPgWeb(this IResourceBuilder<PostgresServerResource> builder, Action<IResourceBuilder<PgWebContainerResource>>? configureContainer = null, string? containerName = null)
    {
        UnavailableResources.Add(builder, containerName ?? "pgweb", name => new PgWebContainerResource(name), 8081, "psql or any PostgreSQL client", configureContainer);
        return builder;
    }

    private static void AddCheck<T>(IResourceBuilder<T> builder, IResourceWithConnectionString resource)
        where T : IResource
    {
        var key = $"{resource.Name}_check";
        builder.ApplicationBuilder.Services.AddHealthChecks().Add(new HealthCheckRegistration(key, _ => new SelectOneCheck(resource), null, null));
        builder.WithHealthCheck(key);
    }

    private static async Task CreateDatabasesAsync(PostgresServerResource server, IServiceProvider services, CancellationToken ct)
    {
        var connectionString = new NpgsqlConnectionStringBuilder(await server.GetConnectionStringAsync(ct).ConfigureAwait(false)) { Database = "postgres", Pooling = false };
        await using var connection = new NpgsqlConnection(connectionString.ConnectionString);
        foreach (var database in server.DatabaseResources)
        {
            var log = services.GetRequiredService<ResourceLoggerService>().GetLogger(database);
            var sql = database.TryGetLastAnnotation<CreationScriptAnnotation>(out var script)
                ? script.Script
                : $"create database \"{database.DatabaseName.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
            try
            {
                if (connection.State is not ConnectionState.Open)
                {
                    await connection.OpenAsync(ct).ConfigureAwait(false);
                }

                await using var command = connection.CreateCommand();
                command.CommandText = sql;
                await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
                log.LogInformation("Database '{Database}' has been created", database.DatabaseName);
            }
            catch (PostgresException there) when (there.SqlState == PostgresErrorCodes.DuplicateDatabase)
            {
                log.LogDebug("Database '{Database}' is there already", database.DatabaseName);
            }
            catch (NpgsqlException failure)
            {
                log.LogError(failure, "Database '{Database}' could not be created: {Reason}", database.DatabaseName, failure.Message);
            }
        }
    }

    private sealed record CreationScriptAnnotation(string Script) : IResourceAnnotation;

    /// <summary>Whether the server takes a connection. A server's is asked for by each of its databases as well: those that ask at once share the answer.</summary>
    private sealed class SelectOneCheck(IResourceWithConnectionString resource) : IHealthCheck
    {
        private readonly Lock _lock = new();
        private Task<HealthCheckResult> _running = Task.FromResult(HealthCheckResult.Healthy());

        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            lock (_lock)
            {
                if (_running.IsCompleted)
                {
                    _running = Task.Run(() => CheckAsync(context), CancellationToken.None);
                }

                return _running.WaitAsync(cancellationToken);
            }
        }

        private async Task<HealthCheckResult> CheckAsync(HealthCheckContext context)
        {
            // Without a pool: a connection that the pool keeps would hide a server that takes no new ones.
            var connectionString = new NpgsqlConnectionStringBuilder(await resource.GetConnectionStringAsync().ConfigureAwait(false)) { Pooling = false };
            try
            {
                await using var connection = new NpgsqlConnection(connectionString.ConnectionString);
                await connection.OpenAsync().ConfigureAwait(false);
                await using var command = new NpgsqlCommand("select 1", connection);
                await command.ExecuteScalarAsync().ConfigureAwait(false);
                return HealthCheckResult.Healthy();
            }
            catch (NpgsqlException failure)
            {
                return new(context.Registration.FailureStatus, failure.Message, failure);
            }
        }
    }
}
