using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using StackExchange.Redis;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// Keeps <see cref="RevokedTokens"/>: asks the identity service at the start and every half second, whatever Redis does, and is told by Redis of each
/// token and login the moment it ends. When neither answers, what is known holds.
/// </summary>
internal sealed class RevocationNews(
    IdentityClient identity,
    RevokedTokens revoked,
    IOptions<AuthenticationSettings> settings,
    IServiceProvider services,
    TimeProvider time,
    ILogger<RevocationNews> logger) : BackgroundService
{
    private readonly Channel<bool> _look = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private string? _cursor;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var listening = RedisNews.ListenAsync(
            services.GetService<IConnectionMultiplexer>(), Revocations.Channel, Told,
            () => logger.LogWarning("Redis is away: tokens that end are seen by the poll alone, every {Seconds} s", settings.Value.RevocationPollSeconds),
            time, stoppingToken);
        var isTold = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var answer = await identity.GetRevocationsAsync(_cursor, stoppingToken);
                revoked.Add(answer.Ids);
                _cursor = answer.Cursor;
                isTold = false;
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                if (!isTold)
                {
                    logger.LogWarning("The identity service does not say which tokens ended, and is asked again and again: {Reason}", exception.Message);
                    isTold = true;
                }
            }
            revoked.Asked();
            revoked.Forget();
            await RedisNews.WaitAsync(_look.Reader, TimeSpan.FromSeconds(settings.Value.RevocationPollSeconds), stoppingToken);
        }
        await listening;
    }

    private void Told(RedisValue? message)
    {
        if (message is { IsNullOrEmpty: false } id)
        {
            revoked.Add([id.ToString()]);
            return;
        }
        _look.Writer.TryWrite(true);
    }
}
