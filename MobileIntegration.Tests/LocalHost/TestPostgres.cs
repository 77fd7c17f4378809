using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests;

public static partial class TestPostgres
{
    private static async Task<string> StartAsync()
    {
        var data = new DataFolder(Path.Combine(Path.GetTempPath(), $"tests-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
        var port = new Ports(new ConfigurationBuilder().Build(), file: "", random: true).Target();
        var binaries = await PostgresBinaries.FindAsync(Environment.GetEnvironmentVariable("Postgres__Binaries"), data, NullLogger.Instance, CancellationToken.None);
        var server = new PostgresServer(binaries, data, data.In("postgres"), NullLogger.Instance);
        var process = await server.StartAsync(port, "postgres", "test", (_, _) => { }, CancellationToken.None);
        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            process.StopAsync(TimeSpan.FromSeconds(5)).GetAwaiter().GetResult();
            data.Dispose();
        };
        return string.Create(CultureInfo.InvariantCulture, $"Host=localhost;Port={port};Username=postgres;Password=test;Maximum Pool Size=20");
    }
}
