using Npgsql;

namespace MobileIntegration.Tests;

/// <summary>
/// The real PostgreSQL of a test run: one server, started on first use, and a database for every test class that asks.
/// Set TEST_POSTGRES to a connection string of a server that is already there to use that one instead.
/// </summary>
public static partial class TestPostgres
{
    private static readonly Lazy<Task<string>> Server = new(() =>
        Environment.GetEnvironmentVariable("TEST_POSTGRES") is { Length: > 0 } setting ? Task.FromResult(setting) : StartAsync());

    /// <summary>Creates an empty database and returns its connection string.</summary>
    public static async Task<string> CreateDatabaseAsync()
    {
        var server = new NpgsqlConnectionStringBuilder(await Server.Value);
        var name = $"test_{Guid.CreateVersion7():n}";
        await using var connection = new NpgsqlConnection(server.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand($"create database {name}", connection);
        await command.ExecuteNonQueryAsync();
        server.Database = name;
        return server.ConnectionString;
    }

#if ASPIRE
    private static Task<string> StartAsync() =>
        throw new InvalidOperationException("Set TEST_POSTGRES to the connection string of a PostgreSQL server.");
#endif
}
