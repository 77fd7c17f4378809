using System.Text.Json;
using System.Text.Json.Serialization;
using Dapper;
using Npgsql;

namespace MobileIntegration.ServiceDefaults.Events;

/// <summary>An event to tell.</summary>
/// <param name="Type">The name of its record.</param>
/// <param name="Version">Of the subject; null for the next one.</param>
/// <param name="Data">The record as JSON.</param>
public sealed record NewEvent(string Type, string Subject, long? Version, DateTimeOffset OccurredAt, string Data)
{
    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    public static NewEvent Of<T>(string subject, long? version, DateTimeOffset occurredAt, T data) where T : class =>
        new(typeof(T).Name, subject, version, occurredAt, JsonSerializer.Serialize(data, Json));
}

/// <summary>The writing side: the outbox of a database to which AddEvents gave one.</summary>
public static class Outbox
{
    /// <summary>A statement may tell its event by calling this function of the outbox's schema itself; its parameters are in the migration.</summary>
    public const string Function = "events.publish";

    /// <summary>Tells the events with the transaction: they are there when it commits, and are not when it does not. Subscribers are woken by the commit.</summary>
    /// <returns>The number that were told; the others' subjects were at that version or a newer one already.</returns>
    public static async Task<int> PublishAsync(this NpgsqlTransaction transaction, IReadOnlyCollection<NewEvent> events, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        ArgumentNullException.ThrowIfNull(events);
        if (events.Count is 0)
        {
            return 0;
        }
        // Transactions that tell of the same subjects meet them in the same order, and wait for each other instead of both for ever.
        var ordered = events.OrderBy(one => one.Subject, StringComparer.Ordinal).ThenBy(one => one.Version).ToList();
        var trace = TraceContext.Current;
        return await transaction.Connection!.ExecuteScalarAsync<int>(new CommandDefinition(
            $"""
            select count({Function}(type, subject, version, occurred_at, data::jsonb, @Traceparent, @Tracestate))
            from unnest(@types, @subjects, @versions, @times, @data) as e(type, subject, version, occurred_at, data)
            """,
            new
            {
                types = ordered.Select(one => one.Type).ToArray(),
                subjects = ordered.Select(one => one.Subject).ToArray(),
                versions = ordered.Select(one => one.Version).ToArray(),
                times = ordered.Select(one => one.OccurredAt.UtcDateTime).ToArray(),
                data = ordered.Select(one => one.Data).ToArray(),
                trace.Traceparent,
                trace.Tracestate,
            },
            transaction, cancellationToken: ct));
    }
}
