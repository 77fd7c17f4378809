using System.Collections.Frozen;
using System.Threading.Channels;
using Dapper;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using Npgsql;
using StackExchange.Redis;

namespace MobileServices.Identity.Tokens;

/// <summary>
/// Ends the logins on every device that is blocked, as the devices service says: its answer is the truth, fetched at the start, when Redis tells of a
/// change, and every half second in any case. Every replica does so, and none is harmed by doing it again.
/// </summary>
internal sealed class BlockedDevices(
    DevicesClient devices,
    NpgsqlDataSource database,
    IOptions<IdentityOptions> options,
    IServiceProvider services,
    TimeProvider time,
    ILogger<BlockedDevices> logger) : BackgroundService
{
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private volatile FrozenSet<Guid> _blocked = [];
    private FrozenSet<Guid> _ended = [];
    private long? _version;

    public bool Holds(Guid device) => _blocked.Contains(device);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var listening = RedisNews.ListenAsync(
            services.GetService<IConnectionMultiplexer>(), AppRuleSet.Channel, _ => _news.Writer.TryWrite(true), () => { }, time, stoppingToken);
        var isTold = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await StepAsync(stoppingToken);
                isTold = false;
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                if (!isTold)
                {
                    logger.LogWarning("Which devices are blocked is not known, and asked for again and again: {Reason}", exception.Message);
                    isTold = true;
                }
            }
            await RedisNews.WaitAsync(_news.Reader, TimeSpan.FromSeconds(options.Value.DevicePollSeconds), stoppingToken);
        }
        await listening;
    }

    private async Task StepAsync(CancellationToken ct)
    {
        if (await devices.GetRulesAsync(_version, ct) is not { } rules)
        {
            return;
        }
        // First this, by which token requests go; a login that slipped in before is in the table by now.
        _blocked = rules.BlockedDevices.ToFrozenSet();
        var added = rules.BlockedDevices.Where(device => !_ended.Contains(device)).ToArray();
        if (added.Length > 0)
        {
            await EndAsync(added, ct);
        }
        _ended = _blocked;
        _version = rules.Version;
    }

    private async Task EndAsync(Guid[] lost, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var ended = await connection.ExecuteScalarAsync<long>(new CommandDefinition(EndSql, new { lost }, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        if (ended > 0)
        {
            logger.LogInformation("Ended {Logins} logins on devices that are blocked", ended);
        }
    }

    /// <summary>One replica after the other; logins go on being written down meanwhile. First the logins, on which a refresh that is under way has its lock.</summary>
    private const string EndSql =
        """
        lock table identity.device_login in share update exclusive mode;
        create temporary table ended on commit drop as
            select authorization_id as id from identity.device_login where device_id = any(@lost);
        with revoked as (
            update identity.authorization set status = 'revoked' where id in (select id from ended) and status <> 'revoked' returning id)
        select count(*) from revoked;
        update identity.token set status = 'revoked' where authorization_id in (select id from ended) and status in ('valid', 'inactive');
        """;
}
