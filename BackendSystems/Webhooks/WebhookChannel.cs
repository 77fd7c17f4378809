using System.Text.Json;
using System.Threading.Channels;
using Dapper;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace BackendSystems.Webhooks;

/// <summary>A change to tell of.</summary>
/// <param name="Record">What it happened to; deliveries of one record keep their order.</param>
internal sealed record WebhookEvent(string Type, string Record, object Data);

/// <summary>One system's side of the outbox: events go in with the change they tell of, and the sender is woken.</summary>
internal sealed class WebhookChannel(string system, IReadOnlyList<string> events, NpgsqlDataSource database, TimeSpan giveUpAfter, TimeProvider time)
{
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public string System => system;

    public IReadOnlyList<string> Events => events;

    public NpgsqlDataSource Database => database;

    public TimeSpan GiveUpAfter => giveUpAfter;

    /// <summary>Writes the events for every subscription that wants them, in the transaction of the change. Call <see cref="Wake"/> after its commit.</summary>
    public async Task AddAsync(NpgsqlTransaction transaction, IReadOnlyCollection<WebhookEvent> changes, CancellationToken ct)
    {
        if (changes.Count == 0)
        {
            return;
        }

        const string Insert = """
            insert into webhooks.deliveries
                (system, message_id, subscription_id, event, record, body, created_at, next_attempt_at, retry_until, traceparent, tracestate)
            select s.system, e.message_id, s.id, e.event, e.record, e.body, @now, @now, @until, @traceparent, @tracestate
            from unnest(@ids, @types, @records, @bodies) with ordinality as e(message_id, event, record, body, position)
            join webhooks.subscriptions s on s.system = @system and (cardinality(s.events) = 0 or e.event = any(s.events))
            order by e.position, s.id
            """;
        var now = time.GetUtcNow();
        var trace = TraceContext.Current;
        await transaction.Connection!.ExecuteAsync(new CommandDefinition(Insert, new
        {
            system,
            now,
            until = now + giveUpAfter,
            traceparent = trace.Traceparent,
            tracestate = trace.Tracestate,
            ids = changes.Select(_ => $"msg_{Guid.CreateVersion7():n}").ToArray(),
            types = changes.Select(change => change.Type).ToArray(),
            records = changes.Select(change => change.Record).ToArray(),
            bodies = changes.Select(change => Body(change, now)).ToArray(),
        }, transaction, cancellationToken: ct));
    }

    /// <summary>Tells the sender that something is due.</summary>
    public void Wake() => _wake.Writer.TryWrite(true);

    /// <summary>Waits for <see cref="Wake"/>, for <paramref name="longest"/> at most: retries and other replicas' changes wake nobody.</summary>
    public async Task WaitAsync(TimeSpan longest, CancellationToken ct)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(ct);
        waiting.CancelAfter(longest);
        try
        {
            await _wake.Reader.ReadAsync(waiting.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // The wait is over: look what is due.
        }
    }

    private static string Body(WebhookEvent change, DateTimeOffset now) => JsonSerializer.Serialize(
        new
        {
            type = change.Type,
            timestamp = now.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", global::System.Globalization.CultureInfo.InvariantCulture),
            data = change.Data,
        },
        JsonSerializerOptions.Web);
}
