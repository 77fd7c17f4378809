using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;
using Npgsql;
using StackExchange.Redis;

namespace MobileIntegration.Tests.LocalHost.Running;

public sealed class StorageServersTests : IDisposable
{
    private const string Secret = "se\"c\\ret";
    private readonly DataFolder _data = new(Path.Combine(Path.GetTempPath(), $"mobile-integration-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
    private readonly List<string> _log = [];
    private readonly Ports _ports = TestPorts();

    public void Dispose() => _data.Dispose();

    [Theory]
    [InlineData(null)]
    [InlineData("npm")]
    public async Task PostgreSQL_keeps_what_it_acknowledged_over_a_kill(string? binaries)
    {
        var server = await PostgresAsync(binaries);
        var port = _ports.Target();
        var process = await server.StartAsync(port, "postgres", "a'b\"c", Log, CancellationToken.None);
        await ExecuteAsync(port, "a'b\"c", "create table kept (id int); insert into kept values (1)");

        process.Kill();
        await process.Exited;
        process = await server.StartAsync(port, "postgres", "a'b\"c", Log, CancellationToken.None);

        Assert.Equal(1, await ExecuteAsync(port, "a'b\"c", "select count(*)::int from kept"));
        await process.StopAsync(TimeSpan.FromSeconds(10));
        Assert.Contains(_log, line => line.Contains("database system is shut down", StringComparison.Ordinal));
    }

    [Fact]
    public async Task PostgreSQL_data_that_meets_a_new_password_learns_it()
    {
        var server = await PostgresAsync(null);
        var port = _ports.Target();
        var process = await server.StartAsync(port, "postgres", "first", Log, CancellationToken.None);
        await process.StopAsync(TimeSpan.FromSeconds(10));

        process = await server.StartAsync(port, "postgres", "second'", Log, CancellationToken.None);

        Assert.Equal(1, await ExecuteAsync(port, "second'", "select 1"));
        await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(port, "first", "select 1"));
        await process.StopAsync(TimeSpan.FromSeconds(10));
    }

    [Theory]
    [InlineData("garnet")]
    [InlineData("redis")]
    public async Task Redis_keeps_its_keys_over_a_kill_and_asks_for_the_password(string kind)
    {
        var server = new RedisServer(kind, _data, _data.In("redis"), TimeSpan.FromSeconds(60));
        var port = _ports.Target();
        var process = await server.StartAsync(port, Secret, Log, CancellationToken.None);
        await using (var redis = await ConnectionMultiplexer.ConnectAsync(Address(port, Secret)))
        {
            await redis.GetDatabase().StringSetAsync("kept", "yes");
            Assert.Equal(3, (int)await redis.GetDatabase().ScriptEvaluateAsync("return 1 + 2"));
        }

        await Assert.ThrowsAsync<RedisConnectionException>(() => ConnectionMultiplexer.ConnectAsync(Address(port, "wrong")));
        if (kind == "redis")
        {
            // Its log is synchronised once a second.
            await process.StopAsync(TimeSpan.FromSeconds(10));
        }

        process.Kill();
        await process.Exited;
        process = await server.StartAsync(port, Secret, Log, CancellationToken.None);

        await using (var redis = await ConnectionMultiplexer.ConnectAsync(Address(port, Secret)))
        {
            Assert.Equal("yes", (string?)await redis.GetDatabase().StringGetAsync("kept"));
        }

        await process.StopAsync(TimeSpan.FromSeconds(10));
    }

    private static ConfigurationOptions Address(int port, string password) =>
        new() { EndPoints = { { "localhost", port } }, Password = password, ConnectRetry = 0 };

    private static Ports TestPorts() =>
        new(new Microsoft.Extensions.Configuration.ConfigurationBuilder().Build(), "", random: true);

    private async Task<PostgresServer> PostgresAsync(string? binaries) =>
        new(await PostgresBinaries.FindAsync(binaries, _data, _data.In("postgres"), NullLogger.Instance, CancellationToken.None), _data, _data.In("postgres"), NullLogger.Instance);

    private void Log(string line, bool error)
    {
        lock (_log)
        {
            _log.Add(line);
        }
    }

    private static async Task<object?> ExecuteAsync(int port, string password, string sql)
    {
        var address = new NpgsqlConnectionStringBuilder { Host = "localhost", Port = port, Username = "postgres", Password = password, Pooling = false };
        await using var connection = new NpgsqlConnection(address.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }
}
