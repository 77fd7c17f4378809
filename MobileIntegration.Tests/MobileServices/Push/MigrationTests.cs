using Dapper;
using DbUp.Engine;
using MobileIntegration.ServiceDefaults;
using MobileServices.Push;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Databases that an earlier version has left.</summary>
public sealed class MigrationTests
{
    [Fact]
    public async Task What_an_earlier_version_has_begun_goes_on_and_nobody_gets_it_twice()
    {
        var service = new PushService();
        await service.InitializeAsync();
        try
        {
            var app = await service.NewReadyAppAsync();
            var devices = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => service.DeviceAsync(app, "apns")));
            await service.One.DisposeAsync();
            var (message, resolving) = (Guid.CreateVersion7(), Guid.CreateVersion7());
            await using (var connection = new NpgsqlConnection(service.Database))
            {
                await connection.OpenAsync();
                await connection.ExecuteAsync("create schema kept; create table kept.registration as select * from push.registration; create table kept.credential as select * from push.credential; drop schema push cascade");
                await MigrateAsync(connection, "005");
                await connection.ExecuteAsync(
                    """
                    insert into push.registration select * from kept.registration;
                    insert into push.credential select * from kept.credential;
                    insert into push.message (id, app_id, sender, audience, content, urgency, silent, ttl_seconds, send_at, expires_at, state, created_at)
                    select id, @app, 'before', 'all', '{"title":"Hello"}', 'normal', false, 3600, now(), now() + interval '1 hour', state, now()
                    from (values (@message, 'sending'), (@resolving, 'resolving')) m (id, state);

                    -- One waits, one was taken and may have been sent, one was taken and was not; of the other message one waits, and the others are not there yet.
                    insert into push.batch (started, lease_until, messages, devices) values (1, now() - interval '1 minute', array[@message, @message], @devices[2:3]);
                    insert into push.delivery (message_id, device_id, network, state, due_at, attempts, batch_id, decisions)
                    select @message, @devices[n], 'apns', case n when 1 then 'pending' else 'sending' end, now(), case n when 1 then 0 else 1 end, case n when 1 then null else (select id from push.batch) end,
                           '[{"at":"2026-01-01T00:00:00Z","what":"matched"}]'
                    from generate_series(1, 3) n;
                    insert into push.delivery (message_id, device_id, network, state, due_at, decisions) values (@resolving, @devices[5], 'apns', 'pending', now(), '[{"at":"2026-01-01T00:00:00Z","what":"matched"}]');
                    insert into push.queue (message_id, device_id, network, due_at) values (@message, @devices[1], 'apns', now()), (@resolving, @devices[5], 'apns', now());
                    """, new { app, message, resolving, devices = devices.Select(device => device.Id).ToArray() });
            }

            await using var after = service.Start();
            using var http = new HttpClient { BaseAddress = after.Address };
            await Eventually.TrueAsync(async () => await service.QueryAsync<long>("select count(*) from push.delivery where state in ('accepted', 'unknown')") is 8, PushService.Patience);

            Assert.Equal(["accepted", "unknown", "accepted"], await StatesAsync(message, devices[..3]));
            Assert.All(await StatesAsync(resolving, devices), state => Assert.Equal("accepted", state));
            Assert.Equal([2, 1, 2, 1, 1], devices.Select(device => service.Apns.Count(device.Address)));
        }
        finally
        {
            await service.DisposeAsync();
        }

        async Task<string[]> StatesAsync(Guid message, TestDevice[] devices)
        {
            await using var connection = new NpgsqlConnection(service.Database);
            var states = (await connection.QueryAsync<(Guid Device, string State)>(
                "select device_id, state from push.delivery where message_id = @message", new { message })).ToDictionary(row => row.Device, row => row.State);
            return [.. devices.Select(device => states[device.Id])];
        }
    }

    /// <summary>As the service does, up to a version.</summary>
    private static async Task MigrateAsync(NpgsqlConnection connection, string last)
    {
        const string Prefix = "MobileServices.Push.Migrations.";
        var assembly = typeof(PushOptions).Assembly;
        await connection.ExecuteAsync("create schema push; set search_path = push; create table migrations (name text primary key, checksum text not null, applied_at timestamptz not null default now())");
        foreach (var resource in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            var script = SqlScript.FromStream(resource[Prefix.Length..], assembly.GetManifestResourceStream(resource)!);
            if (string.CompareOrdinal(script.Name[..3], last) <= 0)
            {
                await connection.ExecuteAsync(script.Contents);
                await connection.ExecuteAsync("insert into migrations (name, checksum) values (@Name, @checksum)", new { script.Name, checksum = MigrationJournal.Checksum(script) });
            }
        }
    }
}
