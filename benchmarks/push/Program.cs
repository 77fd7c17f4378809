// The senders alone first (Senders.cs). Then it starts a PostgreSQL, a fake of APNs (HTTP/2 without TLS, answers at once) and the push service, each in a process of its own.
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;
using Npgsql;

const string App = "com.example.bench";
const int Few = 2000;

if (args is ["fake", var fakePort])
{
    var builder = WebApplication.CreateSlimBuilder();
    builder.Logging.ClearProviders();
    builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, int.Parse(fakePort, CultureInfo.InvariantCulture), listen => listen.Protocols = HttpProtocols.Http2));
    var fake = builder.Build();
    fake.Run(async http =>
    {
        await http.Request.Body.CopyToAsync(Stream.Null);
        http.Response.Headers["apns-id"] = http.Request.Headers["apns-id"];
    });
    await fake.RunAsync();
    return;
}
if (args is ["loop", var address, var loopCount])
{
    Console.WriteLine((await LoopAsync(address, int.Parse(loopCount, CultureInfo.InvariantCulture))).ToString(CultureInfo.InvariantCulture));
    return;
}

if (args is ["tls-fake", var tlsPort, var pfx])
{
    await Senders.FakeAsync(int.Parse(tlsPort, CultureInfo.InvariantCulture), pfx);
    return;
}
if (args is ["sender", var senderName, var senderPort])
{
    Console.WriteLine((await Senders.OursAsync(senderName, int.Parse(senderPort, CultureInfo.InvariantCulture))).ToString(CultureInfo.InvariantCulture));
    return;
}

var devices = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 100_000;
var rounds = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 3;
var registered = args.Length > 2 ? int.Parse(args[2], CultureInfo.InvariantCulture) : 500_000;
var part = args.Length > 3 ? args[3] : "all";
using var data = new DataFolder(Path.Combine(Path.GetTempPath(), $"benchmark-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
Directory.CreateDirectory(data.In("senders"));
if (part is not "pipeline")
{
    await Senders.CompareAsync(data.In("senders"), rounds, (file, arguments, variables) => Start(file, arguments, redirect: true, variables));
    Console.WriteLine();
}
if (part is "senders")
{
    return;
}
var binaries = await PostgresBinaries.FindAsync(null, data, data.In("postgres"), NullLogger.Instance, CancellationToken.None);
var databasePort = Ports.Free();
var server = await new PostgresServer(binaries, data, data.In("postgres"), NullLogger.Instance).StartAsync(databasePort, "postgres", "benchmark", (_, _) => { }, CancellationToken.None);
List<Process> processes = [];
try
{
    var database = $"Host=localhost;Port={databasePort};Username=postgres;Password=benchmark;Database=postgres";
    var (fakeAt, serviceAt) = (Ports.Free(), Ports.Free());
    processes.Add(Start("dotnet", [Environment.GetCommandLineArgs()[0], "fake", $"{fakeAt}"]));
    var network = $"http://127.0.0.1:{fakeAt}";
    var service = Start("dotnet",
    [
        "artifacts/bin/MobileServices/release/MobileServices.dll", "Run=push", $"ConnectionStrings:mobiledb={database}", "Authentication:Authority=http://localhost:9",
        $"Push:ApnsAddress={network}", $"urls=http://127.0.0.1:{serviceAt}", "Logging:LogLevel:Default=Error",
    ]);
    processes.Add(service);
    await ReadyAsync(serviceAt);
    await using var source = NpgsqlDataSource.Create(database);
    await CredentialAsync(source);
    await RegisterAsync(source, 0, devices);
    await SendAsync(source, $"tag == few", Few);
    await LoopOutAsync(network, Few);
    Console.WriteLine($"{devices} devices over APNs, {Environment.ProcessorCount} cores for all processes, load before {(await File.ReadAllTextAsync("/proc/loadavg")).Split(' ')[0]}");
    Console.WriteLine("round   pipeline/s   bare loop/s   ratio   service us   postgres us   WAL records   WAL bytes   service peak MB");
    var backend = await BackendAsync(source);
    // Warm, as are the senders: what goes on for hours is asked for here.
    for (var round = 0; round < 4; round++)
    {
        await SendAsync(source, "all", devices);
    }
    for (var round = 1; round <= rounds; round++)
    {
        var loop = await LoopOutAsync(network, devices);
        var (before, own, theirs) = (await WalAsync(source), Cpu.Of(service.Id), Cpu.OfPostgres(backend));
        var pipeline = await SendAsync(source, "all", devices);
        var after = await WalAsync(source);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{round,5}{pipeline,13:0}{loop,14:0}{pipeline / loop,8:0.00}{(Cpu.Of(service.Id) - own) / devices,13:0}{(Cpu.OfPostgres(backend) - theirs) / devices,14:0}"
            + $"{(double)(after.Records - before.Records) / devices,14:0.0}{(double)(after.Bytes - before.Bytes) / devices,12:0}{PeakMegabytes(service),18:0}"));
    }
    Console.WriteLine();
    Console.WriteLine($"registered   s for {Few} recipients");
    for (var have = devices; ; have = Math.Min(have * 3, registered))
    {
        var seconds = new List<double>();
        for (var round = 0; round < 3; round++)
        {
            seconds.Add(Few / await SendAsync(source, "tag == few", Few));
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{have,10}{seconds.Order().ElementAt(1),19:0.00}"));
        if (have >= registered)
        {
            break;
        }
        await RegisterAsync(source, have, Math.Min(have * 3, registered) - have);
    }
}
finally
{
    foreach (var process in processes)
    {
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
    }
    await server.StopAsync(TimeSpan.FromSeconds(5));
}

// The message as the API would write it; from there to the last row of the ledger.
static async Task<double> SendAsync(NpgsqlDataSource source, string audience, int count)
{
    var id = Guid.CreateVersion7();
    var began = Stopwatch.GetTimestamp();
    await using (var insert = source.CreateCommand(
        """
        insert into push.message (id, app_id, sender, audience, content, urgency, silent, ttl_seconds, send_at, expires_at, state, created_at)
        values ($1, $2, 'benchmark', $3, '{"title":"Hello","body":"A message of an ordinary length, as shops send them."}', 'normal', false, 86400, now(), now() + interval '1 day', 'scheduled', now());
        """))
    {
        insert.Parameters.AddWithValue(id);
        insert.Parameters.AddWithValue(App);
        insert.Parameters.AddWithValue(audience);
        await insert.ExecuteNonQueryAsync();
    }
    await using (var notify = source.CreateCommand("notify push_due"))
    {
        await notify.ExecuteNonQueryAsync();
    }
    while (true)
    {
        await using var ask = source.CreateCommand(
                        """
            select (select state = 'sending' from push.message where id = $1) and not exists (select from push.chunk where message_id = $1)
               and not exists (select from push.queue where message_id = $1) and not exists (select from push.batch where $1 = any (messages))
            """);
        ask.Parameters.AddWithValue(id);
        if ((bool)(await ask.ExecuteScalarAsync())!)
        {
            break;
        }
        await Task.Delay(count > Few ? 50 : 10);
    }
    var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
    await using var accepted = source.CreateCommand("select count(*) from push.delivery where message_id = $1 and state = 'accepted'");
    accepted.Parameters.AddWithValue(id);
    var sent = (long)(await accepted.ExecuteScalarAsync())!;
    return sent == count ? count / seconds : throw new InvalidOperationException($"{sent} of {count} were accepted.");
}

static async Task RegisterAsync(NpgsqlDataSource source, int from, int count)
{
    await using var insert = source.CreateCommand(
        """
        insert into push.registration (device_id, app_id, network, address, address_hash, host, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
        select gen_random_uuid(), $1, 'apns', address, sha256(address::bytea), '', 'ios', '1.0.0', '', 'en', 'UTC', case when n <= $4 then array['few', 'news'] else array['news'] end, now(), now()
        from generate_series($2 + 1, $2 + $3) n, lateral (select lpad(to_hex(n), 64, '0') as address) as a
        """);
    insert.CommandTimeout = 600;
    insert.Parameters.AddWithValue(App);
    insert.Parameters.AddWithValue(from);
    insert.Parameters.AddWithValue(count);
    insert.Parameters.AddWithValue(Few);
    await insert.ExecuteNonQueryAsync();
    await using var analyze = source.CreateCommand("analyze push.registration");
    await analyze.ExecuteNonQueryAsync();
}

static async Task CredentialAsync(NpgsqlDataSource source)
{
    using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    await using var insert = source.CreateCommand(
        """
        insert into push.credential (app_id, network, settings, secret, saved_at, saved_by)
        values ($1, 'apns', '{"keyId":"ABCDE12345","teamId":"TEAM123456","topic":"com.example.bench","sandbox":false}', $2, now(), 'benchmark')
        """);
    insert.Parameters.AddWithValue(App);
    insert.Parameters.AddWithValue(key.ExportPkcs8PrivateKey());
    await insert.ExecuteNonQueryAsync();
}

static async Task<double> LoopOutAsync(string address, int count)
{
    using var process = Start("dotnet", [Environment.GetCommandLineArgs()[0], "loop", address, $"{count}"], redirect: true);
    var text = await process.StandardOutput.ReadToEndAsync();
    await process.WaitForExitAsync();
    return double.Parse(text, CultureInfo.InvariantCulture);
}

static async Task<double> LoopAsync(string address, int count)
{
    using var http = new HttpClient();
    var body = "{\"aps\":{\"alert\":{\"title\":\"Hello\",\"body\":\"A message of an ordinary length, as shops send them.\"}}}"u8.ToArray();
    await AllAsync(count);
    var began = Stopwatch.GetTimestamp();
    await AllAsync(count);
    return count / Stopwatch.GetElapsedTime(began).TotalSeconds;

    Task AllAsync(int messages)
    {
        var next = 0;
        return Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) is var number && number <= messages)
            {
                await SendAsync(number);
            }
        }));
    }

    async Task SendAsync(int number)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{address}/3/device/{number:x64}") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new ByteArrayContent(body) };
        request.Headers.TryAddWithoutValidation("apns-topic", App);
        request.Headers.TryAddWithoutValidation("apns-push-type", "alert");
        using var answer = await http.SendAsync(request);
        answer.EnsureSuccessStatusCode();
    }
}

static async Task<int> BackendAsync(NpgsqlDataSource source)
{
    await using var ask = source.CreateCommand("select pg_backend_pid()");
    return (int)(await ask.ExecuteScalarAsync())!;
}

static async Task<(long Records, long Bytes)> WalAsync(NpgsqlDataSource source)
{
    await using var ask = source.CreateCommand("select wal_records, wal_bytes::bigint from pg_stat_wal");
    await using var row = await ask.ExecuteReaderAsync();
    await row.ReadAsync();
    return (row.GetInt64(0), row.GetInt64(1));
}

static double PeakMegabytes(Process process) =>
    File.ReadLines($"/proc/{process.Id}/status").Where(line => line.StartsWith("VmHWM", StringComparison.Ordinal))
        .Select(line => double.Parse(line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024).Single();

static async Task ReadyAsync(int port)
{
    using var http = new HttpClient();
    for (var attempt = 0; ; attempt++)
    {
        try
        {
            using var answer = await http.GetAsync(new Uri($"http://127.0.0.1:{port}/alive"));
            return;
        }
        catch (HttpRequestException) when (attempt < 600)
        {
            await Task.Delay(100);
        }
    }
}

static Process Start(string file, string[] arguments, bool redirect = false, IReadOnlyDictionary<string, string>? variables = null)
{
    var start = new ProcessStartInfo(file, arguments) { RedirectStandardOutput = redirect };
    foreach (var (name, value) in variables ?? new Dictionary<string, string>())
    {
        start.Environment[name] = value;
    }
    return Process.Start(start)!;
}
