using Microsoft.Extensions.Options;
using MobileServices.Push.Messages;
using MobileServices.Push.Networks;
using Npgsql;

namespace MobileServices.Push.Deliveries;

/// <summary>Takes deliveries whose time has come from the queue, and decides which of them go out.</summary>
internal sealed class Claims(
    [FromKeyedServices(PushSetup.Prepared)] NpgsqlDataSource database, MessageStore messages, NetworkList networks, PushMetrics metrics, IOptions<PushOptions> options, TimeProvider time)
{
    /// <summary>Takes a batch of a network: what is to be sent comes back, in the order of its places; of the rest it is written down what becomes of it.</summary>
    /// <returns>How many deliveries were taken; the batch of those that are to be sent.</returns>
    public async Task<(int Taken, long Batch, List<Ready> Sending)> TakeAsync(INetwork network, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var claimed = await Queue.TakeAsync(transaction, network.Name, networks.All.Select(one => one.Name).ToArray(), options.Value.Batch, now, ct);
        if (claimed.Count is 0)
        {
            return (0, 0, []);
        }
        var changes = new List<DeliveryChange>(claimed.Count);
        var sending = new List<Ready>(claimed.Count);
        var isMoved = false;
        foreach (var due in claimed)
        {
            var message = await messages.ReadAsync(due.MessageId, ct);
            if (due.KeptAs is not null)
            {
                changes.Add(new(due, States.Accepted, Decision.Of(now, States.Accepted, "it was taken by the attempt before"), NetworkId: due.KeptAs));
                metrics.Ended(network.Name, message.App, States.Accepted);
                continue;
            }
            if (due.Network is not null && due.Network != network.Name)
            {
                // It was put back, or made, while the device took an address of another network.
                changes.Add(new(due, States.Pending, Decision.Of(now, "rotated", $"to a new address of {due.Network}"), now));
                isMoved = true;
                continue;
            }
            switch (Verdict.Of(due, message, !network.StoresOnce, now))
            {
                case Verdict.End end:
                    changes.Add(new(due, end.State, Decision.Of(now, end.State, end.Why)));
                    metrics.Ended(network.Name, message.App, end.State);
                    break;
                case Verdict.Hold hold:
                    changes.Add(new(due, States.Pending, Decision.Of(now, "held", hold.Why), hold.Until, hold.For));
                    break;
                case Verdict.Send send:
                    sending.Add(new(due, message, send.ExpiresAt));
                    break;
            }
        }
        await CapAsync(transaction, network, sending, changes, now, ct);
        if (claimed[0].MatchedAt is null)
        {
            changes.AddRange(sending.Select(ready => new DeliveryChange(ready.Due, States.Sending, null, Attempt: 1)));
        }
        long? batch = sending.Count is 0
            ? null
            : await DeliveryStore.BeginBatchAsync(transaction, network.Name, [.. sending.Select(ready => ready.Due)], options.Value.LeaseSeconds, ct);
        if (changes.Count > 0)
        {
            await DeliveryStore.ClaimedAsync(transaction, network.Name, changes, batch, ct);
        }
        if (isMoved)
        {
            await using var notify = new NpgsqlCommand($"notify {PushWorker.Channel}", connection, transaction);
            await notify.ExecuteNonQueryAsync(ct);
        }
        await transaction.CommitAsync(ct);
        return (claimed.Count, batch ?? 0, sending);
    }

    private async Task CapAsync(NpgsqlTransaction transaction, INetwork network, List<Ready> sending, List<DeliveryChange> changes, DateTimeOffset now, CancellationToken ct)
    {
        // In the order of their devices: others lock them in the same.
        var capped = sending.Where(ready => ready.Message.CapCount is not null).GroupBy(ready => (ready.Message.App, ready.Message.Category, ready.Message.CapHours))
            .OrderBy(group => group.Key.App, StringComparer.Ordinal).ThenBy(group => group.Key.Category, StringComparer.Ordinal).ToList();
        foreach (var group in capped)
        {
            var since = now.AddHours(-group.Key.CapHours!.Value);
            var counts = await DeliveryStore.CountAsync(transaction, [.. group.Select(ready => ready.Due.DeviceId).Distinct().Order()], group.Key.App, group.Key.Category!, since, ct);
            foreach (var ready in group.Where(ready => ready.Due.Attempts is 0))
            {
                var count = counts.GetValueOrDefault(ready.Due.DeviceId);
                if (count < ready.Message.CapCount)
                {
                    counts[ready.Due.DeviceId] = count + 1;
                    continue;
                }
                sending.Remove(ready);
                changes.Add(new(
                    ready.Due, States.Capped,
                    Decision.Of(now, States.Capped, $"{count} of {ready.Message.Category} in {ready.Message.CapHours} h, {ready.Message.CapCount} at most")));
                metrics.Ended(network.Name, ready.Message.App, States.Capped);
            }
        }
    }
}

/// <summary>A delivery that goes out now.</summary>
internal sealed record Ready(Due Due, ReadyMessage Message, DateTimeOffset ExpiresAt)
{
    public Outgoing ToOutgoing(int ttl) => new(
        Due.MessageId, Due.DeviceId, Due.Address!, Due.P256dh, Due.Auth, Message.ContentFor(Due.Locale!), Message.Silent, Message.Urgency, Message.Category,
        Message.CollapseKey is { } key ? CollapseId.Of(Message.App, key) : null, ttl, ExpiresAt, Due.Changed);
}
