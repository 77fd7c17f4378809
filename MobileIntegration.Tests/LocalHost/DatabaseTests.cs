using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;

namespace MobileIntegration.Tests.LocalHost;

public sealed class DatabaseTests : IAsyncLifetime, IDisposable
{
    private readonly TestModel _model = new("--environment=Production");
    private readonly string _name = $"made_{Guid.CreateVersion7():n}";
    private IResourceBuilder<PostgresServerResource> _server = null!;
    private string _connectionString = "";

    public async Task InitializeAsync()
    {
        var there = new NpgsqlConnectionStringBuilder(await TestPostgres.CreateDatabaseAsync());
        _connectionString = there.ConnectionString;
        var user = _model.Builder.AddParameter("user", there.Username!);
        var password = _model.Builder.AddParameter("password", there.Password ?? "unused", secret: true);
        _server = _model.Builder.AddPostgres("pg", user, password);
        var endpoint = _server.GetEndpoint("tcp").EndpointAnnotation;
        endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, there.Host!, there.Port);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task A_database_is_created_when_its_server_is_ready_and_left_alone_after()
    {
        var database = _server.AddDatabase("db", _name);
        Assert.Equal(HealthStatus.Unhealthy, await HealthAsync("db_check"));

        await _model.SetReadyAsync(_server.Resource);
        Assert.Equal(HealthStatus.Healthy, await HealthAsync("db_check"));
        Assert.Equal(HealthStatus.Healthy, await HealthAsync("pg_check"));

        await ExecuteAsync("create table kept ()", database.Resource);
        await _model.SetReadyAsync(_server.Resource);
        await ExecuteAsync("select * from kept", database.Resource);
        Assert.DoesNotContain(await LogTests.AllAsync(_model.Logs.GetAllAsync("db")), line => line.IsErrorMessage);
    }

    [Fact]
    public async Task A_creation_script_takes_the_place_of_the_plain_statement()
    {
        var database = _server.AddDatabase("db", _name).WithCreationScript($"create database {_name} connection limit 7");
        await _model.SetReadyAsync(_server.Resource);
        Assert.Equal(7, await ExecuteAsync("select datconnlimit from pg_database where datname = current_database()", database.Resource));
    }

    [Fact]
    public async Task A_database_that_cannot_be_created_is_an_error_in_its_log_and_does_not_keep_others_from_being_created()
    {
        _server.AddDatabase("broken", _name + "x").WithCreationScript("create nonsense");
        _server.AddDatabase("db", _name);
        await _model.SetReadyAsync(_server.Resource);
        Assert.Equal(HealthStatus.Healthy, await HealthAsync("db_check"));
        Assert.Contains(await LogTests.AllAsync(_model.Logs.GetAllAsync("broken")), line => line.IsErrorMessage && line.Content.Contains("nonsense", StringComparison.Ordinal));
    }

    private async Task<HealthStatus> HealthAsync(string key) => (await _model.Service<HealthCheckService>().CheckHealthAsync(check => check.Name == key)).Status;

    private async Task<object?> ExecuteAsync(string sql, PostgresDatabaseResource database)
    {
        var connectionString = new NpgsqlConnectionStringBuilder(_connectionString) { Database = database.DatabaseName, Pooling = false };
        await using var connection = new NpgsqlConnection(connectionString.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }
}
