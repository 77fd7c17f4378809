using System.Threading.Channels;
using Microsoft.Extensions.Options;
using MobileServices.Push.Networks;
using MobileServices.Push.Registrations;
using Npgsql;

namespace MobileServices.Push.Deliveries;

/// <summary>
/// Takes deliveries of one network whose time has come, a batch at a time, and sends them. Before a request is written its place in the batch is marked in the
/// database, a wave of them with one statement: whatever happens to this process, others know what it may have sent.
/// </summary>
internal sealed class Sender(
    INetwork network, Claims claims, DeliveryStore store, CredentialStore credentials, ChannelStore channels, PushMetrics metrics, IOptions<PushOptions> options, TimeProvider time,
    ILogger<Sender> logger) : IDisposable
{
    /// <summary>How many a mark lets go at a time: as many may be unknown after a crash, and one more wave.</summary>
    private const int Wave = 50;

    /// <summary>From so many answers on, they are written down at once.</summary>
    private const int Gathered = 200;
    private const int MostWritten = 500;
    private static readonly TimeSpan AfterFault = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(10);

    private readonly PushOptions _options = options.Value;
    private readonly SemaphoreSlim _inFlight = new(options.Value.InFlight);

    public string Network => network.Name;

    /// <summary>Called when deliveries were put back, to go out later.</summary>
    public Action? PutBack { get; set; }

    public void Dispose() => _inFlight.Dispose();

    /// <summary>Takes one batch and begins to send it.</summary>
    /// <returns>How many deliveries were taken, fewer than a batch when there are no more.</returns>
    public async Task<SentBatch> StepAsync(CancellationToken stopping)
    {
        var (taken, batch, sending) = await claims.TakeAsync(network, stopping);
        if (sending.Count is 0)
        {
            return new(taken, Task.CompletedTask, Task.CompletedTask);
        }
        var answered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return new(taken, answered.Task, SendAllAsync(batch, sending, answered, stopping));
    }

    private async Task SendAllAsync(long id, List<Ready> sending, TaskCompletionSource answered, CancellationToken stopping)
    {
        var batch = new Batch(id, time.GetTimestamp());
        var results = Channel.CreateUnbounded<DeliveryChange>();
        var writing = WriteAsync(batch, results.Reader);
        var running = new List<Task>(sending.Count);
        var next = MarkAsync(batch, sending, 0);
        Mark? mark = null;
        for (var at = 0; at < sending.Count; at++)
        {
            if (at % Wave is 0)
            {
                mark = await next;
                mark = stopping.IsCancellationRequested ? null : mark;
                next = mark is not null && at + Wave < sending.Count ? MarkAsync(batch, sending, at + Wave) : next;
            }
            mark = mark is null ? null : await TurnAsync(batch, sending, at, mark);
            if (mark is null)
            {
                // What is not begun goes back at once when this process stops; when another has taken over, it has put it back already.
                foreach (var left in sending.Skip(at))
                {
                    results.Writer.TryWrite(new(left.Due, States.Pending, null, time.GetUtcNow(), Attempt: -1));
                }
                break;
            }
            var ready = sending[at];
            if (mark.Recalled.Contains(ready.Due.MessageId))
            {
                metrics.Ended(network.Name, ready.Message.App, States.Recalled);
                results.Writer.TryWrite(new(
                    ready.Due, States.Recalled, Decision.Of(time.GetUtcNow(), States.Recalled, "the message was recalled before its turn"), Attempt: -1));
                continue;
            }
            running.Add(SendOneAsync(ready, results.Writer));
        }
        await Task.WhenAll(running);
        answered.TrySetResult();
        results.Writer.Complete();
        await writing;
        await store.EndBatchAsync(id, CancellationToken.None);
    }

    /// <summary>Waits until one may go: others that are under way have left room, and what its mark says of recalled messages is not old. That is asked again meanwhile.</summary>
    /// <returns>A mark by which it goes, unless that says that its message was recalled; null when nothing more of the batch may be sent.</returns>
    private async ValueTask<Mark?> TurnAsync(Batch batch, List<Ready> sending, int at, Mark mark)
    {
        var hasRoom = false;
        var last = mark;
        while (last is not null && !last.Recalled.Contains(sending[at].Due.MessageId))
        {
            if (hasRoom && IsFresh(last))
            {
                return last;
            }
            hasRoom = hasRoom || await _inFlight.WaitAsync(DeliveryStore.MarkHolds, CancellationToken.None);
            last = IsFresh(last) ? last : await MarkAsync(batch, sending, at - (at % Wave));
        }
        if (hasRoom)
        {
            _inFlight.Release();
        }
        return last;

        bool IsFresh(Mark one) => time.GetElapsedTime(one.AskedAt) < DeliveryStore.MarkHolds;
    }

    /// <summary>Marks the wave that begins there.</summary>
    /// <returns>Null when nothing more of the batch may be sent.</returns>
    private async Task<Mark?> MarkAsync(Batch batch, List<Ready> sending, int from)
    {
        try
        {
            var now = time.GetTimestamp();
            batch.RenewedAt = now;
            Guid[] messages = [.. sending.Skip(from).Take(Wave).Select(ready => ready.Due.MessageId).Distinct()];
            var recalled = await store.MarkAsync(batch.Id, Math.Min(from + Wave, sending.Count), messages, _options.LeaseSeconds, CancellationToken.None);
            return recalled is null ? null : new(recalled, now);
        }
        catch (NpgsqlException exception)
        {
            logger.LogWarning(exception, "A batch cannot be marked as begun: it goes back");
            return null;
        }
    }

    private async Task SendOneAsync(Ready ready, ChannelWriter<DeliveryChange> results)
    {
        try
        {
            results.TryWrite(await AttemptAsync(ready));
        }
        catch (Exception exception)
        {
            logger.LogError(exception, "A message to {Network} could not be sent", network.Name);
            results.TryWrite(Result(ready, new(OutcomeClass.Unknown, "this service failed on the way")));
        }
        finally
        {
            _inFlight.Release();
        }
    }

    private async Task<DeliveryChange> AttemptAsync(Ready ready)
    {
        var (due, message) = (ready.Due, ready.Message);
        var now = time.GetUtcNow();
        if (channels.Closed(message.App, network.Name, due.Host!, due.CredentialSavedAt) is { } closed)
        {
            // When it is stopped the next claim says for how long: another credential may have been saved.
            var until = closed.Until ?? now;
            until = until < ready.ExpiresAt ? until : ready.ExpiresAt;
            return new(due, States.Pending, Decision.Of(now, "held", closed.Why), until, "channel", Attempt: -1);
        }
        var ttl = message.TtlSeconds is 0 ? 0 : (int)(ready.ExpiresAt - now).TotalSeconds;
        if (ready.ExpiresAt <= now)
        {
            metrics.Ended(network.Name, message.App, States.Expired);
            return new(due, States.Expired, Decision.Of(now, States.Expired, "its time was over before its turn"), Attempt: -1);
        }
        object? credential = null;
        try
        {
            if (due.CredentialSavedAt is { } savedAt && (credential = await credentials.OpenAsync(message.App, network.Name, savedAt)) is null)
            {
                return new(due, States.Pending, null, now, Attempt: -1);
            }
        }
        catch (Exception exception)
        {
            logger.LogError(exception, "The credential of {App} for {Network} cannot be read", message.App, network.Name);
            return Later(ready, now, new(OutcomeClass.Transient, "the credential cannot be read"));
        }
        var began = time.GetTimestamp();
        using var activity = metrics.Start(network.Name, message.App);
        var outcome = await network.SendAsync(credential!, ready.ToOutgoing(ttl), CancellationToken.None);
        metrics.Attempted(network.Name, message.App, outcome.Class, time.GetElapsedTime(began));
        activity?.SetTag("push.outcome", outcome.Class.ToString());
        try
        {
            await channels.NoteAsync(message.App, network.Name, due.Host!, due.CredentialSavedAt, outcome, CancellationToken.None);
            if (outcome.Class is OutcomeClass.Dead
                && !await store.RemoveAsync(due.DeviceId, RegistrationStore.Hash(due.Address!), outcome.DeadSince, outcome.Reason, CancellationToken.None))
            {
                return Later(ready, now, outcome with { Reason = $"{outcome.Reason}, but the device has registered since" });
            }
        }
        catch (NpgsqlException exception)
        {
            // What the network said of this message holds; of the address and the credential it says so again.
            logger.LogWarning(exception, "What {Network} said cannot be noted now", network.Name);
        }
        return Result(ready, outcome);
    }

    private DeliveryChange Result(Ready ready, Outcome outcome)
    {
        var now = time.GetUtcNow();
        var due = ready.Due;
        switch (outcome.Class)
        {
            case OutcomeClass.Accepted:
                metrics.Ended(network.Name, ready.Message.App, States.Accepted);
                return new(due, States.Accepted, Decision.Of(now, States.Accepted, $"by {network.Name}: {outcome.Reason}"), NetworkId: outcome.NetworkId);
            case OutcomeClass.Dead:
                metrics.Ended(network.Name, ready.Message.App, States.Dead);
                return new(due, States.Dead, Decision.Of(now, States.Dead, $"{outcome.Reason}: the address was removed"));
            case OutcomeClass.Refused or OutcomeClass.Mismatched:
                metrics.Ended(network.Name, ready.Message.App, States.Failed);
                return new(due, States.Failed, Decision.Of(
                    now, States.Failed, outcome.Class is OutcomeClass.Refused ? $"{network.Name} does not take it: {outcome.Reason}" : $"the address is not the credential's: {outcome.Reason}"));
            case OutcomeClass.Misconfigured:
                // The next claim holds it, unless another credential has been saved meanwhile.
                return new(due, States.Pending, Decision.Of(now, "held", $"the network does not take the app's credential: {outcome.Reason}"), now, "channel");
            case OutcomeClass.Unknown when ready.Message.CollapseKey is null:
                metrics.Ended(network.Name, ready.Message.App, States.Unknown);
                return new(due, States.Unknown, Decision.Of(now, States.Unknown, $"{outcome.Reason}: it may have arrived, and is not sent again"));
            default:
                return Later(ready, now, outcome);
        }
    }

    private DeliveryChange Later(Ready ready, DateTimeOffset now, Outcome outcome)
    {
        var attempt = ready.Due.Attempts + 1;
        if (attempt >= _options.MostAttempts)
        {
            metrics.Ended(network.Name, ready.Message.App, States.Failed);
            return new(ready.Due, States.Failed, Decision.Of(now, States.Failed, $"{outcome.Reason}; given up after {attempt} attempts"));
        }
        // What the network wants at least is not made less by chance.
        var pause = Pause(attempt, outcome.LeastPause is { } least ? 2 * least.TotalSeconds : _options.FirstRetrySeconds);
        var wait = new[] { pause, outcome.RetryAfter ?? default, outcome.LeastPause ?? default }.Max();
        var due = now + wait < ready.ExpiresAt ? now + wait : ready.ExpiresAt;
        return new(
            ready.Due, States.Pending,
            Decision.Of(now, "waits", string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{outcome.Reason}; attempt {attempt}, the next in {wait.TotalSeconds:0.#} s")), due, "retry");
    }

    private TimeSpan Pause(int attempt, double first)
    {
        var longest = Math.Min(first * Math.Pow(2, Math.Min(attempt - 1, 30)), _options.LongestRetrySeconds);
#pragma warning disable CA5394 // Chance keeps those that failed together apart; nobody gains by guessing it.
        return TimeSpan.FromSeconds(longest * (1 - (Random.Shared.NextDouble() / 2)));
#pragma warning restore CA5394
    }

    /// <summary>What has come back is written together, however much it is by then.</summary>
    private async Task WriteAsync(Batch batch, ChannelReader<DeliveryChange> results)
    {
        var changes = new List<DeliveryChange>(MostWritten);
        while (await results.WaitToReadAsync(CancellationToken.None))
        {
            if (results.Count < Gathered)
            {
                // Answers come close to one another: to write few down alone costs more than to send them.
                await Task.Delay(Gathering, time, CancellationToken.None);
            }
            while (changes.Count < MostWritten && results.TryRead(out var change))
            {
                changes.Add(change);
            }
            for (var again = false; ; again = true)
            {
                try
                {
                    var renew = time.GetElapsedTime(batch.RenewedAt).TotalSeconds > _options.LeaseSeconds / 4.0;
                    var now = time.GetTimestamp();
                    await store.WriteAsync(network.Name, changes, batch.Id, renew ? _options.LeaseSeconds : null, again, CancellationToken.None);
                    batch.RenewedAt = renew ? now : batch.RenewedAt;
                    break;
                }
                catch (PostgresException exception) when (!again && exception.SqlState is PostgresErrorCodes.UniqueViolation)
                {
                    // The device was quicker to tell of the message than the network.
                }
                catch (NpgsqlException exception)
                {
                    logger.LogWarning(exception, "What became of {Count} deliveries cannot be written down now", changes.Count);
                    await Task.Delay(AfterFault, time, CancellationToken.None);
                }
            }
            if (changes.Exists(change => change.State is States.Pending))
            {
                PutBack?.Invoke();
            }
            changes.Clear();
        }
    }

    /// <param name="Answered">When nothing of it is under way any more.</param>
    /// <param name="Done">When all of it is written down.</param>
    internal sealed record SentBatch(int Taken, Task Answered, Task Done);

    /// <param name="Recalled">Messages of its wave of which nothing more may be sent.</param>
    private sealed record Mark(Guid[] Recalled, long AskedAt);

    private sealed class Batch(long id, long renewedAt)
    {
        public long Id => id;

        /// <summary>When its lease was last renewed, or a little before.</summary>
        public long RenewedAt { get; set; } = renewedAt;
    }
}
