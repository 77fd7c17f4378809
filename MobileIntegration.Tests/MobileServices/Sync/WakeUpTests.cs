using System.Text.Json;
using MobileIntegration.Tests.MobileServices.Push;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>A change on one device wakes the others of its user up: sync and push in one process, and in two of which one dies.</summary>
public sealed class WakeUpTests : IAsyncLifetime
{
    private readonly PushService _push = new()
    {
        More = [("Run", "push,sync"), ("Sync:Shared:stores:WakeUp", "true"), ("Sync:Shared:stores:Readers:0", "clerk"), ("Sync:Shared:quiet:Readers:0", "clerk")],
    };

    public async Task InitializeAsync()
    {
        await _push.InitializeAsync();
        await Eventually.TrueAsync(async () => await _push.QueryAsync<long>("select count(*) from events.subscription where name = 'push-databases'") is 1, PushService.Patience);
    }

    public Task DisposeAsync() => _push.DisposeAsync();

    [Fact]
    public async Task A_change_wakes_the_users_other_devices_with_one_silent_message_and_never_the_writer()
    {
        var app = await _push.NewReadyAppAsync();
        var user = $"ada{Guid.NewGuid():n}";
        var (phone, tablet, stranger) = (await _push.DeviceAsync(app, user: user), await _push.DeviceAsync(app, "apns", user), await _push.DeviceAsync(app, user: "eve"));
        using var client = ClientOf(phone);
        await client.PutAsync("notes");
        await client.PostAsync("notes/_bulk_docs", $$"""{"docs": [{{string.Join(',', Enumerable.Repeat("{}", 20))}}]}""", 201);
        await WokenAsync(tablet);
        await IdleAsync();

        var woken = JsonDocument.Parse(Assert.Single(_push.Apns.Journal, pushed => pushed.Address == tablet.Address).Body).RootElement;
        Assert.Equal("sync:notes", Assert.Single(woken.GetProperty("changed").EnumerateArray()).GetString());
        Assert.False(woken.GetProperty("aps").TryGetProperty("alert", out _));
        Assert.Equal((0, 0), (_push.Fcm.Count(phone.Address), _push.Fcm.Count(stranger.Address)));

        // The other way round, and over the replication's own way to write.
        using var other = ClientOf(tablet);
        await other.PostAsync("notes/_bulk_docs", """{"new_edits": false, "docs": [{"_id": "x", "_rev": "1-a", "_revisions": {"start": 1, "ids": ["a"]}}]}""", 201);
        await WokenAsync(phone);
        await IdleAsync();
        Assert.Equal((1, 1), (_push.Fcm.Count(phone.Address), _push.Apns.Count(tablet.Address)));
    }

    [Fact]
    public async Task A_run_of_changes_is_told_of_once_a_moment_and_not_once_a_document()
    {
        var device = new TestDevice(Guid.NewGuid(), _push.NewApp(), "fcm", "none", $"ada{Guid.NewGuid():n}", null);
        using var client = ClientOf(device);
        await client.PutAsync("notes");
        var began = DateTime.UtcNow;
        for (var i = 0; i < 100; i++)
        {
            await client.PutAsync($"notes/{i}", "{}");
        }
        await IdleAsync();
        var told = await _push.QueryAsync<long>("select count(*) from events.event where type = 'DatabaseChanged' and data -> 'userIds' = jsonb_build_array(@user)", ("user", device.User));
        Assert.InRange(told, 1, 1 + (int)(DateTime.UtcNow - began).TotalSeconds);
    }

    [Fact]
    public async Task Two_devices_that_write_at_the_same_time_wake_each_other_and_a_writer_without_a_name_wakes_both()
    {
        var app = await _push.NewReadyAppAsync();
        var user = $"ada{Guid.NewGuid():n}";
        var (phone, tablet) = (await _push.DeviceAsync(app, user: user), await _push.DeviceAsync(app, user: user));
        using var client = ClientOf(phone);
        using var other = ClientOf(tablet);
        await client.PutAsync("notes");
        await Task.WhenAll(client.PutAsync("notes/a", "{}"), other.PutAsync("notes/b", "{}"));
        await Task.WhenAll(WokenAsync(phone), WokenAsync(tablet));
        await IdleAsync();
        var before = (_push.Fcm.Count(phone.Address), _push.Fcm.Count(tablet.Address));

        // It has said of itself which app its database belongs to.
        await client.GetAsync("notes/_changes");
        await Eventually.TrueAsync(async () => await _push.QueryAsync<long>("select count(*) from sync.device where user_id = @user and app_id = @app", ("user", user), ("app", app)) is 1, PushService.Patience);
        using var nobody = new SyncClient(new(_push.One.Address, "/sync/"), SyncService.Token(user));
        await nobody.PutAsync("notes/c", "{}");
        await Eventually.TrueAsync(() => _push.Fcm.Count(phone.Address) > before.Item1 && _push.Fcm.Count(tablet.Address) > before.Item2, PushService.Patience);

        nobody.Http.DefaultRequestHeaders.Add("X-Device-Id", "phone");
        Assert.Contains("UUID", (string?)(await nobody.PutAsync("notes/d", "{}", 400))["reason"]);
    }

    [Fact]
    public async Task A_shared_database_wakes_the_devices_that_ask_for_its_changes_where_the_settings_say_so()
    {
        var app = await _push.NewReadyAppAsync();
        var users = Enumerable.Range(0, 3).Select(_ => $"clerk{Guid.NewGuid():n}").ToList();
        var (writer, reader, idle) = (await _push.DeviceAsync(app, user: users[0]), await _push.DeviceAsync(app, user: users[1]), await _push.DeviceAsync(app, user: users[2]));
        using var client = ClientOf(writer, "clerk");
        using var other = ClientOf(reader, "clerk");
        foreach (var database in new[] { "stores", "quiet" })
        {
            await client.GetAsync($"{database}/_changes");
            await other.GetAsync($"{database}/_changes");
        }
        await Eventually.TrueAsync(async () => await _push.QueryAsync<long>("select count(*) from sync.device where user_id = any (@users)", ("users", users.ToArray())) is 4, PushService.Patience);

        await client.PutAsync($"quiet/{app}", "{}");
        await client.PutAsync($"stores/{app}", "{}");
        await WokenAsync(reader);
        await IdleAsync();
        Assert.Equal("""["sync:stores"]""", JsonDocument.Parse(Assert.Single(_push.Fcm.Journal, pushed => pushed.Address == reader.Address).Body).RootElement
            .GetProperty("message").GetProperty("data").GetProperty("changed").GetString());
        Assert.Equal((0, 0), (_push.Fcm.Count(writer.Address), _push.Fcm.Count(idle.Address)));
    }

    [Fact]
    public async Task What_was_acknowledged_wakes_up_although_the_service_is_killed()
    {
        var app = await _push.NewReadyAppAsync();
        var users = Enumerable.Range(0, 10).Select(_ => $"ada{Guid.NewGuid():n}").ToList();
        var devices = new List<(TestDevice Writer, TestDevice Other)>();
        foreach (var user in users)
        {
            devices.Add((await _push.DeviceAsync(app, user: user), await _push.DeviceAsync(app, user: user)));
        }
        using (var processes = new PushProcesses())
        {
            // Another replica; the one that takes over is the service of this test, which knows nothing of its writes.
            var (process, http) = await processes.StartAsync(_push.Database, ("Run", "sync"));
            await Task.WhenAll(devices.Select(async pair =>
            {
                using var client = ClientOf(pair.Writer, http.BaseAddress!);
                await client.PutAsync("notes");
                await client.PutAsync("notes/a", "{}");
            }));
            process.Kill();
            await process.WaitForExitAsync();
            http.Dispose();
        }
        foreach (var (_, other) in devices)
        {
            await WokenAsync(other);
        }
        await IdleAsync();
        Assert.All(devices, pair => Assert.Equal((0, 1), (_push.Fcm.Count(pair.Writer.Address), _push.Fcm.Count(pair.Other.Address))));
    }

    private SyncClient ClientOf(TestDevice device, params string[] roles) => ClientOf(device, _push.One.Address, roles);

    private static SyncClient ClientOf(TestDevice device, Uri address, params string[] roles)
    {
        var client = new SyncClient(new(address, "/sync/"), SyncService.Token(device.User, roles: roles));
        client.Http.DefaultRequestHeaders.Add("X-App-Id", device.App);
        client.Http.DefaultRequestHeaders.Add("X-Device-Id", device.Id.ToString());
        return client;
    }

    private Task WokenAsync(TestDevice device) => Eventually.TrueAsync(() => _push.Fcm.Count(device.Address) + _push.Apns.Count(device.Address) > 0, PushService.Patience);

    /// <summary>Until nothing is to be told, handled or sent any more.</summary>
    private Task IdleAsync() => Eventually.TrueAsync(async () => await _push.QueryAsync<long>("""
        select (select count(*) from sync.database where wake_since is not null) + (select count(*) from events.delivery where status = 'due')
            + (select count(*) from push.delivery where state in ('pending', 'sending'))
        """) is 0, PushService.Patience);
}
