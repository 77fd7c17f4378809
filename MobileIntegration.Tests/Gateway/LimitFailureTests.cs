using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Gateway;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Limits while Redis is away, on each kind of server.</summary>
public sealed class LimitFailureTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(null)]
#if !ASPIRE
    [InlineData("garnet")]
#endif
    public async Task When_Redis_stops_nothing_fails_and_each_replica_counts_for_itself_until_it_is_back(string? server)
    {
        var gateways = new LimitedGateways(server);
        await gateways.InitializeAsync();
        try
        {
            TestService<DiscoveredDestinations>[] both = [gateways.One, gateways.Other];
            var shared = await gateways.ClientAsync("fifty");
            Assert.Equal((50, 30), await CallBothAsync(both, shared.Key, 80));

            // Before Redis stops, so that both know of it at once.
            var alone = await gateways.ClientAsync("hundred");
            // All the while.
            var load = await gateways.ClientAsync("second");
            var statuses = new ConcurrentBag<int>();
            using var stop = new CancellationTokenSource();
            var calls = Task.WhenAll(both.Select(gateway => Task.Run(async () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    statuses.Add(await gateway.StatusAsync(load.Key, user: $"{statuses.Count}"));
                }
            })));
            await gateways.RedisAsync("resource-stop");
            await Eventually.TrueAsync(() => both.All(gateway => Shared(gateway) is 0), Patience);

            Assert.Equal((200, 40), await CallBothAsync(both, alone.Key, 240));
            var before = statuses.Count;
            await Eventually.TrueAsync(() => statuses.Count > before + 20, Patience);

            await gateways.RedisAsync("resource-start");
            await Eventually.TrueAsync(() => both.All(gateway => Shared(gateway) is 1), Patience);
            await stop.CancelAsync();
            await calls;
            Assert.Subset(new HashSet<int> { 200, 429 }, statuses.ToHashSet());
            var again = await gateways.ClientAsync("fifty");
            Assert.Equal((50, 30), await CallBothAsync(both, again.Key, 80));
        }
        finally
        {
            await gateways.DisposeAsync();
        }
    }

    [Fact]
    public async Task When_Redis_hangs_no_call_fails_and_calls_go_on_without_it()
    {
        var gateways = new LimitedGateways(null);
        await gateways.InitializeAsync();
        try
        {
            await using var gateway = gateways.Start(("Limits:RedisMilliseconds", "250"));
            await Eventually.TrueAsync(async () => await gateway.StatusAsync(null) is 200 && Shared(gateway) is 1, Patience);
            await using var redis = await ConnectionMultiplexer.ConnectAsync($"{gateways.Redis},asyncTimeout=60000");
            var hanging = redis.GetDatabase().ScriptEvaluateAsync("local n = 0 for i = 1, 400000000 do n = n + i end return n");
            await Eventually.TrueAsync(async () =>
            {
                Assert.Equal(200, await gateway.StatusAsync(null));
                return Shared(gateway) is 0;
            }, Patience);
            Assert.Equal(200, await gateway.StatusAsync(null));
            Assert.False(hanging.IsCompleted);
            await hanging;
            await Eventually.TrueAsync(() => Shared(gateway) is 1, Patience);
        }
        finally
        {
            await gateways.DisposeAsync();
        }
    }

    private static async Task<(int Passed, int Refused)> CallBothAsync(TestService<DiscoveredDestinations>[] gateways, string key, int calls)
    {
        var statuses = await Task.WhenAll(Enumerable.Range(0, calls).Select(n => gateways[n % 2].StatusAsync(key)));
        return (statuses.Count(status => status is 200), statuses.Count(status => status is 429));
    }

    private static int? Shared(TestService<DiscoveredDestinations> gateway)
    {
        int? value = null;
        var factory = gateway.Services.GetRequiredService<IMeterFactory>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name is "mobile.gateway.limits.shared" && instrument.Meter.Scope == factory)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<int>((_, measured, _, _) => value = measured);
        listener.Start();
        listener.RecordObservableInstruments();
        return value;
    }
}
