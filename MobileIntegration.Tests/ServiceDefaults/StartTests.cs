using System.Diagnostics;
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
            "error: Run names 'custmers', which is not here. Valid: customers, products, orders, inventory, commands, changes.",
            "IntegrationServices", ("Run", "orders,custmers"));
    }

    [Fact]
    public async Task A_setting_out_of_range_is_named()
    {
        var error = await FailsAsync(null, "IntegrationServices", ("Run", "customers"), ("Backends__crm__TimeoutSeconds", "3600"));
        Assert.Contains("TimeoutSeconds must be from 0.05 to 60", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Limits__RequestSeconds", "soon")]
    [InlineData("AppGate__BeforeRules", "Perhaps")]
    [InlineData("Upstream__RetryPercent", "1e9")]
    public async Task A_setting_that_cannot_be_read_is_named_with_its_value(string setting, string value)
    {
        var error = await FailsAsync(null, "Gateway", (setting, value), ("Authentication__Authority", "http://127.0.0.1:9"), ("ConnectionStrings__mobiledb", "Host=127.0.0.1"));
        Assert.StartsWith($"error: Failed to convert configuration value '{value}' at '{setting.Replace("__", ":", StringComparison.Ordinal)}'", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Several_wrong_settings_are_named_on_one_line()
    {
        var error = await FailsAsync(null, "IntegrationServices", ("Run", "inventory,customers"), ("Backends__crm__Address", "crm"));
        Assert.Contains("The connection string 'wmsdb' is missing", error, StringComparison.Ordinal);
        Assert.Contains("Address must be an absolute", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_that_is_away_is_waited_for_and_then_named()
    {
        var error = await FailsAsync(
            null, "MobileServices", ("Run", "devices"), ("Migrations__WaitSeconds", "1"), ("ConnectionStrings__mobiledb", "Host=127.0.0.1;Port=9;Database=mobile;Username=u;Password=hunter2"));
        Assert.StartsWith("error: The database 'mobile' of the connection string 'mobiledb' at 127.0.0.1:9 cannot be opened", error, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", error, StringComparison.Ordinal);
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
        var error = await FailsAsync(null, "MobileServices", ("Run", "devices"), ("ConnectionStrings__mobiledb", server.ConnectionString));
        Assert.Contains($"'mobiledb' at {server.Host}:{server.Port}", error, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_script_that_was_changed_after_it_ran_stops_the_start()
    {
        var database = await TestPostgres.CreateDatabaseAsync();
        await using (new TestService<DeviceStore>(("Run", "devices"), ("ConnectionStrings:mobiledb", database)))
        {
            await using var connection = new NpgsqlConnection(database);
            await connection.ExecuteAsync("update devices.migrations set checksum = 'other'");
        }
        await FailsAsync(
            "error: The script 001_devices.sql was changed after it ran. Restore it, and put the change into a new script.",
            "MobileServices", ("Run", "devices"), ("ConnectionStrings__mobiledb", database));
    }

    [Fact]
    public async Task A_script_that_fails_is_named_and_leaves_nothing_behind()
    {
        var database = await TestPostgres.CreateDatabaseAsync();
        await using var connection = new NpgsqlConnection(database);
        await connection.ExecuteAsync("create schema devices; create table devices.push_address (other int)");

        var error = await FailsAsync(null, "MobileServices", ("Run", "devices"), ("ConnectionStrings__mobiledb", database));

        Assert.Contains("The script 001_devices.sql of the schema 'devices' failed and was rolled back", error, StringComparison.Ordinal);
        Assert.False(await connection.ExecuteScalarAsync<bool>("select to_regclass('devices.device') is not null"));
    }

    [Fact]
    public async Task A_taken_port_is_named()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var error = await FailsAsync(null, "FrontendServices", ("Run", "home"), ("ASPNETCORE_URLS", $"http://127.0.0.1:{((IPEndPoint)taken.LocalEndpoint).Port}"));
        Assert.Contains("address already in use", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_of_another_machine_is_named()
    {
        var error = await FailsAsync(null, "FrontendServices", ("Run", "home"), ("ASPNETCORE_URLS", "http://192.0.2.1:5000"));
        Assert.StartsWith("error: Cannot listen on http://192.0.2.1:5000", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_while_the_database_is_waited_for_is_orderly()
    {
        using var away = new TcpListener(IPAddress.Loopback, 0);
        away.Start();
        using var process = TestServices.StartProcess(
            "MobileServices", ("Run", "devices"), ("ConnectionStrings__mobiledb", $"Host=127.0.0.1;Port={((IPEndPoint)away.LocalEndpoint).Port};Database=mobile;Username=u;Timeout=60"));
        using var asking = await away.AcceptTcpClientAsync();
        await StopsAsync(process);
    }

    [Fact]
    public async Task A_stop_while_the_service_starts_is_orderly()
    {
        var (backend, wms) = (await TestPostgres.CreateDatabaseAsync(), await TestPostgres.CreateDatabaseAsync());
        (string, string)[] settings = [("Run", "erp"), ("ConnectionStrings__backenddb", backend), ("ConnectionStrings__wmsdb", wms)];
        await using var connection = new NpgsqlConnection(backend);
        await connection.OpenAsync();
        // The lock that seeding takes.
        await connection.ExecuteAsync("select pg_advisory_lock(hashtext('seed'), hashtext('erp'))");
        using var process = TestServices.StartProcess("BackendSystems", settings);
        await using var watch = new NpgsqlConnection(backend);
        await Eventually.TrueAsync(
            async () => await watch.ExecuteScalarAsync<bool>("select exists(select from pg_locks where locktype = 'advisory' and not granted)"),
            TimeSpan.FromSeconds(60));
        await StopsAsync(process);
    }

    [Fact]
    public async Task Replicas_that_start_together_run_each_script_once()
    {
        var database = await TestPostgres.CreateDatabaseAsync();

        var replicas = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => new TestService<DeviceStore>(("Run", "devices"), ("ConnectionStrings:mobiledb", database)))));

        foreach (var replica in replicas)
        {
            await using (replica)
            {
                Assert.Equal("Healthy", await replica.Http.GetStringAsync("/health"));
            }
        }
        await using var connection = new NpgsqlConnection(database);
        Assert.Equal(["001_devices.sql", "002_apps_and_rules.sql", "003_device_keys.sql"], await connection.QueryAsync<string>("select name from devices.migrations order by applied_at"));
    }

    private static async Task<string> FailsAsync(string? line, string assembly, params (string Key, string Value)[] environment)
    {
        var (exitCode, output, error) = await TestServices.RunToEndAsync(assembly, environment);
        Assert.Equal(1, exitCode);
        Assert.DoesNotContain("fail:", output, StringComparison.Ordinal);
        Assert.DoesNotContain("crit:", output, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd('\n').Split('\n'));
        if (line is not null)
        {
            Assert.Equal(line, error.TrimEnd('\n'));
        }
        return error;
    }

    private static async Task StopsAsync(Process process)
    {
        using (var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]))
        {
            await kill.WaitForExitAsync();
        }
        var (exitCode, _, error) = await process.EndAsync();
        Assert.Equal("", error);
        Assert.Equal(0, exitCode);
    }
}
