using System.Threading.Channels;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using StackExchange.Redis;

namespace Gateway;

/// <summary>
/// The newest rules that this replica knows, kept in memory: fetched from the devices service at the start, at once when Redis tells of a
/// change, and every few seconds whatever Redis does. When neither answers, the last ones hold.
/// </summary>
internal sealed class AppGateRules(
    DevicesClient devices,
    AppGateCalls calls,
    IOptions<AppGateOptions> options,
    IServiceProvider services,
    TimeProvider time,
    ILogger<AppGateRules> logger) : BackgroundService
{
    private static readonly TimeSpan FirstPatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly Channel<long?> _news = Channel.CreateBounded<long?>(new BoundedChannelOptions(16) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile AppDecisions? _current;

    /// <summary>Null before the first have come.</summary>
    public AppDecisions? Current => _current;

    /// <summary>Ends when the devices service has answered for the first time, or has not: the first calls after a start wait for that, 2 s at most.</summary>
    public async Task AskedAsync(CancellationToken ct)
    {
        try
        {
            await _asked.Task.WaitAsync(FirstPatience, time, ct);
        }
        catch (TimeoutException)
        {
            _asked.TrySetResult();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var listening = RedisNews.ListenAsync(
            services.GetService<IConnectionMultiplexer>(), AppRuleSet.Channel,
            version => _news.Writer.TryWrite(version?.TryParse(out long told) is true ? told : null),
            () => logger.LogWarning("Redis is away: changes of rules are seen by the poll alone, every {Seconds} s", options.Value.PollSeconds),
            time, stoppingToken);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await FetchAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("The rules of the app gate could not be fetched, and the last ones hold: {Reason}", exception.Message);
            }
            _asked.TrySetResult();
            calls.Judge(_current, time.GetUtcNow());
            await WaitAsync(stoppingToken);
        }
        await listening;
    }

    private async Task FetchAsync(CancellationToken ct)
    {
        if (await devices.GetRulesAsync(_current?.Version, ct) is not { } rules)
        {
            return;
        }
        _current = new AppDecisions(rules);
        logger.LogInformation("The app gate goes by version {Version}: {Rules} rules, {Devices} blocked devices", rules.Version, rules.Rules.Count, rules.BlockedDevices.Count);
    }

    /// <summary>Until there is news, a rule begins or ends, or it is time to ask again.</summary>
    private async Task WaitAsync(CancellationToken stopping)
    {
        var patience = _current is null ? Retry : TimeSpan.FromSeconds(options.Value.PollSeconds);
        var now = time.GetUtcNow();
        if (_current?.NextChange(now) is { } change && change - now < patience)
        {
            patience = change - now + TimeSpan.FromMilliseconds(1);
        }
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        deadline.CancelAfter(patience);
        try
        {
            while (await _news.Reader.ReadAsync(deadline.Token) is { } told && told <= _current?.Version)
            {
            }
        }
        catch (OperationCanceledException)
        {
            // Nothing was told.
        }
    }
}
