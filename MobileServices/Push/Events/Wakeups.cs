using System.Text;
using Dapper;
using Microsoft.Extensions.Options;
using MobileServices.Devices;
using MobileServices.Push.Deliveries;
using MobileServices.Push.Messages;
using MobileServices.Push.Networks;
using MobileServices.Push.Registrations;
using Npgsql;

namespace MobileServices.Push.Events;

/// <summary>Silent wake-ups: tells apps that something has changed, by its ids alone; they ask for the rest with their own rights.</summary>
internal static class WakeupEndpoints
{
    private const int MostIds = 50;

    public static void MapWakeups(this IEndpointRouteBuilder app) =>
        app.MapPost("/wakeups", WakeAsync).WithSummary("Wakes the devices of users up, all changes of a moment with one message, never the device that made the change")
            .Produces<WakeupAnswer>(StatusCodes.Status202Accepted).ProducesValidationProblem();

    private static async Task<IResult> WakeAsync(Wakeup wakeup, WakeupStore store, CancellationToken ct)
    {
        var errors = new Dictionary<string, string[]>();
        if (!DeviceRules.IsAppId(wakeup.App))
        {
            errors["app"] = ["Must be a reverse domain name such as com.example.shop."];
        }
        if (wakeup.Users is not { Count: > 0 and <= 1000 } users || users.Any(string.IsNullOrEmpty))
        {
            errors["users"] = ["Must be 1 to 1000 users."];
        }
        if (wakeup.Changed is not { Count: > 0 and <= MostIds } changed || !changed.All(RegistrationRules.IsTag))
        {
            errors["changed"] = [$"Must be 1 to {MostIds} ids of what has changed: at most 100 letters, digits, '-', '_', '.' and ':'."];
        }
        return errors.Count > 0
            ? RegistrationEndpoints.Wrong(errors)
            : TypedResults.Accepted((string?)null, new WakeupAnswer(await store.WakeAsync(wakeup.App!, [.. wakeup.Users!], wakeup.ExceptDevice, [.. wakeup.Changed!], ct)));
    }
}

/// <param name="ExceptDevice">The one that made the change.</param>
/// <param name="Changed">Ids, no data.</param>
internal sealed record Wakeup(string? App, IReadOnlyList<string>? Users, Guid? ExceptDevice, IReadOnlyList<string>? Changed);

/// <param name="Devices">How many are woken up.</param>
internal sealed record WakeupAnswer(int Devices);

internal sealed class WakeupStore(NpgsqlDataSource database, IOptions<PushOptions> options, TimeProvider time)
{
    private const string Sender = "wakeups";
    private const int Ttl = 86400;
    /// <summary>More does not fit into a message of every network: then the app is told that all may have changed.</summary>
    private const int MostIds = 50;
    private const int MostBytes = EndToEnd.LargestContent - 200;
    /// <summary>Of an id in JSON that is a text in JSON: quotation marks with their backslashes, and a comma.</summary>
    private const int BytesAround = 5;
    private const string All = "*";

    /// <returns>How many devices.</returns>
    public async Task<int> WakeAsync(string app, string[] users, Guid? except, string[] changed, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var devices = await WakeAsync(transaction, app, users, except, changed, ct);
        await transaction.CommitAsync(ct);
        return devices;
    }

    /// <inheritdoc cref="WakeAsync(string, string[], Guid?, string[], CancellationToken)"/>
    public async Task<int> WakeAsync(NpgsqlTransaction transaction, string app, string[] users, Guid? except, string[] changed, CancellationToken ct)
    {
        changed = changed.Sum(id => Encoding.UTF8.GetByteCount(id) + BytesAround) > MostBytes ? [All] : changed;
        var now = time.GetUtcNow();
        var due = now.AddSeconds(options.Value.WakeupSeconds);
        var connection = transaction.Connection!;
        var id = Guid.CreateVersion7(now);
        await MessageStore.AddAsync(transaction, new(
            id, app, Sender, null, null, "wake-up", new PushContent(), null, Sender, "normal", true, Ttl, now, null, now.AddSeconds(Ttl), null, null), now, ct);
        // In the order of the devices: two that wake the same ones wait for one another instead of for ever.
        var devices = (await connection.QueryAsync<Guid>(new CommandDefinition(
            """
            update push.message set state = 'sending' where id = @id;
            select device_id from push.registration where app_id = @app and user_id = any (@users) and device_id is distinct from @except order by device_id for update;
            """, new { id, app, users, except }, transaction, cancellationToken: ct))).ToArray();
        var woken = (await connection.QueryAsync<Guid>(new CommandDefinition(
            """
            -- One that a process is taking goes out as it is: to wait for it could be to wait for one that waits for this device.
            with waiting as (
                select q.message_id, q.device_id from push.queue q join push.ledger d using (message_id, device_id) join push.message m on m.id = d.message_id
                where q.device_id = any (@devices) and m.sender = @Sender and m.app_id = @app
                  and d.user_id is not distinct from (select r.user_id from push.registration r where r.device_id = d.device_id)
                  -- What was taken goes out no more.
                  and not exists (select from push.kept k where k.message_id = d.message_id and k.device_id = d.device_id)
                for update of q skip locked)
            update push.ledger d set
                changed = case
                    when cardinality(merged.ids) > @MostIds or @All = any (merged.ids) or (select sum(octet_length(id) + @BytesAround) from unnest(merged.ids) id) > @MostBytes then array[@All]
                    else merged.ids end,
                decisions = d.decisions || @merged::jsonb
            from waiting w, push.ledger old, lateral (select array(select distinct unnest(old.changed || @changed::text[]) order by 1)) merged (ids)
            where d.message_id = w.message_id and d.device_id = w.device_id and old.message_id = w.message_id and old.device_id = w.device_id
            returning d.device_id
            """, new { devices, changed, app, Sender, MostIds, MostBytes, BytesAround, All, merged = Decision.Of(now, "merged", "another change") }, transaction, cancellationToken: ct))).ToHashSet();
        var fresh = devices.Where(device => !woken.Contains(device)).ToArray();
        await connection.ExecuteAsync(new CommandDefinition(
            $"""
            with added as (
                insert into push.ledger (message_id, device_id, user_id, network, state, due_at, changed, tracked, decisions)
                select @id, r.device_id, r.user_id, r.network, 'pending', @due, @changed, true, jsonb_build_array(@matched::jsonb) from push.registration r where r.device_id = any (@fresh)
                returning message_id, device_id, network, due_at)
            insert into push.queue (message_id, device_id, network, due_at) select message_id, device_id, network, due_at from added;
            delete from push.message where id = @id and not exists (select from push.delivery where message_id = @id);
            notify {PushWorker.Channel};
            """, new { id, due, changed, fresh, matched = Decision.Of(now, "matched", "a change of its user") }, transaction, cancellationToken: ct));
        return devices.Length;
    }
}
