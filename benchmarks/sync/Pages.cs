using System.Buffers;
using System.Diagnostics;
using System.Text.Unicode;
using Npgsql;

/// <summary>Pulls of 100 changes with their documents: beside an endpoint that does nothing but read the rows, and from few documents and many.</summary>
internal sealed class Pages(Server ours, Server bare, NpgsqlDataSource database, int rounds)
{
    private const int Page = 100;
    private const int Few = 10_000;
    private const int Many = 1_000_000;

    private readonly Random _random = new(17);

    public async Task RunAsync(List<string> parts)
    {
        await bare.ReadyAsync();
        var (few, fewId) = await FilledAsync(Few);
        await RateAsync(ours, few, Few, 4);
        await RateAsync(bare, $"{fewId}", Few, 4);
        if (parts.Contains("page"))
        {
            await BesideBareAsync(few, fewId, 1);
            await BesideBareAsync(few, fewId, 4);
        }
        if (parts.Contains("flat"))
        {
            await FlatAsync(few);
        }
    }

    /// <summary>The least that reads such rows: one prepared statement, and their bytes on to the client.</summary>
    public static async Task ServeAsync(string url, string connectionString)
    {
        var builder = WebApplication.CreateSlimBuilder([$"--urls={url}"]);
        builder.Logging.ClearProviders();
        await using var app = builder.Build();
        await using var source = NpgsqlDataSource.Create($"{connectionString};Max Auto Prepare=10");
        app.MapGet("/", () => "ready");
        app.MapGet("/{database}/_changes", async (long database, long since, int limit, HttpContext http) =>
        {
            await using var command = source.CreateCommand("select seq, doc_id, rev, body from sync.document where db_id = $1 and seq > $2 order by seq limit $3");
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = database });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = since });
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
            http.Response.ContentType = "application/json";
            var body = http.Response.BodyWriter;
            body.Write("["u8);
            await using (var reader = await command.ExecuteReaderAsync())
            {
                while (await reader.ReadAsync())
                {
                    Utf8.TryWrite(body.GetSpan(512), $"{{\"seq\":{reader.GetInt64(0)},\"id\":\"{reader.GetString(1)}\",\"rev\":\"{reader.GetString(2)}\",\"doc\":", out var written);
                    body.Advance(written);
                    body.Write(reader.GetFieldValue<byte[]>(3));
                    body.Write("},\n"u8);
                }
            }
            body.Write("]"u8);
            await body.FlushAsync();
        });
        await app.RunAsync();
    }

    private async Task BesideBareAsync(string name, long id, int clients)
    {
        var (mine, other) = (new Figures(ours), new Figures(bare));
        for (var round = 0; round < rounds; round++)
        {
            await mine.AddAsync(server => RateAsync(server, name, Few, clients));
            await other.AddAsync(server => RateAsync(server, $"{id}", Few, clients));
        }
        Console.WriteLine($"{$"pages/s of {Page}, {clients} client(s)",-48} ours {mine,-24} bare endpoint {other,-24} ratio {mine.Rate / other.Rate:N2}, at least 0.6; of its processor time {mine.Cpu / other.Cpu:N2} ({mine.Cpu:N0} microseconds)");
    }

    private async Task FlatAsync(string few)
    {
        var watch = Stopwatch.StartNew();
        var (many, _) = await FilledAsync(Many);
        Console.WriteLine($"{Many:N0} documents written in {watch.Elapsed.TotalSeconds:N0} s");
        await RateAsync(ours, many, Many, 1);
        var (fewTook, manyTook) = (new List<double>(), new List<double>());
        for (var turn = 0; turn < rounds * 500; turn++)
        {
            fewTook.Add(await TookAsync(few, Few));
            manyTook.Add(await TookAsync(many, Many));
        }
        Console.WriteLine($"{$"microseconds, a pull of {Page} changes",-48} from {Few:N0} documents {Figures.Median(fewTook):N0}, from {Many:N0} {Figures.Median(manyTook):N0}, ratio {Figures.Median(manyTook) / Figures.Median(fewTook):N2}, about 1");
    }

    private async Task<double> TookAsync(string name, int count)
    {
        var since = _random.Next(count - Page);
        var began = Stopwatch.GetTimestamp();
        await ours.SendAsync(HttpMethod.Get, $"/{name}/_changes?include_docs=true&limit={Page}&since={since}");
        return Stopwatch.GetElapsedTime(began).TotalMicroseconds;
    }

    private Task<(double Rate, double Cpu)> RateAsync(Server server, string name, int count, int clients)
    {
        var starts = Enumerable.Range(0, 2000).Select(_ => _random.Next(count - Page)).ToList();
        return server.RateAsync(clients, starts.Count, 1, n => server.SendAsync(HttpMethod.Get, $"/{name}/_changes?include_docs=true&limit={Page}&since={starts[n]}"));
    }

    /// <summary>A database with so many documents, written straight into the tables: one is created by the service, and copied.</summary>
    private async Task<(string Name, long Id)> FilledAsync(int count)
    {
        var name = await ours.NewDatabaseAsync();
        await ours.SendAsync(HttpMethod.Post, $"/{name}/_bulk_docs", Peers.Batches(1, 1)[0]);
        await using var connection = await database.OpenConnectionAsync();
        await using var fill = new NpgsqlCommand("""
            set session_replication_role = replica;
            insert into sync.document (db_id, doc_id, seq, rev, deleted, tree, body)
            select d.db_id, 'd' || n, n + 1, d.rev, false, d.tree, replace(d.body, 'Note 0', 'Note ' || n)
            from sync.document d join sync.database s on s.id = d.db_id, generate_series(1, @count - 1) n where s.name = @name;
            update sync.database set update_seq = @count, doc_count = @count where name = @name;
            """, connection)
        { CommandTimeout = 600 };
        fill.Parameters.AddWithValue("count", count);
        fill.Parameters.AddWithValue("name", name);
        await fill.ExecuteNonQueryAsync();
        await using var rest = new NpgsqlCommand("vacuum analyze sync.document", connection) { CommandTimeout = 600 };
        await rest.ExecuteNonQueryAsync();
        await using var id = new NpgsqlCommand("select id from sync.database where name = @name", connection);
        id.Parameters.AddWithValue("name", name);
        return (name, (long)(await id.ExecuteScalarAsync())!);
    }
}
