using Gateway;
using StackExchange.Redis;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Calls that have passed and calls that are asked for count at the same limits.</summary>
public sealed class LimitScriptTests
{
    private const int Capacity = 10;

    [Theory]
    [InlineData("redis")]
    [InlineData("garnet")]
    public async Task What_has_passed_is_counted_together_and_whatever_is_left(string server)
    {
        var model = DistributedApplicationTestingBuilder.Create($"Redis:Server={server}");
        model.AddRedis("redis");
        await using var storage = model.Build();
        await storage.StartAsync();
        await storage.ResourceNotifications.WaitForResourceHealthyAsync("redis");
        await using var connection = await ConnectionMultiplexer.ConnectAsync((await storage.GetConnectionStringAsync("redis"))!);
        var redis = connection.GetDatabase();
        var rate = new Limit("rate", LimitPer.User, LimitKind.Rate, Capacity, 3600, Capacity);
        foreach (var limit in (Limit[])[rate, new("day", LimitPer.User, LimitKind.Day, Capacity, 0, 0), new("month", LimitPer.User, LimitKind.Month, Capacity, 0, 0)])
        {
            Assert.Equal((0, 7), await PassAsync(limit, 3));
            Assert.Equal((0, 3), await PassAsync(limit, 4));
            Assert.Equal((0, 2), await AskAsync(limit));
            Assert.Equal((0, 0), await PassAsync(limit, 2));
            Assert.Equal((1, 0), await AskAsync(limit));
            Assert.Equal((1, 0), await PassAsync(limit, 1));
            Assert.NotNull(await redis.KeyTimeToLiveAsync(limit.Name));
        }

        // In one script, in this order.
        var both = await LimitScript.RunAsync(redis, [(rate, "one", 2), (rate, "other", 5)], [([rate, rate], ["one", "third"])], DateTimeOffset.UtcNow);
        Assert.Equal([8, 5, 7, 9], both.Select(count => count.Left));

        async Task<(int IsRefused, long Left)> PassAsync(Limit limit, int calls) => Read(await LimitScript.RunAsync(redis, [(limit, limit.Name, calls)], [], DateTimeOffset.UtcNow));

        async Task<(int IsRefused, long Left)> AskAsync(Limit limit) => Read(await LimitScript.RunAsync(redis, [], [([limit], [limit.Name])], DateTimeOffset.UtcNow));

        static (int IsRefused, long Left) Read(LimitCount[] counts) => (counts.Single().Wait > 0 ? 1 : 0, counts[0].Left);
    }
}
