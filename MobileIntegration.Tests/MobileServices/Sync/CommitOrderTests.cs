using System.Diagnostics;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>In a database of its own, where every commit takes a while after its sequences were taken.</summary>
public sealed class CommitOrderTests(SyncService service) : IClassFixture<SyncService>
{
    private const int Writers = 50;
    private const int Each = 4;
    private const int Readers = 20;

    [Fact]
    public async Task None_of_twenty_readers_misses_a_change_of_fifty_writers_that_sleep_between_sequence_and_commit()
    {
        await using (var connection = new NpgsqlConnection(service.Database))
        {
            await connection.ExecuteAsync("""
                create function public.late() returns trigger language plpgsql as 'begin perform pg_sleep(random() * 0.05); return null; end';
                create constraint trigger late after insert or update on sync.document deferrable initially deferred for each row execute function public.late();
                """);
        }
        var user = service.NewUser();
        using var client = service.ClientOf(user);
        await client.PutAsync("late");
        var reading = Enumerable.Range(0, Readers).Select(n => Task.Run(() => ReadAsync(n))).ToList();

        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            using var own = ClientOf(writer);
            for (var n = 0; n < Each; n++)
            {
                await own.PutAsync($"late/w{writer}-{n}", "{}");
            }
        })));

        foreach (var seen in await Task.WhenAll(reading))
        {
            Assert.Equal(Writers * Each, seen.Count);
        }

        SyncClient ClientOf(int n) => service.ClientOf(user, n % 2 is 0 ? service.One.Address : service.Other.Address);

        async Task<HashSet<string>> ReadAsync(int reader)
        {
            using var own = ClientOf(reader);
            var seen = new HashSet<string>();
            var since = "0";
            var patience = Stopwatch.StartNew();
            while (seen.Count < Writers * Each && patience.Elapsed < TimeSpan.FromSeconds(120))
            {
                var page = await own.GetAsync($"late/_changes?since={since}&limit=7{(reader % 3 is 0 ? "&feed=longpoll&timeout=2000" : "")}");
                foreach (var row in page["results"]!.AsArray())
                {
                    Assert.True(seen.Add((string)row!["id"]!), $"{row["id"]} came twice.");
                }
                since = (string)page["last_seq"]!;
            }
            return seen;
        }
    }
}
