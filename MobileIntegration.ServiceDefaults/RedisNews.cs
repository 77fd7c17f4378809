using System.Threading.Channels;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace MobileIntegration.ServiceDefaults;

/// <summary>What Redis tells of changes elsewhere. It only brings them sooner: a poll finds them in any case.</summary>
public static class RedisNews
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    /// <summary>The Redis of the connection string <c>redis</c>, if there is one. It says nothing about health: without it everything goes on.</summary>
    public static void AddRedisNews(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var isNew = !builder.Services.Any(service => service.ServiceType == typeof(IConnectionMultiplexer));
        if (isNew && builder.Configuration.GetConnectionString("redis") is { Length: > 0 })
        {
            builder.AddRedisClient("redis", settings => settings.DisableHealthChecks = true);
        }
    }

    /// <summary>Subscribes once; the client does so again after every interruption.</summary>
    /// <param name="told">With the message; with null when something may have been missed.</param>
    /// <param name="away">Each time that Redis could not be reached.</param>
    public static async Task ListenAsync(
        IConnectionMultiplexer? redis, string channel, Action<RedisValue?> told, Action away, TimeProvider time, CancellationToken stopping)
    {
        ArgumentNullException.ThrowIfNull(told);
        ArgumentNullException.ThrowIfNull(away);
        ArgumentNullException.ThrowIfNull(time);
        if (redis is null)
        {
            return;
        }
        redis.ConnectionRestored += (_, _) => told(null);
        while (true)
        {
            try
            {
                await redis.GetSubscriber().SubscribeAsync(RedisChannel.Literal(channel), (_, message) => told(message));
                told(null);
                return;
            }
            catch (Exception exception) when (exception is RedisException or TimeoutException)
            {
                away();
            }
            try
            {
                await Task.Delay(Retry, time, stopping);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Waits for news, or so long without.</summary>
    public static async Task WaitAsync(ChannelReader<bool> news, TimeSpan most, CancellationToken stopping)
    {
        ArgumentNullException.ThrowIfNull(news);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        deadline.CancelAfter(most);
        try
        {
            await news.ReadAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            // Nothing was told.
        }
    }
}
