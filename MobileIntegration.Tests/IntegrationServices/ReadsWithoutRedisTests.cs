using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using IntegrationServices.Customers;
using StackExchange.Redis;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>Reads while the Redis that is shared by replicas is away.</summary>
[Collection(nameof(BackOffice))]
public sealed class ReadsWithoutRedisTests(BackOffice office, ReadsServices services) : IClassFixture<ReadsServices>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_Redis_that_is_killed_fails_no_read_what_was_kept_still_stands_in_and_replicas_share_again_when_it_is_back()
    {
        var model = DistributedApplicationTestingBuilder.Create();
        model.AddRedis("redis");
        await using var storage = model.Build();
        await storage.StartAsync();
        var redis = (await storage.GetConnectionStringAsync("redis"))!;
        await using var connection = await ConnectionMultiplexer.ConnectAsync($"{redis},allowAdmin=true,abortConnect=false");
        // Soon no longer fresh, so that each turn asks, keeps and looks; what stands in is there for an hour.
        var replica = Start();
        var status = (await new Commands(replica.Http).RunAsync(
            "/customers/C-000431/addresses/work", new { street = "Ring", houseNumber = "3", postcode = "10115", city = "Berlin", country = "DE" }, HttpMethod.Put)).Id;
        string[] reads =
        [
            "/customers/C-000431", "/customers?ids=C-000431,C-000432", "/orders?customer=C-000431", "/products?ids=100431,100432", "/products/search?category=K03",
            "/stock?products=100431", $"/customers/commands/{status}",
        ];
        var failures = new ConcurrentQueue<string>();
        var turns = 0;
        using var stop = new CancellationTokenSource();
        var reading = Task.WhenAll(reads.Select(path => Task.Run(async () =>
        {
            // As clients read, not as fast as a machine can: that would leave nothing for what has to reconnect.
            using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
            while (!stop.IsCancellationRequested && await pace.WaitForNextTickAsync())
            {
                using var answer = await replica.Http.GetAsync(path);
                if (answer.StatusCode is not HttpStatusCode.OK)
                {
                    failures.Enqueue($"{path}: {await answer.Content.ReadAsStringAsync()}");
                }
                Interlocked.Increment(ref turns);
            }
        })));
        await TurnsAsync();

        using (var process = Process.GetProcessById(await PidAsync()))
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
        await TurnsAsync();
        await office.WithFaultAsync("crm", new { errorRate = 1, errorStatus = 503 }, () => StandsInAsync(replica));

        Assert.True((await storage.ResourceCommands.ExecuteCommandAsync("redis", "resource-start")).Success);
        await Eventually.HoldsAsync(async () =>
        {
            await TurnsAsync();
            Assert.True(connection.IsConnected, connection.GetStatus());
            Assert.True(await connection.GetDatabase().KeyExistsAsync("old|customers|C-000431"), $"Redis is back and nothing was kept in it; reads that failed: {failures.Count}.");
        }, Patience);
        await stop.CancelAsync();
        await reading;
        Assert.Empty(failures);

        // It was never asked itself.
        var other = Start();
        await office.WithFaultAsync("crm", new { errorRate = 1, errorStatus = 503 }, () => StandsInAsync(other));

        TestService<Crm> Start() => services.Start(office, "0.01", ("ConnectionStrings:redis", redis));

        // Once what is fresh has ended.
        Task StandsInAsync(TestService<Crm> service) => Eventually.HoldsAsync(async () =>
        {
            using var answer = await service.Http.GetAsync("/customers/C-000431");
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Contains("detail=\"crm 503\"", answer.Headers.GetValues("Cache-Status").Single(), StringComparison.Ordinal);
        }, Patience);

        async Task TurnsAsync()
        {
            var enough = Volatile.Read(ref turns) + (reads.Length * 5);
            await Eventually.TrueAsync(() => Volatile.Read(ref turns) > enough, Patience);
        }

        async Task<int> PidAsync() => int.Parse(
            (await connection.GetServers()[0].InfoAsync("server"))[0].Single(entry => entry.Key is "process_id").Value, CultureInfo.InvariantCulture);
    }
}
