using System.Text.Json;
using MobileIntegration.Contracts;
using Npgsql;

namespace MobileIntegration.ServiceDefaults.Events;

/// <summary>What a subscriber does with each type of event.</summary>
public sealed class Subscription
{
    private readonly Dictionary<string, Func<IServiceProvider, DeliveredEvent, NpgsqlTransaction?, CancellationToken, Task>> _handlers = new(StringComparer.Ordinal);

    internal Subscription(string name, string from, string? inbox)
    {
        Name = name;
        From = from;
        Inbox = inbox;
    }

    internal string Name { get; }

    /// <summary>The connection string of the database whose events it takes.</summary>
    internal string From { get; }

    /// <summary>The connection string of the database where its effects are; null when they are elsewhere.</summary>
    internal string? Inbox { get; }

    internal string[] Types => [.. _handlers.Keys];

    /// <summary>
    /// For effects in the subscriber's own database: made in the transaction, they are there once, however often the event comes. For subscribers with an inbox.
    /// </summary>
    /// <param name="handleAsync">What it throws makes the event come again, or a dead letter when it is a <see cref="PoisonEventException"/>.</param>
    public Subscription On<T>(Func<IServiceProvider, Event<T>, NpgsqlTransaction, CancellationToken, Task> handleAsync) where T : class
    {
        ArgumentNullException.ThrowIfNull(handleAsync);
        if (Inbox is null)
        {
            throw new InvalidOperationException($"The subscriber '{Name}' has no inbox: name its database, or handle {typeof(T).Name} without a transaction.");
        }
        _handlers.Add(typeof(T).Name, (services, delivered, transaction, ct) => handleAsync(services, Read<T>(delivered), transaction!, ct));
        return this;
    }

    /// <summary>For effects elsewhere, which may happen again, such as an entry removed from a cache. For subscribers without an inbox.</summary>
    /// <inheritdoc cref="On{T}(Func{IServiceProvider, Event{T}, NpgsqlTransaction, CancellationToken, Task})"/>
    public Subscription On<T>(Func<IServiceProvider, Event<T>, CancellationToken, Task> handleAsync) where T : class
    {
        ArgumentNullException.ThrowIfNull(handleAsync);
        if (Inbox is not null)
        {
            throw new InvalidOperationException($"The subscriber '{Name}' has an inbox: its effects belong into the transaction of {typeof(T).Name}.");
        }
        _handlers.Add(typeof(T).Name, (services, delivered, _, ct) => handleAsync(services, Read<T>(delivered), ct));
        return this;
    }

    internal Task HandleAsync(IServiceProvider services, DeliveredEvent delivered, NpgsqlTransaction? transaction, CancellationToken ct) =>
        _handlers[delivered.Type](services, delivered, transaction, ct);

    private static Event<T> Read<T>(DeliveredEvent delivered) where T : class
    {
        try
        {
            var data = JsonSerializer.Deserialize<T>(delivered.Data, NewEvent.Json) ?? throw new JsonException("It is null.");
            return new(delivered.Id, delivered.Subject, delivered.Version, delivered.OccurredAt, data);
        }
        catch (JsonException exception)
        {
            throw new PoisonEventException($"It cannot be read as {typeof(T).Name}: {exception.Message}", exception);
        }
    }
}

/// <summary>An event that will fail however often it comes: a dead letter at once, with this message as its reason.</summary>
public sealed class PoisonEventException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>An event as it was claimed.</summary>
/// <param name="IsOld">It has been tried for as long as is worth it.</param>
internal sealed record DeliveredEvent(
    long Number, Guid Id, string Type, string Subject, long Version, DateTime OccurredAt, string Data, string? Traceparent, string? Tracestate, int Failures, bool IsOld);
