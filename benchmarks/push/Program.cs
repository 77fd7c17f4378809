// The senders alone (Senders.cs), then the service over each network (Pipeline.cs). Fakes, loops and services are processes of their own.
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;
using Npgsql;

string[] known = ["apns", "fcm", "webpush", "own"];
switch (args)
{
    case ["fake", var port, var tokenPort]:
        await Fakes.ServeAsync(Number(port), Number(tokenPort));
        return 0;
    case ["loop", var network, var address, var count]:
        Console.WriteLine((await Loop.RunAsync(network, address, Number(count))).ToString(CultureInfo.InvariantCulture));
        return 0;
    case ["sender", var network, var port]:
        Console.WriteLine((await Senders.OursAsync(network, Number(port))).ToString(CultureInfo.InvariantCulture));
        return 0;
}

var devices = args.Length > 0 ? Number(args[0]) : 100_000;
var rounds = args.Length > 1 ? Number(args[1]) : 3;
var registered = args.Length > 2 ? Number(args[2]) : 500_000;
var part = args.Length > 3 ? args[3] : "all";
var networks = args.Length > 4 ? args[4..] : known;
if (part is not ("all" or "senders" or "pipeline") || networks.Except(known).Any())
{
    await Console.Error.WriteLineAsync($"The part is all, senders or pipeline; networks are {string.Join(", ", known)}.");
    return 1;
}
using var data = new DataFolder(Path.Combine(Path.GetTempPath(), $"benchmark-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
var fakes = data.In("fakes");
Directory.CreateDirectory(fakes);
var targets = new Targets();
await using (var children = new Children())
{
    var trust = await Fakes.WriteCertificatesAsync(fakes);
    var addresses = new FakeAddresses(Children.FreePort(), Children.FreePort(), Children.FreePort(), trust);
    await Fakes.StartTlsAsync(children, fakes, addresses.TlsPort);
    await children.StartSelfAsync(addresses.Port, "fake", $"{addresses.Port}", $"{addresses.TokenPort}");
    if (part is not "pipeline")
    {
        await Senders.CompareAsync(fakes, addresses.TlsPort, trust, rounds, targets);
    }
    if (part is not "senders")
    {
        var binaries = await PostgresBinaries.FindAsync(null, data, data.In("postgres"), NullLogger.Instance, CancellationToken.None);
        var port = Children.FreePort();
        var server = await new PostgresServer(binaries, data, data.In("postgres"), NullLogger.Instance).StartAsync(port, "postgres", "benchmark", (_, _) => { }, CancellationToken.None);
        try
        {
            foreach (var network in networks)
            {
                var admin = $"Host=localhost;Port={port};Username=postgres;Password=benchmark;Database=postgres;Pooling=false";
                await ExecuteAsync(admin, $"create database {network}");
                // Encryption makes the one slow, a transaction for each message the other.
                var count = network is "webpush" or "own" ? devices / 5 : devices;
                // What is asked of the devices is the same for all networks: once is enough.
                var grown = network == networks[0] ? registered : 0;
                await Pipeline.RunAsync(network, admin.Replace("Database=postgres;Pooling=false", $"Database={network}", StringComparison.Ordinal), addresses, count, rounds, grown, targets);
                await ExecuteAsync(admin, $"drop database {network} with (force)");
            }
        }
        finally
        {
            await server.StopAsync(TimeSpan.FromSeconds(5));
        }
    }
}
targets.Tell();
return 0;

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

static async Task ExecuteAsync(string database, string sql)
{
    await using var source = NpgsqlDataSource.Create(database);
    await using var command = source.CreateCommand(sql);
    await command.ExecuteNonQueryAsync();
}
