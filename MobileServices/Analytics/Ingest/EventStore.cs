using System.Collections.Concurrent;
using Npgsql;
using NpgsqlTypes;

namespace MobileServices.Analytics.Ingest;

/// <summary>Writes events: many in one transaction, by binary COPY.</summary>
internal sealed class EventStore(NpgsqlDataSource database)
{
    private const string CopySql =
        """
        copy analytics.event (at, received_at, batch_id, message_id, app, type, anonymous_id, user_id, name, version, platform, os_version, model, locale, network, properties)
        from stdin (format binary)
        """;

    private readonly ConcurrentDictionary<DateOnly, bool> _days = new();

    /// <summary>All of it is stored, or nothing: a failure is an exception.</summary>
    public async Task WriteAsync(IReadOnlyList<TrackedEvent> events, IReadOnlyList<Drop> drops, DateOnly today, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        if (events.Count > 0)
        {
            await MakeDaysAsync(connection, events, ct);
        }
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (events.Count > 0)
        {
            var batch = await BeginBatchAsync(connection, events, ct);
            try
            {
                await CopyAsync(connection, batch, events, ct);
            }
            catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.CheckViolation)
            {
                // A partition that this replica believes in is gone; the next attempt makes it.
                _days.Clear();
                throw;
            }
        }
        // In one order everywhere, so that two writers never wait for each other.
        foreach (var group in drops.GroupBy(drop => (drop.App, drop.Reason)).OrderBy(group => group.Key.App).ThenBy(group => group.Key.Reason, StringComparer.Ordinal))
        {
            await using var command = new NpgsqlCommand(
                """
                insert into analytics.dropped (app, day, reason, events) values ($1, $2, $3, $4)
                on conflict (app, day, reason) do update set events = dropped.events + excluded.events
                """,
                connection);
            command.Parameters.Add(new() { Value = group.Key.App });
            command.Parameters.Add(new() { Value = today });
            command.Parameters.Add(new() { Value = group.Key.Reason });
            command.Parameters.Add(new() { Value = group.Sum(drop => drop.Events) });
            await command.ExecuteNonQueryAsync(ct);
        }
        await transaction.CommitAsync(ct);
    }

    private async Task MakeDaysAsync(NpgsqlConnection connection, IReadOnlyList<TrackedEvent> events, CancellationToken ct)
    {
        foreach (var day in events.Select(one => one.Day).Distinct().Where(day => !_days.ContainsKey(day)).ToList())
        {
            await using var command = new NpgsqlCommand("select analytics.make_partitions($1)", connection) { Parameters = { new() { Value = day } } };
            await command.ExecuteNonQueryAsync(ct);
            _days[day] = true;
        }
    }

    private static async Task<long> BeginBatchAsync(NpgsqlConnection connection, IReadOnlyList<TrackedEvent> events, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("insert into analytics.batch (events, first_day, last_day) values ($1, $2, $3) returning id", connection);
        command.Parameters.Add(new() { Value = events.Count });
        command.Parameters.Add(new() { Value = events.Min(one => one.Day) });
        command.Parameters.Add(new() { Value = events.Max(one => one.Day) });
        return (long)(await command.ExecuteScalarAsync(ct))!;
    }

    private static async Task CopyAsync(NpgsqlConnection connection, long batch, IReadOnlyList<TrackedEvent> events, CancellationToken ct)
    {
        await using var copy = await connection.BeginBinaryImportAsync(CopySql, ct);
        foreach (var one in events)
        {
            await copy.StartRowAsync(ct);
            await copy.WriteAsync(one.At.UtcDateTime, NpgsqlDbType.TimestampTz, ct);
            await copy.WriteAsync(one.ReceivedAt.UtcDateTime, NpgsqlDbType.TimestampTz, ct);
            await copy.WriteAsync(batch, NpgsqlDbType.Bigint, ct);
            await copy.WriteAsync(one.MessageId, NpgsqlDbType.Uuid, ct);
            await copy.WriteAsync(one.App, NpgsqlDbType.Integer, ct);
            await copy.WriteAsync((short)one.Type, NpgsqlDbType.Smallint, ct);
            await TextAsync(one.AnonymousId);
            await TextAsync(one.UserId);
            await TextAsync(one.Name);
            await TextAsync(one.Context.Version);
            await TextAsync(one.Context.Platform);
            await TextAsync(one.Context.OsVersion);
            await TextAsync(one.Context.Model);
            await TextAsync(one.Context.Locale);
            await TextAsync(one.Context.Network);
            await (one.Properties.IsEmpty ? copy.WriteNullAsync(ct) : copy.WriteAsync(one.Properties, NpgsqlDbType.Jsonb, ct));
        }
        await copy.CompleteAsync(ct);

        Task TextAsync(string? text) => text is null ? copy.WriteNullAsync(ct) : copy.WriteAsync(text, NpgsqlDbType.Text, ct);
    }
}
