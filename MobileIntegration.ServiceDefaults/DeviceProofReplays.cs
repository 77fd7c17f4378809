using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// Which proofs have been used: known to all replicas of a service by Redis (<c>proof:{service}:{key}:{jti}</c>). While it is away, or where there is
/// none, each replica knows its own.
/// </summary>
internal sealed class DeviceProofReplays(IServiceProvider services, IHostEnvironment environment, TimeProvider time) : IDisposable
{
    private const int MostKept = 200_000;
    private static readonly TimeSpan RedisPatience = TimeSpan.FromMilliseconds(500);
    private readonly MemoryCache _own = new(new MemoryCacheOptions { SizeLimit = MostKept });
    private readonly Lock _lock = new();

    public async ValueTask<bool> IsFirstAsync(string proof, TimeSpan keep)
    {
        lock (_lock)
        {
            if (_own.TryGetValue(proof, out _))
            {
                return false;
            }
            _own.Set(proof, true, new MemoryCacheEntryOptions { AbsoluteExpiration = time.GetUtcNow() + keep, Size = 1 });
        }
        if (services.GetService<IConnectionMultiplexer>() is not { IsConnected: true } redis)
        {
            return true;
        }
        try
        {
            return await redis.GetDatabase().StringSetAsync($"proof:{environment.ApplicationName}:{proof}", "", keep, When.NotExists).WaitAsync(RedisPatience);
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            return true;
        }
    }

    public void Dispose() => _own.Dispose();
}
