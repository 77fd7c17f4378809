using System.Text.Json;
using Dapper;
using MobileIntegration.Contracts;
using MobileServices.Sync.Databases;
using Npgsql;
using NpgsqlTypes;

namespace MobileServices.Sync.Checkpoints;

/// <summary>
/// Writes down how far each device is in each database: one row, every few seconds at most, and only when it has moved or was not seen for long. A process that
/// is killed forgets those of its last seconds, so a device may be farther than its row says.
/// </summary>
internal sealed class DeviceStates(NpgsqlDataSource database, TimeProvider time, ILogger<DeviceStates> logger) : BackgroundService
{
    private const int Remembered = 100_000;
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SeenAgain = TimeSpan.FromHours(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<Key, State> _known = [];
    private HashSet<Key> _moved = [];

    /// <summary>The device of the call asks for the changes after that sequence.</summary>
    public void Asked(SyncCall call, long databaseId, long seq) => Note(call, databaseId, state => state with { Asked = seq, Checkpoint = state.Checkpoint > seq ? null : state.Checkpoint });

    /// <summary>The call keeps a document that is not replicated; it says how far a device is when it is the checkpoint of a replication from here.</summary>
    public void Kept(SyncCall call, DatabaseRow row, JsonElement document)
    {
        // PouchDB's name for it, and CouchDB's. A replication to here has the sequence of another database there.
        if (call.Device is not null && document.ValueKind is JsonValueKind.Object
            && (document.TryGetProperty("last_seq", out var last) || document.TryGetProperty("source_last_seq", out last))
            && last.ValueKind is JsonValueKind.String && row.TrySequence(last.GetString()!, out var seq, out _))
        {
            Note(call, row.Id, state => state with { Checkpoint = seq });
        }
    }

    /// <summary>Nobody waits any more for a device that was removed; when it calls again it is known again.</summary>
    public static Task ForgetAsync(Event<DeviceRemoved> told, NpgsqlTransaction transaction, CancellationToken ct) =>
        transaction.Connection!.ExecuteAsync(new CommandDefinition(
            "delete from sync.device where device_id = @DeviceId and seen_at <= @OccurredAt", new { told.Data.DeviceId, told.OccurredAt }, transaction, cancellationToken: ct));

    private void Note(SyncCall call, long databaseId, Func<State, State> change)
    {
        if (call.Device is not { } device)
        {
            return;
        }
        var key = new Key(databaseId, device, call.User);
        var now = time.GetUtcNow();
        lock (_lock)
        {
            var before = _known.GetValueOrDefault(key);
            var after = change(before) with { App = call.DeviceApp ?? before.App, SeenAt = before.SeenAt };
            if (after == before && now - before.SeenAt < SeenAgain)
            {
                return;
            }
            if (_known.Count >= Remembered)
            {
                foreach (var old in _known.Keys.Where(one => !_moved.Contains(one)).ToList())
                {
                    _known.Remove(old);
                }
            }
            _known[key] = after with { SeenAt = now };
            _moved.Add(key);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await SaveAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException)
        {
            await SaveAsync(CancellationToken.None);
        }
    }

    private async Task SaveAsync(CancellationToken ct)
    {
        List<(Key Key, State State)> moved;
        lock (_lock)
        {
            moved = [.. _moved.Select(key => (key, _known[key]))];
            _moved = [];
        }
        if (moved.Count is 0)
        {
            return;
        }
        try
        {
            await SaveAsync(moved, ct);
        }
        catch (Exception exception)
        {
            logger.LogWarning(exception, "How far {Count} devices are could not be written down now; it is done later", moved.Count);
            lock (_lock)
            {
                _moved.UnionWith(moved.Select(one => one.Key));
            }
        }
    }

    private async Task SaveAsync(List<(Key Key, State State)> moved, CancellationToken ct)
    {
        // In the same order in every replica, so that two wait for one another instead of for ever.
        await using var command = database.CreateCommand("""
            insert into sync.device as d (db_id, device_id, user_id, app_id, asked_seq, asked_at, checkpoint_seq, checkpoint_at, seen_at)
            select n.db_id, n.device_id, n.user_id, n.app_id, n.asked, case when n.asked is not null then n.at end, n.checkpoint, case when n.checkpoint is not null then n.at end, n.at
            from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::timestamptz[]) as n (db_id, device_id, user_id, app_id, asked, checkpoint, at)
            join sync.database s on s.id = n.db_id
            order by n.db_id, n.device_id, n.user_id
            on conflict (db_id, device_id, user_id) do update set
                app_id = coalesce(excluded.app_id, d.app_id),
                asked_seq = coalesce(excluded.asked_seq, d.asked_seq), asked_at = coalesce(excluded.asked_at, d.asked_at),
                checkpoint_seq = case when excluded.checkpoint_seq is null and excluded.asked_seq < d.checkpoint_seq then null else coalesce(excluded.checkpoint_seq, d.checkpoint_seq) end,
                checkpoint_at = case when excluded.checkpoint_seq is null and excluded.asked_seq < d.checkpoint_seq then null else coalesce(excluded.checkpoint_at, d.checkpoint_at) end,
                seen_at = excluded.seen_at
            """);
        Add(command, moved.Select(one => one.Key.Database).ToArray());
        Add(command, moved.Select(one => one.Key.Device).ToArray());
        Add(command, moved.Select(one => one.Key.User).ToArray());
        Add(command, moved.Select(one => one.State.App).ToArray());
        Add(command, moved.Select(one => one.State.Asked).ToArray());
        Add(command, moved.Select(one => one.State.Checkpoint).ToArray());
        command.Parameters.Add(new() { Value = moved.Select(one => one.State.SeenAt.UtcDateTime).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz });
        await command.ExecuteNonQueryAsync(ct);
    }

    private static void Add(NpgsqlCommand command, object values) => command.Parameters.Add(new() { Value = values });

    private readonly record struct Key(long Database, Guid Device, string User);

    private readonly record struct State(long? Asked, long? Checkpoint, string? App, DateTimeOffset SeenAt);
}
