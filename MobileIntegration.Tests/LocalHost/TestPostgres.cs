using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;
using Npgsql;

namespace MobileIntegration.Tests;

public static partial class TestPostgres
{
    private static async Task<string> StartAsync()
    {
        DeleteLeftovers();
        var data = new DataFolder(Path.Combine(Path.GetTempPath(), $"tests-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
        var port = new Ports(new ConfigurationBuilder().Build(), file: "", random: true).Target();
        var binaries = await PostgresBinaries.FindAsync(Environment.GetEnvironmentVariable("Postgres__Binaries"), data, data.In("postgres"), NullLogger.Instance, CancellationToken.None);
        var server = new PostgresServer(binaries, data, data.In("postgres"), NullLogger.Instance);
        var process = await server.StartAsync(port, "postgres", "test", (_, _) => { }, CancellationToken.None);
        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            process.StopAsync(TimeSpan.FromSeconds(5)).GetAwaiter().GetResult();
            data.Dispose();
        };
        var connectionString = string.Create(CultureInfo.InvariantCulture, $"Host=localhost;Port={port};Username=postgres;Password=test;Maximum Pool Size=20");
        await using var database = NpgsqlDataSource.Create(connectionString);
        foreach (var sql in (string[])["alter system set fsync = off", "alter system set full_page_writes = off", "select pg_reload_conf()"])
        {
            // Tests kill services; if this machine goes down, so does the run.
            await using var command = database.CreateCommand(sql);
            await command.ExecuteNonQueryAsync();
        }
        return connectionString;
    }

    /// <summary>The data of runs that were ended before they could delete it.</summary>
    private static void DeleteLeftovers()
    {
        foreach (var folder in Directory.GetDirectories(Path.GetTempPath(), "tests-*"))
        {
            try
            {
                using (new FileStream(Path.Combine(folder, "lock"), FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                {
                    // Who runs on it holds the lock.
                }
                Directory.Delete(folder, recursive: true);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Somebody else's, or still in use.
            }
        }
    }
}
