using System.Collections.Frozen;
using System.Data.Common;
using System.Threading.Channels;
using MobileIntegration.ServiceDefaults;
using StackExchange.Redis;

namespace Gateway;

/// <summary>
/// The clients and keys that this replica knows, kept in memory: read before it listens, at once when Redis tells of a change, and when a poll
/// finds one. While PostgreSQL is away the last ones hold.
/// </summary>
internal sealed class ApiClients(
    ApiClientStore store, LimitPlans plans, LimitsOptions options, IServiceProvider services, TimeProvider time, ILogger<ApiClients> logger) : BackgroundService
{
    public const string Channel = "mobile.gateway.clients";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly Channel<bool> _news = System.Threading.Channels.Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly SemaphoreSlim _reading = new(1);
    private volatile Known? _known;

    /// <summary>False before the first have been read: nobody can tell then whether a key is good.</summary>
    public bool AreKnown => _known is not null;

    /// <returns>Null for a key that does not exist or is revoked.</returns>
    public ApiKey? Find(KeyHash hash) => _known?.Keys.GetValueOrDefault(hash);

    /// <summary>Reads them if they are newer than what is here, and tells the other replicas.</summary>
    public async Task ChangedAsync()
    {
        try
        {
            await ReadAsync(CancellationToken.None);
        }
        catch (Exception exception) when (exception is DbException or TimeoutException or OperationCanceledException)
        {
            _news.Writer.TryWrite(true);
        }
        try
        {
            if (services.GetService<IConnectionMultiplexer>() is { } redis)
            {
                await redis.GetSubscriber().PublishAsync(RedisChannel.Literal(Channel), "", CommandFlags.FireAndForget);
            }
        }
        catch (RedisException exception)
        {
            logger.LogWarning("Redis is away: the other gateways learn of a change of clients at their next poll: {Reason}", exception.Message);
        }
    }

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await TryReadAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var listening = RedisNews.ListenAsync(
            services.GetService<IConnectionMultiplexer>(), Channel,
            _ => _news.Writer.TryWrite(true),
            () => logger.LogWarning("Redis is away: changes of clients are seen by the poll alone, every {Seconds} s", options.PollSeconds),
            time, stoppingToken);
        while (!stoppingToken.IsCancellationRequested)
        {
            await RedisNews.WaitAsync(_news.Reader, _known is null ? Retry : TimeSpan.FromSeconds(options.PollSeconds), stoppingToken);
            await TryReadAsync(stoppingToken);
        }
        await listening;
    }

    public override void Dispose()
    {
        _reading.Dispose();
        base.Dispose();
    }

    private async Task TryReadAsync(CancellationToken stopping)
    {
        try
        {
            await ReadAsync(stopping);
            await NoteUseAsync(stopping);
        }
        catch (Exception exception) when (!stopping.IsCancellationRequested)
        {
            logger.LogWarning("The clients could not be read, and the last ones hold: {Reason}", exception.Message);
        }
        catch (OperationCanceledException)
        {
            // It is stopping.
        }
    }

    private async Task ReadAsync(CancellationToken stopping)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        patience.CancelAfter(Patience);
        // One at a time, so that what was read first never replaces what was read later.
        await _reading.WaitAsync(patience.Token);
        try
        {
            if (await store.ReadAsync(_known?.Version, patience.Token) is not { } read)
            {
                return;
            }
            var clients = read.Keys.DistinctBy(key => key.Client).ToDictionary(key => key.Client, key => new ApiClient(key.Client, PlanOf(key)));
            var used = _known;
            _known = new(read.Version, read.Keys.ToFrozenDictionary(key => KeyHash.From(key.Hash), key => new ApiKey(key.Id, clients[key.Client])));
            await NoteUseAsync(used, patience.Token);
        }
        finally
        {
            _reading.Release();
        }
    }

    private LimitPlan PlanOf(KeyRow key)
    {
        if (plans.Find(key.Plan) is { } plan)
        {
            return plan;
        }
        logger.LogWarning(
            "The client {Client} has the plan {Plan}, which is not configured, and gets {Default}. Add it to Limits:Plans, or change the client's", key.Client, key.Plan, plans.Default.Name);
        return plans.Default;
    }

    private Task NoteUseAsync(CancellationToken ct) => NoteUseAsync(_known, ct);

    private Task NoteUseAsync(Known? known, CancellationToken ct)
    {
        var used = known?.Keys.Values.Where(key => key.TakeUse()).Select(key => key.Id).ToArray() ?? [];
        return used.Length is 0 ? Task.CompletedTask : store.NoteUseAsync(used, ct);
    }

    private sealed record Known(long Version, FrozenDictionary<KeyHash, ApiKey> Keys);
}

internal sealed record ApiClient(string Id, LimitPlan Plan);

/// <summary>A key that is not revoked.</summary>
internal sealed class ApiKey(Guid id, ApiClient client)
{
    private int _used;

    public Guid Id => id;

    public ApiClient Client => client;

    public void Use()
    {
        // Only the first write of a while goes to memory that all processors share.
        if (_used is 0)
        {
            _used = 1;
        }
    }

    /// <summary>Whether it was used since the last time that this was asked.</summary>
    public bool TakeUse() => Interlocked.Exchange(ref _used, 0) is 1;
}
