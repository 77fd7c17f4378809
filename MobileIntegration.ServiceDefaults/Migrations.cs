using System.ComponentModel.DataAnnotations;
using System.Data.Common;
using System.Diagnostics;
using System.Reflection;
using DbUp;
using DbUp.Engine;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileIntegration.ServiceDefaults;

public static class MigrationExtensions
{
    /// <summary>
    /// Runs the SQL files <c>Migrations/NNN_*.sql</c> embedded beside <typeparamref name="TMarker"/> (same namespace) before the service
    /// listens: in the order of their names, each once and in a transaction, with <paramref name="schema"/> created first and the default
    /// for unqualified names. Replicas that start together wait for one another. A file that was changed after it ran stops the start.
    /// </summary>
    /// <param name="connectionName">The connection string's name, also the AppHost resource's.</param>
    /// <param name="schema">The slice's own schema, lower case; the journal is its table <c>migrations</c>.</param>
    public static void AddMigrations<TMarker>(this IHostApplicationBuilder builder, string connectionName, string schema)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddOptions<MigrationOptions>().BindConfiguration("Migrations").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton(new Migration(connectionName, schema, typeof(TMarker).Assembly, $"{typeof(TMarker).Namespace}.Migrations."));
    }

    /// <exception cref="StartException">A database cannot be opened in time, or a script failed or was changed.</exception>
    internal static async Task MigrateAsync(this WebApplication app, CancellationToken ct)
    {
        var logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("MobileIntegration.ServiceDefaults.Migrations");
        var patience = TimeSpan.FromSeconds(app.Services.GetRequiredService<IOptions<MigrationOptions>>().Value.WaitSeconds);
        foreach (var database in app.Services.GetServices<Migration>().GroupBy(migration => migration.ConnectionName))
        {
            var text = app.Configuration.GetConnectionString(database.Key);
            if (string.IsNullOrWhiteSpace(text))
            {
                throw new StartException($"The connection string '{database.Key}' is missing. "
                    + $"Set ConnectionStrings__{database.Key} to a PostgreSQL database, or start the service from the AppHost.");
            }
            // One physical connection, so that a lock lasts as long as the upgrade and not longer, which asks the server for no types it does not need.
            var settings = new NpgsqlConnectionStringBuilder(text) { Pooling = false, CommandTimeout = 300 };
            var source = new NpgsqlDataSourceBuilder(settings.ConnectionString);
            source.ConfigureTypeLoading(types => types.EnableTypeLoading(false));
            await using var plain = source.Build();
            await using var connection = await OpenAsync(database.Key, plain, settings, patience, ct);
            foreach (var migration in database)
            {
                var scripts = Scripts(migration);
                if (await HaveRunAsync(connection, migration.Schema, scripts, ct))
                {
                    continue;
                }
                var name = $"migrations:{migration.Schema}";
                await RunAsync(connection, "select pg_advisory_lock(hashtextextended($1, 0))", name, ct);
                await RunAsync(connection, $"create schema if not exists \"{migration.Schema}\"", null, ct);
                settings.SearchPath = migration.Schema;
                Upgrade(migration, scripts, settings.ConnectionString, logger);
                await RunAsync(connection, "select pg_advisory_unlock(hashtextextended($1, 0))", name, ct);
            }
        }
    }

    private static List<SqlScript> Scripts(Migration migration)
    {
        var scripts = migration.Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(migration.Prefix, StringComparison.Ordinal))
            .Select(name => SqlScript.FromStream(name[migration.Prefix.Length..], migration.Assembly.GetManifestResourceStream(name)!))
            .ToList();
        if (scripts.Count is 0)
        {
            throw new StartException($"The schema '{migration.Schema}' has no scripts: embed {migration.Prefix}NNN_name.sql in {migration.Assembly.GetName().Name}.");
        }
        return scripts;
    }

    /// <summary>Most starts have nothing to do, and are told so by one look.</summary>
    private static async Task<bool> HaveRunAsync(NpgsqlConnection connection, string schema, List<SqlScript> scripts, CancellationToken ct)
    {
        await using var look = new NpgsqlCommand("select to_regclass($1) is not null", connection) { Parameters = { new() { Value = $"\"{schema}\".migrations" } } };
        if (await look.ExecuteScalarAsync(ct) is not true)
        {
            return false;
        }
        await using var read = new NpgsqlCommand($"select name, checksum from \"{schema}\".migrations", connection);
        await using var reader = await read.ExecuteReaderAsync(ct);
        var run = new HashSet<(string, string)>();
        while (await reader.ReadAsync(ct))
        {
            run.Add((reader.GetString(0), reader.GetString(1)));
        }
        return scripts.TrueForAll(script => run.Contains((script.Name, MigrationJournal.Checksum(script))));
    }

    private static void Upgrade(Migration migration, List<SqlScript> scripts, string connectionString, ILogger logger)
    {
        var result = DeployChanges.To.PostgresqlDatabase(connectionString)
            .WithScripts(scripts)
            .JournalTo((connections, _) => new MigrationJournal(connections, scripts))
            .WithVariablesDisabled() // "$body$" is PostgreSQL's own syntax
            .WithTransactionPerScript()
            .LogToNowhere()
            .Build()
            .PerformUpgrade();
        foreach (var script in result.Scripts)
        {
            logger.LogInformation("Schema {Schema}: ran {Script}", migration.Schema, script.Name);
        }
        if (!result.Successful)
        {
            throw result.Error as StartException ?? new StartException(
                $"The script {result.ErrorScript?.Name ?? "(none)"} of the schema '{migration.Schema}' failed and was rolled back: {result.Error.Message}",
                result.Error);
        }
    }

    private static async Task<NpgsqlConnection> OpenAsync(string name, NpgsqlDataSource source, NpgsqlConnectionStringBuilder settings, TimeSpan patience, CancellationToken ct)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            var connection = source.CreateConnection();
            try
            {
                // A cancellation between two steps of its handshake does not reach a server that is silent.
                await connection.OpenAsync(ct).WaitAsync(ct);
                return connection;
            }
            catch (Exception exception) when (exception is DbException or TimeoutException)
            {
                await connection.DisposeAsync();
                var waiting = exception is not PostgresException { SqlState: "28P01" or "28000" };
                if (!waiting || Stopwatch.GetElapsedTime(started) > patience)
                {
                    throw new StartException(
                        $"The database '{settings.Database}' of the connection string '{name}' at {settings.Host}:{settings.Port} cannot be opened: "
                        + $"{exception.InnerException?.Message ?? exception.Message} Start PostgreSQL there, or correct ConnectionStrings__{name}.",
                        exception);
                }
                await Task.Delay(TimeSpan.FromMilliseconds(300), ct);
            }
        }
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql, string? parameter, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        if (parameter is not null)
        {
            command.Parameters.Add(new() { Value = parameter });
        }
        await command.ExecuteNonQueryAsync(ct);
    }
}

/// <summary>How migrations run; configuration section <c>Migrations</c>.</summary>
public sealed class MigrationOptions
{
    /// <summary>Seconds that a start waits for a database that is not up yet; 0 to 600, 30 unless set.</summary>
    [Range(0, 600, ErrorMessage = "Migrations:WaitSeconds must be from 0 to 600.")]
    public int WaitSeconds { get; set; } = 30;
}

internal sealed record Migration(string ConnectionName, string Schema, Assembly Assembly, string Prefix);
