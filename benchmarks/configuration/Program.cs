// Starts a PostgreSQL, the configuration service with 100 flags in it (booleans, texts, numbers and objects; half of them with rules, a quarter with a
// percentage), and a peer that answers the same bytes, each in a process of its own, and lets wrk ask both in turns.
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;
using Npgsql;

const string Body = """{"context":{"targetingKey":"user-1","plan":"gold","appVersion":"2.1.0","platform":"android"}}""";
const string Path = "/ofrep/v1/evaluate/flags";

if (args is ["peer", var peerPort, var answer])
{
    var builder = WebApplication.CreateSlimBuilder([$"--urls=http://127.0.0.1:{peerPort}"]);
    builder.Logging.ClearProviders();
    var bytes = await File.ReadAllBytesAsync(answer);
    var app = builder.Build();
    app.MapPost(Path, async (HttpRequest request) =>
    {
        using var read = await JsonDocument.ParseAsync(request.Body);
        return Results.Bytes(bytes, "application/json");
    });
    await app.RunAsync();
    return;
}

var rounds = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 3;
var seconds = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 8;
using var data = new DataFolder(System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"benchmark-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
var binaries = await PostgresBinaries.FindAsync(null, data, data.In("postgres"), NullLogger.Instance, CancellationToken.None);
var databasePort = FreePort();
var server = await new PostgresServer(binaries, data, data.In("postgres"), NullLogger.Instance).StartAsync(databasePort, "postgres", "benchmark", (_, _) => { }, CancellationToken.None);
List<Process> processes = [];
try
{
    var database = $"Host=localhost;Port={databasePort};Username=postgres;Password=benchmark;Database=postgres";
    var servicePort = FreePort();
    string[] run = ["Run=configuration", $"ConnectionStrings:mobiledb={database}", "Authentication:Authority=http://localhost:9", $"urls=http://127.0.0.1:{servicePort}"];
    processes.Add(Start("dotnet", ["artifacts/bin/MobileServices/release/MobileServices.dll", .. run]));
    var service = await ReadyAsync(servicePort);
    await FillAsync(database);
    using var http = new HttpClient { BaseAddress = service };
    http.DefaultRequestHeaders.Add("X-App-Id", "com.example.shop");
    byte[] body = [];
    while (body.Length < 2000)
    {
        body = await (await http.PostAsync(new Uri(Path, UriKind.Relative), new StringContent(Body, System.Text.Encoding.UTF8, "application/json"))).Content.ReadAsByteArrayAsync();
        await Task.Delay(100);
    }
    using var evaluated = JsonDocument.Parse(body);
    var count = evaluated.RootElement.GetProperty("flags").GetArrayLength();
    var file = data.In("answer.json");
    await File.WriteAllBytesAsync(file, body);
    var peerAt = FreePort();
    processes.Add(Start("dotnet", [typeof(Program).Assembly.Location, "peer", $"{peerAt}", file]));
    var peer = await ReadyAsync(peerAt);
    var script = data.In("post.lua");
    await File.WriteAllTextAsync(script,
        $$"""
        wrk.method = "POST"
        wrk.headers["Content-Type"] = "application/json"
        wrk.headers["X-App-Id"] = "com.example.shop"
        local n = 0
        function request()
            n = n + 1
            -- A key of the same length each time, so that the length of the body stays right.
            return wrk.format(nil, "{{Path}}", nil, (('{{Body}}'):gsub("user%-1", "user-" .. (n % 9 + 1), 1)))
        end
        """);
    Console.WriteLine($"{count} flags, {body.Length} bytes an answer, 32 connections");
    await MeasureAsync(service, script, seconds);
    await MeasureAsync(peer, script, seconds);
    Console.WriteLine("round   evaluations/s    p99 ms   peer/s   peer p99 ms   ratio");
    for (var round = 1; round <= rounds; round++)
    {
        var (ours, oursLate, failed) = await MeasureAsync(service, script, seconds);
        var (theirs, theirsLate, _) = await MeasureAsync(peer, script, seconds);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{round,5}   {ours,13:N0} {oursLate,9:N1} {theirs,8:N0} {theirsLate,13:N1} {ours / theirs,7:N2}{(failed > 0 ? $"   {failed} FAILED" : "")}"));
    }
}
finally
{
    foreach (var process in processes)
    {
        process.Kill(entireProcessTree: true);
    }
    await server.StopAsync(TimeSpan.FromSeconds(5));
}

static Process Start(string command, string[] arguments)
{
    var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true })!;
    process.OutputDataReceived += (_, _) => { };
    process.BeginOutputReadLine();
    return process;
}

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}

static async Task<Uri> ReadyAsync(int port)
{
    var address = new Uri($"http://127.0.0.1:{port}");
    using var http = new HttpClient();
    for (var tries = 0; ; tries++)
    {
        try
        {
            using var answer = await http.GetAsync(address);
            return address;
        }
        catch (HttpRequestException) when (tries < 300)
        {
            await Task.Delay(100);
        }
    }
}

static async Task FillAsync(string connectionString)
{
    await using var source = NpgsqlDataSource.Create(connectionString);
    for (var number = 0; number < 100; number++)
    {
        var (type, first, second) = (number % 4) switch
        {
            0 => ("boolean", "true", "false"),
            1 => ("string", "\"first text\"", "\"second text\""),
            2 => ("number", "10", "50"),
            _ => ("object", """{"colour":"black","round":true}""", """{"colour":"white","round":false}"""),
        };
        var rules = number % 4 is 0 ? """[{"name":"some","split":{"a":25,"b":75}}]"""
            : number % 4 is 1 ? """[{"name":"gold","attributes":{"plan":["gold"]},"versions":">=2.0.0","platforms":["android"],"serve":"b"}]"""
            : "[]";
        await using var command = source.CreateCommand(
            """
            with next as (update configuration.state set version = version + 1 returning version)
            insert into configuration.flag (app_id, key, version, body, published_at, published_by) select 'com.example.shop', $1, version, $2::jsonb, now(), 'benchmark' from next
            """);
        command.Parameters.Add(new() { Value = $"flag-{number}" });
        command.Parameters.Add(new() { Value = $$"""{"type":"{{type}}","variants":{"a":{{first}},"b":{{second}}},"default":"a","rules":{{rules}}}""" });
        await command.ExecuteNonQueryAsync();
    }
}

static async Task<(double PerSecond, double Late, double Failed)> MeasureAsync(Uri address, string script, int seconds)
{
    using var wrk = Process.Start(new ProcessStartInfo("wrk", ["-t1", "-c32", $"-d{seconds}s", "--latency", "-s", script, address.ToString()]) { RedirectStandardOutput = true })!;
    var output = await wrk.StandardOutput.ReadToEndAsync();
    var late = Regex.Match(output, @"99%\s+([\d.]+)(us|ms|s)");
    var unit = late.Groups[2].Value switch { "us" => 0.001, "ms" => 1, _ => 1000.0 };
    return (
        double.Parse(Regex.Match(output, @"Requests/sec:\s+([\d.]+)").Groups[1].Value, CultureInfo.InvariantCulture),
        double.Parse(late.Groups[1].Value, CultureInfo.InvariantCulture) * unit,
        Regex.Match(output, @"Non-2xx or 3xx responses: (\d+)") is { Success: true } match ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0);
}
