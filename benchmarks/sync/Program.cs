// Starts a PostgreSQL and the sync service, each a process of its own, and measures what run.sh lists.
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;
using Npgsql;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (args is ["bare", var url, var rows])
{
    await Pages.ServeAsync(url, rows);
    return;
}
string[] parts = ["creates", "bulk", "changes", "pouchdb", "start", "page", "flat", "feeds"];
var asked = args.Where((one, at) => !one.StartsWith("--", StringComparison.Ordinal) && (at is 0 || !args[at - 1].StartsWith("--", StringComparison.Ordinal))).ToList();
if (asked.Find(one => !parts.Contains(one)) is { } unknown)
{
    Console.Error.WriteLine($"There is no part '{unknown}'. Parts: {string.Join(' ', parts)}");
    Environment.Exit(2);
}
var chosen = asked.Count is 0 ? [.. parts] : asked;
var (rounds, documents) = (Option("--rounds", 3), Option("--documents", 10_000));
using var data = new DataFolder(Path.Combine(Path.GetTempPath(), $"benchmark-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
var binaries = await PostgresBinaries.FindAsync(null, data, data.In("postgres"), NullLogger.Instance, CancellationToken.None);
var databasePort = FreePort();
var server = await new PostgresServer(binaries, data, data.In("postgres"), NullLogger.Instance).StartAsync(databasePort, "postgres", "benchmark", (_, _) => { }, CancellationToken.None);
List<Process> processes = [];
try
{
    var connectionString = $"Host=localhost;Port={databasePort};Username=postgres;Password=benchmark;Database=postgres";
    await using var database = NpgsqlDataSource.Create(connectionString);
    await using var authority = await Authority.StartAsync(FreePort());
    var address = $"http://127.0.0.1:{FreePort()}";
    var service = Start("dotnet", [Text("--service", "artifacts/bin/MobileServices/release/MobileServices.dll"), "Run=sync", $"ConnectionStrings:mobiledb={connectionString}", $"Authentication:Authority={authority.Address}", $"urls={address}", "Sync:MostDatabases=1000"]);
    var token = authority.Token("sync");
    using var ours = new Server($"{address}/sync", token, service.Id, server.Id);
    await ours.ReadyAsync();
    Console.WriteLine($"{Environment.ProcessorCount} processors, load {(await File.ReadAllTextAsync("/proc/loadavg")).Split(' ')[0]} before; {documents} documents, {rounds} rounds in turns, median (least-most)");
    if (chosen.Exists(part => part is "creates" or "bulk" or "changes" or "pouchdb"))
    {
        var peerPort = FreePort();
        var folder = data.In("pouchdb");
        Directory.CreateDirectory(folder);
        var peer = Start("node", [Path.GetFullPath("benchmarks/sync/node_modules/pouchdb-server/bin/pouchdb-server"), "--port", $"{peerPort}", "--host", "127.0.0.1", "--dir", folder, "--config", Path.Combine(folder, "config.json"), "--no-color"], folder);
        using var theirs = new Server($"http://127.0.0.1:{peerPort}", null, peer.Id);
        await theirs.ReadyAsync();
        await new Peers(ours, theirs, database, rounds, documents, Option("--warm-up", 20)).RunAsync(chosen);
        if (chosen.Contains("pouchdb"))
        {
            await Start("node", ["benchmarks/sync/pouchdb.mjs", ours.Address, theirs.Address, token, $"{rounds}", $"{documents}"], quiet: false).WaitForExitAsync();
        }
        peer.Kill();
    }
    if (chosen.Contains("start"))
    {
        await Start("node", ["benchmarks/sync/start.mjs", ours.Address, token, $"{documents}"], quiet: false).WaitForExitAsync();
    }
    if (chosen.Exists(part => part is "page" or "flat"))
    {
        var bareAddress = $"http://127.0.0.1:{FreePort()}";
        var bare = Start("dotnet", [Environment.GetCommandLineArgs()[0], "bare", bareAddress, connectionString]);
        using var beside = new Server(bareAddress, null, bare.Id, server.Id);
        await new Pages(ours, beside, database, rounds).RunAsync(chosen);
    }
    if (chosen.Contains("feeds"))
    {
        await Feeds.RunAsync(ours, service, Option("--feeds", 10_000));
    }
}
finally
{
    processes.ForEach(process => process.Kill());
    await server.StopAsync(TimeSpan.FromSeconds(5));
}

string Text(string name, string otherwise) => Array.IndexOf(args, name) is >= 0 and var at ? args[at + 1] : otherwise;

int Option(string name, int otherwise) => int.Parse(Text(name, $"{otherwise}"), CultureInfo.InvariantCulture);

Process Start(string program, string[] arguments, string folder = "", bool quiet = true)
{
    var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = quiet, RedirectStandardError = quiet, WorkingDirectory = folder })!;
    if (quiet)
    {
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, line) => Console.Error.WriteLine(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }
    processes.Add(process);
    return process;
}

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}
