// Starts a PostgreSQL and the analytics service, each a process of its own, and lets raw COPY and HTTP senders write in turns; then fills the rollups of another app
// with SQL and asks the funnel.
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;
using Npgsql;
using NpgsqlTypes;

const string Key = "wk_benchmark";
const int Senders = 16;

var rounds = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 3;
var seconds = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 8;
var funnelEvents = args.Length > 2 ? long.Parse(args[2], CultureInfo.InvariantCulture) : 1_000_000;
using var data = new DataFolder(Path.Combine(Path.GetTempPath(), $"benchmark-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
var binaries = await PostgresBinaries.FindAsync(null, data, data.In("postgres"), NullLogger.Instance, CancellationToken.None);
var databasePort = FreePort();
var server = await new PostgresServer(binaries, data, data.In("postgres"), NullLogger.Instance).StartAsync(databasePort, "postgres", "benchmark", (_, _) => { }, CancellationToken.None);
Process? service = null;
try
{
    var connectionString = $"Host=localhost;Port={databasePort};Username=postgres;Password=benchmark;Database=postgres";
    await using var database = NpgsqlDataSource.Create(connectionString);
    await using var authority = await Authority.StartAsync(FreePort());
    var port = FreePort();
    service = Start("dotnet", ["artifacts/bin/MobileServices/release/MobileServices.dll", "Run=analytics", $"ConnectionStrings:mobiledb={connectionString}", $"Authentication:Authority={authority.Address}", $"urls=http://127.0.0.1:{port}"]);
    var address = await ReadyAsync(port);
    await RunAsync("insert into analytics.app (app_id, name, created_at) values ('ingest', 'ingest', now()), ('funnel', 'funnel', now())");
    await using (var command = database.CreateCommand("insert into analytics.write_key (id, app, hash, name, created_at, created_by) select gen_random_uuid(), id, $1, 'benchmark', now(), 'benchmark' from analytics.app where app_id = 'ingest'"))
    {
        command.Parameters.Add(new() { Value = SHA256.HashData(Encoding.UTF8.GetBytes(Key)) });
        await command.ExecuteNonQueryAsync();
    }
    await RunAsync("select analytics.make_partitions((now() at time zone 'UTC')::date)");

    using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Senders }) { BaseAddress = address };
    http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Key}:")));
    var next = 0L;
    var acknowledged = 0L;
    await SendAsync(2);
    await CopyAsync(1);
    Console.WriteLine($"{Environment.ProcessorCount} processors, {new Batch(0).Body.Length} bytes a batch of {Batch.Events}, {Senders} senders, load {(await File.ReadAllTextAsync("/proc/loadavg")).Split(' ')[0]} before");
    Console.WriteLine("round   raw COPY rows/s   durable events/s   ratio   counted after (s)   counted events/s");
    for (var round = 1; round <= rounds; round++)
    {
        await CaughtUpAsync();
        var raw = await CopyAsync(seconds);
        var watch = Stopwatch.StartNew();
        var before = acknowledged;
        var durable = await SendAsync(seconds);
        var sent = watch.Elapsed;
        await CaughtUpAsync();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{round,5}   {raw,15:N0}   {durable,16:N0}   {durable / raw,5:N2}   {(watch.Elapsed - sent).TotalSeconds,17:N1}   {(acknowledged - before) / watch.Elapsed.TotalSeconds,16:N0}"));
    }
    var counted = await ScalarAsync<decimal>("select sum(events) from analytics.active where grain = 0 and app = (select id from analytics.app where app_id = 'ingest')");
    Console.WriteLine($"{acknowledged:N0} acknowledged, {counted:N0} counted{(counted == acknowledged ? "" : "   WRONG")}");

    await FillAsync();
    using var asking = new HttpClient { BaseAddress = address };
    asking.DefaultRequestHeaders.Authorization = new("Bearer", authority.Token("analytics"));
    var events = await ScalarAsync<decimal>("select sum(events) from analytics.daily_total where app = (select id from analytics.app where app_id = 'funnel')");
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{events:N0} events of {funnelEvents / 100:N0} people in 30 days, 4 steps; today and yesterday of the saved funnel are counted at each call"));
    await AskAsync("saved funnel", "funnels/checkout");
    await AskAsync("people, not saved", "funnel?step=View&step=Add&step=Checkout&step=Buy");

    async Task AskAsync(string name, string path)
    {
        List<double> took = [];
        var answer = "";
        for (var times = 0; times < 7; times++)
        {
            var watch = Stopwatch.StartNew();
            answer = await asking.GetStringAsync(new Uri($"/analytics/apps/funnel/{path}", UriKind.Relative));
            took.Add(watch.Elapsed.TotalMilliseconds);
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: first {took[0]:N0} ms, median {took.Order().ElementAt(3):N0} ms   {answer}"));
    }

    async Task<double> SendAsync(int length)
    {
        var watch = Stopwatch.StartNew();
        var sum = 0L;
        await Task.WhenAll(Enumerable.Range(0, Senders).Select(sender => Task.Run(async () =>
        {
            var batch = new Batch(sender);
            while (watch.Elapsed < TimeSpan.FromSeconds(length))
            {
                batch.Renew(Interlocked.Add(ref next, Batch.Events));
                using var content = new ByteArrayContent(batch.Body) { Headers = { ContentType = new("application/json") } };
                using var response = await http.PostAsync(new Uri("/v1/batch", UriKind.Relative), content);
                response.EnsureSuccessStatusCode();
                Interlocked.Add(ref sum, Batch.Events);
            }
        })));
        acknowledged += sum;
        return sum / watch.Elapsed.TotalSeconds;
    }

    // What the service writes for such a batch, without a service: 5,000 rows a transaction.
    async Task<double> CopyAsync(int length)
    {
        await using var connection = await database.OpenConnectionAsync();
        var properties = Encoding.UTF8.GetBytes("""{"sku":"P-000042","price":19.9,"list":"home"}""");
        var now = DateTime.UtcNow;
        var watch = Stopwatch.StartNew();
        var rows = 0L;
        while (watch.Elapsed < TimeSpan.FromSeconds(length))
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await using (var copy = await connection.BeginBinaryImportAsync(
                "copy analytics.event (at, received_at, batch_id, message_id, app, type, anonymous_id, user_id, name, version, platform, os_version, model, locale, network, properties) from stdin (format binary)"))
            {
                for (var row = 0; row < 5000; row++)
                {
                    await copy.StartRowAsync();
                    await copy.WriteAsync(now, NpgsqlDbType.TimestampTz);
                    await copy.WriteAsync(now, NpgsqlDbType.TimestampTz);
                    await copy.WriteAsync(-1 - (rows / 5000), NpgsqlDbType.Bigint);
                    await copy.WriteAsync(Guid.NewGuid(), NpgsqlDbType.Uuid);
                    await copy.WriteAsync(-1, NpgsqlDbType.Integer);
                    await copy.WriteAsync((short)1, NpgsqlDbType.Smallint);
                    await copy.WriteAsync("3f2504e0-4f89-41d3-9a0c-000000000042", NpgsqlDbType.Text);
                    await copy.WriteNullAsync();
                    foreach (var text in (string[])["Product Viewed", "2.1.0", "android", "16", "Pixel 9", "de-AT", "wifi"])
                    {
                        await copy.WriteAsync(text, NpgsqlDbType.Text);
                    }
                    await copy.WriteAsync(properties, NpgsqlDbType.Jsonb);
                }
                await copy.CompleteAsync();
            }
            await transaction.CommitAsync();
            rows += 5000;
        }
        return rows / watch.Elapsed.TotalSeconds;
    }

    async Task CaughtUpAsync()
    {
        while (await ScalarAsync<bool>("select exists (select from analytics.batch)"))
        {
            await Task.Delay(50);
        }
    }

    // People with a hundred events each, on ten of 30 days: what the worker would have left of them.
    async Task FillAsync()
    {
        var people = funnelEvents / 100;
        await RunAsync("select analytics.make_partitions(day::date) from generate_series((now() at time zone 'UTC')::date - 29, (now() at time zone 'UTC')::date, interval '1 day') day");
        await RunAsync("insert into analytics.value (app, kind, value) select id, 1, step from analytics.app cross join unnest(array['View', 'Add', 'Checkout', 'Buy', 'Search']) step where app_id = 'funnel'");
        await RunAsync(string.Create(CultureInfo.InvariantCulture,
            $"""
            insert into analytics.daily (app, day, value_id, person_id, events, times)
            select value.app, (now() at time zone 'UTC')::date - day, value.id, person, kind.events, (select array_agg(one order by one) from (select (random() * 80000000)::int + part as one from generate_series(1, kind.events) part where person > 0) times)
            from generate_series(0, 29) day
            cross join generate_series(1, {people}) person
            cross join (values ('View', 4, 1.0), ('Add', 2, 0.5), ('Checkout', 1, 0.25), ('Buy', 1, 0.15), ('Search', 5, 0.92)) kind (name, events, share)
            join analytics.value on value.value = kind.name and value.app = (select id from analytics.app where app_id = 'funnel')
            where (person + day) % 3 = 0 and random() < kind.share + person * 0
            """));
        await RunAsync("insert into analytics.daily_total (app, day, value_id, events, people) select app, day, value_id, sum(events), count(*) from analytics.daily where app = (select id from analytics.app where app_id = 'funnel') group by 1, 2, 3");
        await RunAsync("insert into analytics.active (app, grain, starts_on, people, events) select app, 0, day, 1, sum(events) from analytics.daily_total where app = (select id from analytics.app where app_id = 'funnel') group by 1, 3");
        await RunAsync("vacuum analyze analytics.daily");
        await RunAsync("insert into analytics.funnel (app, name, steps, within_hours) select id, 'checkout', array['View', 'Add', 'Checkout', 'Buy'], 24 from analytics.app where app_id = 'funnel'");
        // The worker counts the days ahead, but for those that still change by themselves.
        while (await ScalarAsync<long>("select count(*) from analytics.funnel_day") < 28)
        {
            await Task.Delay(200);
        }
    }

    async Task RunAsync(string sql)
    {
        await using var command = database.CreateCommand(sql);
        command.CommandTimeout = 1200;
        await command.ExecuteNonQueryAsync();
    }

    async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = database.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }
}
finally
{
    service?.Kill(entireProcessTree: true);
    await server.StopAsync(TimeSpan.FromSeconds(5));
}

static Process Start(string command, string[] arguments)
{
    var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true })!;
    process.OutputDataReceived += (_, told) =>
    {
        if (told.Data?.Contains("fail", StringComparison.Ordinal) is true || told.Data?.Contains("warn", StringComparison.Ordinal) is true)
        {
            Console.WriteLine(told.Data);
        }
    };
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
        catch (HttpRequestException) when (tries < 600)
        {
            await Task.Delay(100);
        }
    }
}
