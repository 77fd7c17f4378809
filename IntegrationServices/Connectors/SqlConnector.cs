using System.Threading.RateLimiting;
using Dapper;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using Npgsql;
using Polly;
using Polly.Registry;

namespace IntegrationServices.Connectors;

/// <summary>Another team's PostgreSQL database. Every session is read only, whatever the login may do, but for a transaction that says that it writes.</summary>
internal sealed class SqlConnector(
    string system, NpgsqlDataSource database, IOptionsMonitor<ConnectorOptions> options, ResiliencePipelineProvider<string> pipelines)
{
    private readonly ResiliencePipeline _pipeline = pipelines.GetPipeline(system);

    public string System { get; } = system;

    /// <summary>Runs one or more statements in one round trip and hands their results to <paramref name="read"/>.</summary>
    /// <exception cref="BackendException">The database cannot be reached, is too slow or refuses.</exception>
    public Task<T> QueryAsync<T>(string sql, object? parameters, Func<SqlMapper.GridReader, Task<T>> read, CancellationToken ct) =>
        CallAsync(async (connection, token) =>
        {
            await using var results = await connection.QueryMultipleAsync(new CommandDefinition(sql, parameters, cancellationToken: token));
            return await read(results);
        }, ct);

    /// <summary>Calls what the other team has for writing, in one transaction, which is kept when <paramref name="isGood"/> says so of the rows.</summary>
    /// <param name="sql">May run more than once, and must have its effect once.</param>
    /// <exception cref="BackendException">The database cannot be reached, is too slow or refuses.</exception>
    public Task<List<T>> WriteAsync<T>(string sql, object? parameters, Predicate<List<T>> isGood, CancellationToken ct) =>
        CallAsync(async (connection, token) =>
        {
            await using var transaction = await connection.BeginTransactionAsync(token);
            await connection.ExecuteAsync(new CommandDefinition("set transaction read write", transaction: transaction, cancellationToken: token));
            var rows = (await connection.QueryAsync<T>(new CommandDefinition(sql, parameters, transaction, cancellationToken: token))).AsList();
            if (isGood(rows))
            {
                await transaction.CommitAsync(token);
            }
            return rows;
        }, ct);

    private Task<T> CallAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> call, CancellationToken ct) =>
        Guarded.CallAsync(System, options.For(System), async deadline =>
        {
            try
            {
                return await _pipeline.ExecuteAsync(async token =>
                {
                    await using var connection = await database.OpenConnectionAsync(token);
                    return await call(connection, token);
                }, deadline);
            }
            catch (PostgresException exception)
            {
                // Classes 53 (insufficient resources) and 57 (operator intervention) pass; anything else is wrong until somebody mends it.
                throw exception.SqlState.StartsWith("53", StringComparison.Ordinal) || exception.SqlState.StartsWith("57", StringComparison.Ordinal)
                    ? new BackendException(System, StatusCodes.Status503ServiceUnavailable, $"refuses calls for now (SQLSTATE {exception.SqlState})", TimeSpan.FromSeconds(1), exception)
                    : new BackendException(System, StatusCodes.Status502BadGateway, $"refused a query (SQLSTATE {exception.SqlState})", TimeSpan.FromMinutes(1), exception);
            }
            catch (NpgsqlException exception) when (!deadline.IsCancellationRequested)
            {
                throw BackendException.From(
                    System,
                    exception.InnerException is TimeoutException ? CallFailure.TooLate : new(StatusCodes.Status503ServiceUnavailable, "cannot be reached", TimeSpan.FromSeconds(1)),
                    exception);
            }
        }, ct);
}

internal static class SqlConnectorExtensions
{
    /// <summary>A connector under the key <paramref name="system"/> on the connection string <paramref name="connectionName"/>.</summary>
    public static void AddSqlConnector(this IHostApplicationBuilder builder, string system, string connectionName)
    {
        if (!builder.IsNewConnector(system))
        {
            return;
        }
        builder.AddConnectorOptions(system).Validate(
            _ => !string.IsNullOrWhiteSpace(builder.Configuration.GetConnectionString(connectionName)),
            $"The connection string '{connectionName}' is missing. Set ConnectionStrings__{connectionName} to the database of the {system}.");
        // Another team's database being down does not make this service unhealthy: its other answers still come.
        builder.AddKeyedNpgsqlDataSource(
            connectionName,
            settings => settings.DisableHealthChecks = true,
            source => source.ConnectionStringBuilder.Options = "-c default_transaction_read_only=on");
        builder.Services.AddResiliencePipeline(system, (pipeline, context) => pipeline.AddConcurrencyLimiter(Bulkhead(context.ServiceProvider, system)).AddRetry(new()
        {
            ShouldHandle = new PredicateBuilder().Handle<NpgsqlException>(exception => exception.IsTransient && exception is not PostgresException { SqlState: "53300" }),
            MaxRetryAttempts = 2,
            Delay = TimeSpan.FromMilliseconds(150),
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
        }));
        builder.Services.AddKeyedSingleton(system, (services, _) => new SqlConnector(
            system,
            services.GetRequiredKeyedService<NpgsqlDataSource>(connectionName),
            services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>(),
            services.GetRequiredService<ResiliencePipelineProvider<string>>()));
    }

    private static ConcurrencyLimiterOptions Bulkhead(IServiceProvider services, string system)
    {
        var most = services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>().For(system).Concurrency;
        return new() { PermitLimit = most, QueueLimit = most };
    }
}
