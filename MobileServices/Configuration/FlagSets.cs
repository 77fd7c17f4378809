using System.Collections.Frozen;
using System.Data;
using System.Text.Json;
using Dapper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileServices.Configuration;

/// <summary>
/// All flags in force, in the memory of this replica: read at the start, read on whenever the database tells of a change (LISTEN) and every few
/// seconds in any case. While the database is away the last ones hold.
/// </summary>
internal sealed class FlagSets(NpgsqlDataSource database, IOptions<ConfigurationOptions> options, ILogger<FlagSets> logger) : BackgroundService
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private FrozenDictionary<string, FlagSet> _apps = FrozenDictionary<string, FlagSet>.Empty;
    private FlagSet _none = new("", 0, FrozenDictionary<string, Flag>.Empty);
    private long _version = -1;

    /// <summary>The flags of an app; none of one that has none.</summary>
    public FlagSet Of(string appId) => Volatile.Read(ref _apps).GetValueOrDefault(appId) ?? Volatile.Read(ref _none);

    /// <summary>Called once flags may be due to be published; see <see cref="Admin.Publisher"/>.</summary>
    public event Action? Told;

    /// <summary>What is in force is there before the first call.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await ReadAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("The database does not tell of changed flags, and those of version {Version} hold: {Reason}", _version, exception.Message);
                await Task.Delay(Retry, stoppingToken);
            }
        }
    }

    private async Task ListenAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition("listen configuration_changed", cancellationToken: ct));
        while (true)
        {
            await ReadAsync(ct);
            Told?.Invoke();
            // Nobody says that a connection is gone: whatever comes or does not, it is read again.
            await connection.WaitAsync(TimeSpan.FromSeconds(options.Value.PollSeconds), ct);
        }
    }

    /// <summary>What has become newer than what is here, all of one state.</summary>
    private async Task ReadAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, ct);
        var version = await connection.ExecuteScalarAsync<long>(new CommandDefinition("select version from configuration.state", transaction: transaction, cancellationToken: ct));
        if (version == _version)
        {
            return;
        }
        var rows = await connection.QueryAsync<FlagRow>(new CommandDefinition(
            "select app_id as AppId, key, version, body::text as Body from configuration.flag where version > @since",
            new { since = version < _version ? -1 : _version }, transaction, cancellationToken: ct));
        Apply(rows, version);
    }

    private void Apply(IEnumerable<FlagRow> rows, long version)
    {
        var apps = _version > version ? [] : _apps.ToDictionary(StringComparer.Ordinal);
        List<FlagSet> superseded = _version > version ? [.. _apps.Values] : [];
        foreach (var changed in rows.GroupBy(row => row.AppId, StringComparer.Ordinal))
        {
            var before = apps.GetValueOrDefault(changed.Key);
            var flags = before?.Flags.ToDictionary(StringComparer.Ordinal) ?? [];
            foreach (var row in changed)
            {
                if (row.Body is null)
                {
                    flags.Remove(row.Key);
                }
                else
                {
                    flags[row.Key] = JsonSerializer.Deserialize<Flag>(row.Body, Flag.Json)!;
                }
            }
            apps[changed.Key] = new(changed.Key, changed.Max(row => row.Version), flags);
            superseded.Add(before ?? _none);
        }
        Volatile.Write(ref _apps, apps.ToFrozenDictionary(StringComparer.Ordinal));
        if (superseded.Contains(_none))
        {
            Volatile.Write(ref _none, new("", 0, FrozenDictionary<string, Flag>.Empty));
        }
        _version = version;
        foreach (var set in superseded)
        {
            set.Supersede();
        }
    }

    private sealed class FlagRow
    {
        public required string AppId { get; init; }

        public required string Key { get; init; }

        public long Version { get; init; }

        public string? Body { get; init; }
    }
}
