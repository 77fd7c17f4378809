using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Npgsql;

/// <summary>Writes and pages of changes, beside pouchdb-server.</summary>
/// <param name="warmUp">Seconds each server works for before anything is measured: until its code is compiled for what it does, .NET's is several times slower.</param>
internal sealed class Peers(Server ours, Server theirs, NpgsqlDataSource database, int rounds, int documents, int warmUp)
{
    public async Task RunAsync(List<string> parts)
    {
        foreach (var server in new[] { ours, theirs })
        {
            for (var watch = Stopwatch.StartNew(); watch.Elapsed.TotalSeconds < warmUp;)
            {
                await CreatesAsync(server, 1, 500);
                await CreatesAsync(server, 16, 1000);
                await BulkAsync(server, 3000);
                await ChangesAsync(server, 3000, 4);
            }
        }
        if (parts.Contains("creates"))
        {
            await CompareAsync("creates/s, 1 client", 4, server => CreatesAsync(server, 1, 1000));
            await TellLimitAsync();
            await CompareAsync("creates/s, 16 clients", 4, server => CreatesAsync(server, 16, 3000));
        }
        if (parts.Contains("bulk"))
        {
            await CompareAsync("documents/s, _bulk_docs of 100, 4 clients", 3, server => BulkAsync(server, documents));
        }
        if (parts.Contains("changes"))
        {
            await CompareAsync("rows/s, _changes pages of 100, 1 client", 5, server => ChangesAsync(server, documents, 1));
            await CompareAsync("rows/s, _changes pages of 100, 4 clients", 5, server => ChangesAsync(server, documents, 4));
        }
    }

    /// <summary>What no service on this database can be beyond for one client, as each write is flushed to the disk before it is acknowledged: rows of one text, inserted one by one.</summary>
    private async Task TellLimitAsync()
    {
        const int Count = 1000;
        await using var connection = await database.OpenConnectionAsync();
        await using var create = new NpgsqlCommand("create table public.bare (n int primary key, text text)", connection);
        await create.ExecuteNonQueryAsync();
        await using var insert = new NpgsqlCommand("insert into public.bare values ($1, $2)", connection) { Parameters = { new() { Value = 0 }, new() { Value = Document(0) } } };
        await insert.PrepareAsync();
        var figures = new List<double>();
        for (var round = 0; round < rounds; round++)
        {
            var watch = Stopwatch.StartNew();
            for (var n = 0; n < Count; n++)
            {
                insert.Parameters[0].Value = (round * Count) + n;
                await insert.ExecuteNonQueryAsync();
            }
            figures.Add(Count / watch.Elapsed.TotalSeconds);
        }
        Console.WriteLine($"{"inserts/s of a bare row, 1 client: the limit",-48} {Figures.Median(figures):N0} ({figures.Min():N0}-{figures.Max():N0})");
    }

    private async Task CompareAsync(string name, double target, Func<Server, Task<(double Rate, double Cpu)>> measure)
    {
        var (mine, other) = (new Figures(ours), new Figures(theirs));
        for (var round = 0; round < rounds; round++)
        {
            foreach (var figures in round % 2 is 0 ? new[] { mine, other } : [other, mine])
            {
                await figures.AddAsync(measure);
            }
        }
        Console.WriteLine($"{name,-48} ours {mine,-24} pouchdb-server {other,-24} ratio {mine.Rate / other.Rate:N2}, at least {target}; of its processor time {mine.Cpu / other.Cpu:N2} ({mine.Cpu:N0} microseconds)");
    }

    private static async Task<(double Rate, double Cpu)> CreatesAsync(Server server, int clients, int count)
    {
        var database = await server.NewDatabaseAsync();
        var bodies = Enumerable.Range(0, count).Select(n => Encoding.UTF8.GetBytes(Document(n))).ToList();
        return await server.RateAsync(clients, count, 1, n => server.SendAsync(HttpMethod.Put, $"/{database}/d{n}", bodies[n]));
    }

    private static async Task<(double Rate, double Cpu)> BulkAsync(Server server, int count)
    {
        var database = await server.NewDatabaseAsync();
        var batches = Batches(count, 100);
        return await server.RateAsync(4, batches.Count, 100, n => server.SendAsync(HttpMethod.Post, $"/{database}/_bulk_docs", batches[n]));
    }

    /// <summary>Each client reads all of it, from the beginning to the end.</summary>
    private static async Task<(double Rate, double Cpu)> ChangesAsync(Server server, int count, int clients)
    {
        const int Times = 3;
        var database = await server.NewDatabaseAsync();
        foreach (var batch in Batches(count, 500))
        {
            await server.SendAsync(HttpMethod.Post, $"/{database}/_bulk_docs", batch);
        }
        return await server.RateAsync(clients, clients * Times, count, async _ =>
        {
            var since = "0";
            for (var rows = 0; rows < count; rows += 100)
            {
                since = LastSeq(await server.SendAsync(HttpMethod.Get, $"/{database}/_changes?include_docs=true&limit=100&since={since}"));
            }
        });
    }

    /// <summary>Documents as <c>_bulk_docs</c> takes them.</summary>
    public static List<byte[]> Batches(int count, int each) => [.. Enumerable.Range(0, count / each).Select(batch =>
        Encoding.UTF8.GetBytes($$"""{"docs":[{{string.Join(',', Enumerable.Range(batch * each, each).Select(n => $$"""{"_id":"d{{n}}",{{Document(n)[1..]}}"""))}}]}"""))];

    public static string Document(int n) => string.Create(CultureInfo.InvariantCulture,
        $$"""{"title":"Note {{n}}","text":"A note of a usual length, as somebody writes it on the way.","done":{{(n % 3 is 0 ? "true" : "false")}},"tags":["home","work"],"n":{{n}},"price":{{n * 1.25}}}""");

    private static string LastSeq(byte[] page)
    {
        var at = page.AsSpan().LastIndexOf("\"last_seq\":"u8) + 11;
        var reader = new Utf8JsonReader(page.AsSpan(at), isFinalBlock: false, default);
        reader.Read();
        return reader.TokenType is JsonTokenType.String ? reader.GetString()! : reader.GetInt64().ToString(CultureInfo.InvariantCulture);
    }
}
