using System.Net;
using System.Net.Sockets;
using Dapper;
using MobileServices.Devices;
using Npgsql;

namespace MobileIntegration.Tests.ServiceDefaults;

/// <summary>Starts that the operator has to mend, as processes of their own: one line on standard error, exit code 1.</summary>
public sealed class StartTests
{
    [Fact]
    public async Task An_unknown_slice_stops_the_start_and_lists_the_valid_ones()
    {
        await FailsAsync(
            "error: Run names 'custmers', which is not here. Valid: customers, products, orders, inventory.",
            "IntegrationServices", ("Run", "orders,custmers"));
    }

    [Fact]
    public async Task A_setting_out_of_range_is_named()
    {
        var error = await FailsAsync(null, "IntegrationServices", ("Backends__crm__TimeoutSeconds", "3600"));
        Assert.Contains("TimeoutSeconds must be from 0.05 to 60", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_connection_string_is_named()
    {
        var error = await FailsAsync(null, "MobileServices", ("Run", "devices"));
        Assert.StartsWith("error: The connection string 'mobiledb' is missing. Set ConnectionStrings__mobiledb", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_that_refuses_the_login_is_named_without_the_password()
    {
        // A user that does not exist is refused at once; a server that is away is waited for.
        var server = new NpgsqlConnectionStringBuilder(await TestPostgres.CreateDatabaseAsync()) { Username = "nobody", Password = "hunter2" };
        var error = await FailsAsync(null, "MobileServices", ("ConnectionStrings__mobiledb", server.ConnectionString));
        Assert.Contains($"'mobiledb' at {server.Host}:{server.Port}", error, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_script_that_was_changed_after_it_ran_stops_the_start()
    {
        var database = await TestPostgres.CreateDatabaseAsync();
        await using (new TestService<DeviceStore>(("ConnectionStrings:mobiledb", database)))
        {
            await using var connection = new NpgsqlConnection(database);
            await connection.ExecuteAsync("update devices.migrations set checksum = 'other'");
        }
        await FailsAsync(
            "error: The script 001_devices.sql was changed after it ran. Restore it, and put the change into a new script.",
            "MobileServices", ("ConnectionStrings__mobiledb", database));
    }

    [Fact]
    public async Task A_script_that_fails_is_named_and_leaves_nothing_behind()
    {
        var database = await TestPostgres.CreateDatabaseAsync();
        await using var connection = new NpgsqlConnection(database);
        await connection.ExecuteAsync("create schema devices; create table devices.push_address (other int)");

        var error = await FailsAsync(null, "MobileServices", ("ConnectionStrings__mobiledb", database));

        Assert.Contains("The script 001_devices.sql of the schema 'devices' failed and was rolled back", error, StringComparison.Ordinal);
        Assert.False(await connection.ExecuteScalarAsync<bool>("select to_regclass('devices.device') is not null"));
    }

    [Fact]
    public async Task A_taken_port_is_named()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var error = await FailsAsync(null, "FrontendServices", ("ASPNETCORE_URLS", $"http://127.0.0.1:{((IPEndPoint)taken.LocalEndpoint).Port}"));
        Assert.Contains("address already in use", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Replicas_that_start_together_run_each_script_once()
    {
        var database = await TestPostgres.CreateDatabaseAsync();

        var replicas = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => new TestService<DeviceStore>(("ConnectionStrings:mobiledb", database)))));

        foreach (var replica in replicas)
        {
            await using (replica)
            {
                Assert.Equal("Healthy", await replica.Http.GetStringAsync("/health"));
            }
        }
        await using var connection = new NpgsqlConnection(database);
        Assert.Equal(["001_devices.sql"], await connection.QueryAsync<string>("select name from devices.migrations"));
    }

    private static async Task<string> FailsAsync(string? line, string assembly, params (string Key, string Value)[] environment)
    {
        var (exitCode, error) = await TestServices.RunToEndAsync(assembly, environment);
        Assert.Equal(1, exitCode);
        Assert.Single(error.TrimEnd('\n').Split('\n'));
        if (line is not null)
        {
            Assert.Equal(line, error.TrimEnd('\n'));
        }
        return error;
    }
}
