// Starts a PostgreSQL and lets bench.mjs measure the service on it.
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;

using var data = new DataFolder(Path.Combine(Path.GetTempPath(), $"benchmark-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
var binaries = await PostgresBinaries.FindAsync(null, data, NullLogger.Instance, CancellationToken.None);
var port = FreePort();
var server = await new PostgresServer(binaries, data, data.In("postgres"), NullLogger.Instance).StartAsync(port, "postgres", "benchmark", (_, _) => { }, CancellationToken.None);
try
{
    using var bench = Process.Start("node",
    [
        "benchmarks/sync/bench.mjs", "artifacts/bin/MobileServices/release/MobileServices.dll",
        $"Host=localhost;Port={port};Username=postgres;Password=benchmark;Database=postgres", args[0], args[1],
    ]);
    await bench.WaitForExitAsync();
    return bench.ExitCode;
}
finally
{
    await server.StopAsync(TimeSpan.FromSeconds(5));
}

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}
