using System.Text.Json;
using Dapper;
using MobileServices.Push.Deliveries;
using MobileServices.Push.Networks;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>How much is read of what waits in chunks: by the blocks that PostgreSQL touches for it, with statistics and without.</summary>
public sealed class PlanTests : IAsyncLifetime
{
    private const string App = "com.example.plans";
    private const int Chunk = 250;
    private static readonly string[] Networks = ["apns", "fcm", "own", "webpush"];

    private readonly PushService _service = new();
    private NpgsqlConnection _connection = null!;

    public async Task InitializeAsync()
    {
        await _service.InitializeAsync();
        // It would take what waits.
        await _service.One.DisposeAsync();
        _connection = new(_service.Database);
        await _connection.OpenAsync();
        await _connection.ExecuteAsync(
            // In the order of the numbers, and no text that becomes shorter.
            "create function public.device(n bigint) returns uuid language sql immutable as $$ select (lpad(to_hex(n), 8, '0') || substr(md5(n::text), 9))::uuid $$");
    }

    public async Task DisposeAsync()
    {
        await _connection.DisposeAsync();
        await _service.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_page_of_a_large_message_and_one_of_its_devices_cost_no_more_than_that(bool analyzed)
    {
        const int Devices = 60_000;
        const int Most = 100;
        var message = await MessageAsync("score");
        await ChunksAsync(message, Devices, Chunk);
        // Some have been decided about, some are under way, and two have been set apart from their chunks.
        await _connection.ExecuteAsync(
            """
            insert into push.ledger (message_id, device_id, network, state, due_at)
            select @message, public.device(n), 'fcm', 'accepted', now() from generate_series(30500, 32000) n;
            insert into push.batch (network, messages, devices, matched_at, lease_until)
            select 'apns', array_agg(@message), array_agg(public.device(n)), array_agg(now()), now() + interval '1 hour' from generate_series(29000, 29030) n;
            update push.chunk c set devices = array(select u from unnest(c.devices) with ordinality u (u, place)
                where u <> all (array(select device_id from push.ledger union all select unnest(devices) from push.batch))
                  and u not in (c.first_device, c.last_device) order by place);
            """, new { message });
        if (analyzed)
        {
            await _connection.ExecuteAsync("analyze push.chunk; analyze push.ledger; analyze push.message");
        }
        var expected = (await _connection.QueryAsync<Guid>("select device_id from push.delivery where message_id = @message order by device_id", new { message })).ToList();

        var seen = new List<Guid>();
        do
        {
            var page = (await _connection.QueryAsync<Guid>(Ledger.PageSql, Page(seen.Count is 0 ? null : seen[^1], 5000))).ToList();
            seen.AddRange(page);
        }
        while (seen.Count % 5000 is 0 && seen.Count < expected.Count);

        Assert.Equal(expected, seen);
        foreach (var after in new Guid?[] { null, expected[expected.Count / 2], expected[^150] })
        {
            Assert.InRange(await BlocksAsync(Ledger.PageSql, Page(after, Most)), 1, 250);
        }
        foreach (var device in new[] { expected[0], expected[expected.Count / 2], expected[^1] })
        {
            Assert.InRange(await BlocksAsync(Ledger.OneSql, new { message, device, networks = Networks }), 1, 80);
            Assert.Single(await _connection.QueryAsync(Ledger.OneSql, new { message, device, networks = Networks }));
        }

        object Page(Guid? after, int most) => new { message, state = (string?)null, after, most, networks = Networks };
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_look_for_later_messages_costs_little_however_many_devices_wait_for_others(bool analyzed)
    {
        const int Taken = 100;
        for (var other = 0; other < 100; other++)
        {
            await ChunksAsync(await MessageAsync($"other{other}"), 1000, 5);
        }
        var message = await MessageAsync("score");
        await _connection.ExecuteAsync(
            """
            insert into push.chunk (message_id, network, due_at, matched_at, size, first_device, last_device, devices)
            select @message, 'apns', now() - interval '1 hour', now(), @Taken, min(id::text)::uuid, max(id::text)::uuid, array_agg(id order by id)
            from (select public.device(10 * n) as id from generate_series(1, @Taken) n) d
            """, new { message, Taken });
        if (analyzed)
        {
            await _connection.ExecuteAsync("analyze push.chunk; analyze push.message");
        }

        Assert.Equal((0, 100), await ReplacedAsync());
        Assert.InRange(await ClaimBlocksAsync(), 1, 30 * Taken);

        // Of a later one half of them wait, and of one that came before all.
        var later = await MessageAsync("score", minutes: 1);
        await ChunksAsync(later, 500, 5);
        await ChunksAsync(await MessageAsync("score", minutes: -1), 1000, 5);
        Assert.Equal((50, 100), await ReplacedAsync());
        Assert.InRange(await ClaimBlocksAsync(), 1, 50 * Taken);

        // It is under way.
        await _connection.ExecuteAsync(
            """
            with gone as (delete from push.chunk where message_id = @later returning network, devices)
            insert into push.batch (network, messages, devices, matched_at, lease_until)
            select network, array_agg(@later), array_agg(u.id), array_agg(now()), now() + interval '1 hour' from gone, unnest(devices) u (id) group by network
            """, new { later });
        Assert.Equal((50, 100), await ReplacedAsync());

        async Task<(int Replaced, int All)> ReplacedAsync()
        {
            await using var transaction = await _connection.BeginTransactionAsync();
            var taken = await Queue.TakeAsync(transaction, "apns", Networks, Taken, DateTimeOffset.UtcNow, default);
            return (taken.Count(due => due.IsReplaced), taken.Count);
        }

        Task<long> ClaimBlocksAsync() => BlocksAsync(Queue.ChunksSql, new { network = "apns", networks = Networks, most = Taken, now = DateTimeOffset.UtcNow });
    }

    /// <summary>It is asked for each message that is sent.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whether_an_app_has_devices_with_keys_is_found_out_at_the_same_cost_however_many_it_has(bool analyzed)
    {
        await _connection.ExecuteAsync(
            """
            insert into push.credential (app_id, network, settings, secret, saved_at, saved_by) select @App, network, '{}', '', now(), 'test' from unnest(@Networks) n (network);
            insert into push.registration (device_id, app_id, network, address, address_hash, host, p256dh, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
            select public.device(n), app, network, n::text, sha256(n::text::bytea), '', case when network = 'webpush' or app <> @App then '\x04'::bytea end,
                   'android', '1.0.0', '', 'en', 'UTC', '{}', now(), now()
            from generate_series(1, 20000) n, lateral (select case when n % 8 < 4 then @App else 'com.example.other' end as app, (@Networks::text[])[1 + n % 4] as network) a
            """, new { App, Networks });
        if (analyzed)
        {
            await _connection.ExecuteAsync("analyze push.registration; analyze push.credential");
        }
        Assert.All(await HaveKeysAsync(App), network => Assert.False(network.HasKeys));
        Assert.InRange(await BlocksAsync(CredentialStore.UsedSql, new { app = App }, settings: ""), 1, 40);

        await _connection.ExecuteAsync("update push.registration set p256dh = '\\x04' where device_id = (select max(device_id::text)::uuid from push.registration where app_id = @App and network = 'apns')", new { App });
        Assert.Equal(["apns"], (await HaveKeysAsync(App)).Where(network => network.HasKeys).Select(network => network.Network));
        Assert.InRange(await BlocksAsync(CredentialStore.UsedSql, new { app = App }, settings: ""), 1, 40);

        await _connection.ExecuteAsync("update push.registration set p256dh = '\\x04' where app_id = @App and network <> 'own'", new { App });
        Assert.Equal(["apns", "fcm"], (await HaveKeysAsync(App)).Where(network => network.HasKeys).Select(network => network.Network).Order());
        Assert.InRange(await BlocksAsync(CredentialStore.UsedSql, new { app = App }, settings: ""), 1, 40);

        Task<IEnumerable<(string Network, bool HasKeys)>> HaveKeysAsync(string app) => _connection.QueryAsync<(string Network, bool HasKeys)>(CredentialStore.UsedSql, new { app });
    }

    private async Task<Guid> MessageAsync(string key, int minutes = 0)
    {
        var id = Guid.CreateVersion7();
        await _connection.ExecuteAsync(
            """
            insert into push.message (id, app_id, sender, audience, content, collapse_key, urgency, silent, ttl_seconds, send_at, expires_at, state, created_at, in_chunks)
            select @id, @App, 'sender', 'all', '{"title":"Hello"}', @key, 'normal', false, 86400, at, at + interval '1 day', 'sending', now(), true
            from (select now() - interval '10 minutes' + make_interval(mins => @minutes) as at) t
            """, new { id, App, key, minutes });
        return id;
    }

    /// <summary>As the fan-out makes them: those of a network follow one another, and those of several lie across one another.</summary>
    private Task<int> ChunksAsync(Guid message, int devices, int size) => _connection.ExecuteAsync(
        """
        insert into push.chunk (message_id, network, due_at, matched_at, size, first_device, last_device, devices)
        select @message, network, now(), now(), count(*), min(id::text)::uuid, max(id::text)::uuid, array_agg(id order by id)
        from (select public.device(n) as id, (@Networks::text[])[1 + n % 4] as network, (n - 1) / (4 * @size) as part from generate_series(1, @devices) n) d group by network, part
        """, new { message, Networks, devices, size });

    /// <param name="settings">With which it is run.</param>
    private async Task<long> BlocksAsync(string sql, object parameters, string settings = Queue.InOrder)
    {
        await using var transaction = await _connection.BeginTransactionAsync();
        await _connection.ExecuteAsync($"{settings} select");
        using var plan = JsonDocument.Parse((await _connection.QuerySingleAsync<string>($"explain (analyze, buffers, timing off, format json) {sql}", parameters))!);
        var top = plan.RootElement[0].GetProperty("Plan");
        return top.GetProperty("Shared Hit Blocks").GetInt64() + top.GetProperty("Shared Read Blocks").GetInt64();
    }
}
