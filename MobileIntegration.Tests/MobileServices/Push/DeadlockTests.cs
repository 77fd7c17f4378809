using Dapper;
using MobileServices.Push.Deliveries;
using MobileServices.Push.Registrations;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>A device tells of messages while a worker writes about them in another order.</summary>
public sealed class DeadlockTests(PushService service) : IClassFixture<PushService>
{
    [Fact]
    public async Task What_a_device_tells_is_written_down_although_it_and_a_worker_waited_for_one_another()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app);
        var messages = new List<Guid>();
        for (var at = 0; at < 2; at++)
        {
            messages.Add(await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } }));
            await service.CompletedAsync(messages[^1]);
        }
        messages.Sort();
        // Whoever looks first for whom he waits is rolled back: the device, here.
        await using var own = NpgsqlDataSource.Create($"{service.Database};Options=-c deadlock_timeout=3s");
        await using var worker = await NpgsqlDataSource.Create($"{service.Database};Options=-c deadlock_timeout=600s").OpenConnectionAsync();
        await using var transaction = await worker.BeginTransactionAsync();
        await LockAsync(messages[1]);

        var telling = new Ledger(own, new([]), TimeProvider.System).ReceiveAsync(device.Id, device.User, [.. messages.Select(id => new PushReceipt(id, "opened"))], default);
        await Eventually.TrueAsync(async () => await service.QueryAsync<long>(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") > 0, PushService.Patience);
        await LockAsync(messages[0]);
        await transaction.CommitAsync();
        await telling;

        foreach (var id in messages)
        {
            Assert.Contains("opened", await service.DecisionsAsync(id, device.Id));
        }
        await Eventually.TrueAsync(
            async () => await service.QueryAsync<long>("select deadlocks from pg_stat_database where datname = current_database()") > 0, PushService.Patience);

        Task LockAsync(Guid message) => worker.ExecuteAsync("select from push.ledger where message_id = @message for update", new { message }, transaction);
    }
}
