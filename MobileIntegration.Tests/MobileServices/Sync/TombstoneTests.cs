using System.Text.Json;
using MobileServices.Sync;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Tombstones go when every device has them, and whoever has them not is told so. One replica keeps them no longer than it must.</summary>
public sealed class TombstoneTests(SyncService service) : IClassFixture<SyncService>, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TestService<SyncOptions> _eager = service.Start(("Sync:TombstoneDays", "0"));

    public void Dispose() => _eager.Dispose();

    [Fact]
    public async Task A_tombstone_goes_with_all_that_hangs_on_it_once_the_last_device_has_it()
    {
        var user = service.NewUser();
        var (phone, tablet) = (Guid.NewGuid(), Guid.NewGuid());
        using var client = service.ClientOf(user, _eager.Address);
        await client.PutAsync("notes");
        await client.PutAsync("notes/kept", "{}");
        var rev = (string?)(await client.PutAsync("notes/gone", """{"_attachments": {"a": {"data": "aGVsbG8=", "content_type": "text/plain"}}}"""))["rev"];
        await ReachedAsync(user, phone, (string)(await client.GetAsync("notes/_changes"))["last_seq"]!);
        await ReachedAsync(user, tablet, (string)(await client.GetAsync("notes/_changes"))["last_seq"]!);
        await client.DeleteAsync($"notes/gone?rev={rev}");
        var after = (string)(await client.GetAsync("notes/_changes"))["last_seq"]!;

        await ReachedAsync(user, phone, after);
        await CompactAsync(client);
        Assert.Equal(["kept", "gone"], await ChangedAsync(client));
        await ReachedAsync(user, tablet, after);
        await CompactAsync(client);
        Assert.Equal(["kept"], await ChangedAsync(client));
        Assert.Equal("deleted", (string?)(await client.GetAsync("notes/gone", 404))["reason"]);

        // What it was is remembered for some more time.
        Assert.Empty((await client.PostAsync("notes/_revs_diff", $$"""{"gone": ["{{rev}}"]}""")).AsObject());
        await service.CountAsync("with old as (update sync.document set deleted_at = now() - interval '91 days' where deleted and db_id in (select id from sync.database where owner = $1) returning 1) select count(*) from old", user);
        await service.CountAsync("with old as (update sync.blob set created_at = now() - interval '2 hours' where db_id in (select id from sync.database where owner = $1) returning 1) select count(*) from old", user);
        await CompactAsync(client);
        var info = await client.GetAsync("notes");
        Assert.Equal((1, 0, 2 + 19), ((int)info["doc_count"]!, (int)info["doc_del_count"]!, (int)info["sizes"]!["active"]!));
        Assert.Equal("missing", (string?)(await client.GetAsync("notes/gone", 404))["reason"]);
        Assert.Equal(0, await service.CountAsync("""
            select (select count(*) from sync.body b join sync.database s on s.id = b.db_id where s.owner = $1) + (select count(*) from sync.blob b join sync.database s on s.id = b.db_id where s.owner = $1)
                + (select count(*) from sync.document d join sync.database s on s.id = d.db_id where s.owner = $1 and d.deleted)
            """, user));

        // Nobody was behind, so nobody is told anything.
        Assert.Empty((await client.GetAsync($"notes/_changes?since={after}"))["results"]!.AsArray());
    }

    [Fact]
    public async Task Devices_that_were_removed_or_not_seen_for_long_do_not_hold_tombstones_back()
    {
        var user = service.NewUser();
        var (removed, silent) = (Guid.NewGuid(), Guid.NewGuid());
        using var client = service.ClientOf(user, _eager.Address);
        await client.PutAsync("notes");
        var rev = (string?)(await client.PutAsync("notes/gone", "{}"))["rev"];
        foreach (var device in new[] { removed, silent })
        {
            await ReachedAsync(user, device, (string)(await client.GetAsync("notes/_changes"))["last_seq"]!);
        }
        await client.DeleteAsync($"notes/gone?rev={rev}");
        await Eventually.TrueAsync(async () => await service.CountAsync("select count(*) from events.subscription where name = 'sync-devices' and $1 <> ''", user) is 1, Patience);
        await service.CountAsync($"select count(events.publish('DeviceRemoved', 'device:{removed}', null, now(), jsonb_build_object('deviceId', '{removed}'), null, null)) where $1 <> ''", user);
        await Eventually.TrueAsync(async () => await service.CountAsync("select count(*) from sync.device where user_id = $1", user) is 1, Patience);
        await CompactAsync(client);
        Assert.Equal(["gone"], await ChangedAsync(client));
        await service.CountAsync("with old as (update sync.device set seen_at = now() - interval '91 days' where user_id = $1 returning 1) select count(*) from old", user);
        await CompactAsync(client);
        Assert.Empty(await ChangedAsync(client));
    }

    [Fact]
    public async Task Tombstones_are_kept_for_a_time_in_any_case_and_then_go_without_being_asked_to()
    {
        var user = service.NewUser();
        using var client = service.ClientOf(user);
        await client.PutAsync("notes");
        for (var i = 0; i < 3; i++)
        {
            await client.DeleteAsync($"notes/{i}?rev={(string?)(await client.PutAsync($"notes/{i}", "{}"))["rev"]}");
        }
        await CompactAsync(client);
        Assert.Equal(["0", "1", "2"], await ChangedAsync(client));
        await service.CountAsync("""
            with old as (update sync.document set deleted_at = now() - interval '31 days' where doc_id < '2' and db_id in (select id from sync.database where owner = $1) returning 1) select count(*) from old
            """, user);
        var (silent, seen) = (Guid.NewGuid(), Guid.NewGuid());
        await service.CountAsync($"""
            with known as (
                insert into sync.device (db_id, device_id, user_id, asked_seq, seen_at)
                select s.id, d.id, s.owner, 9, now() - d.age from sync.database s, (values ('{silent}'::uuid, interval '91 days'), ('{seen}', interval '89 days')) as d (id, age) where s.owner = $1 returning 1)
            select count(*) from known
            """, user);
        await using var another = service.Start();
        await Eventually.TrueAsync(async () => await ChangedAsync(client) is ["2"], Patience);
        // What a device left behind that did not come back goes too.
        Assert.Equal(1, await service.CountAsync($"select count(*) from sync.device where user_id = $1 and device_id = '{seen}'", user));
        Assert.Equal(1, await service.CountAsync("select count(*) from sync.device where user_id = $1", user));
    }

    [Fact]
    public async Task Who_is_behind_is_told_to_start_over_and_who_starts_gets_all_in_pages_of_any_size()
    {
        var user = service.NewUser();
        using var client = service.ClientOf(user, _eager.Address);
        await client.PutAsync("notes");
        for (var i = 0; i < 5; i++)
        {
            await client.PutAsync($"notes/{i}", "{}");
        }
        var behind = (string)(await client.GetAsync("notes/_changes"))["last_seq"]!;
        await client.DeleteAsync($"notes/4?rev={(string?)(await client.GetAsync("notes/4"))["_rev"]}");
        await client.PutAsync("notes/5", "{}");
        await CompactAsync(client);

        foreach (var asked in new[] { "_changes?feed=normal", "_changes?feed=longpoll", "_changes?feed=continuous", "_changes?feed=eventsource", "_pull?key=id", "_stream?key=id" })
        {
            var told = await client.GetAsync($"notes/{asked}&since={behind}", 410);
            Assert.Equal("forbidden", (string?)told["error"]);
            Assert.StartsWith("resync_required: ", (string?)told["reason"], StringComparison.Ordinal);
        }
        Assert.Equal(410, (int)(await client.Http.PostAsync($"notes/_changes?filter=_doc_ids&since={behind}", SyncClient.Json("""{"doc_ids": ["1"]}"""))).StatusCode);

        var (since, found) = ("0", new List<string>());
        for (var page = await client.GetAsync("notes/_changes?limit=1"); page["results"]!.AsArray() is { Count: > 0 } rows; page = await client.GetAsync($"notes/_changes?limit=1&since={since}"))
        {
            since = (string)page["last_seq"]!;
            Assert.Equal(since, (string?)rows[0]!["seq"]);
            found.Add((string)rows[0]!["id"]!);
        }
        Assert.Equal(["0", "1", "2", "3", "5"], found);
        Assert.Equal((string?)(await client.GetAsync("notes"))["update_seq"], since);
    }

    [Fact]
    public async Task A_view_that_has_not_read_a_deletion_learns_of_it_although_the_tombstone_is_gone()
    {
        var user = service.NewUser();
        using var client = service.ClientOf(user, _eager.Address);
        await client.PutAsync("notes");
        await client.PutAsync("notes/_design/all", """{"views": {"ids": {"map": "function (doc) { emit(doc._id, 1); }", "reduce": "_sum"}}}""");
        await client.PutAsync("notes/kept", "{}");
        var rev = (string?)(await client.PutAsync("notes/gone", "{}"))["rev"];
        Assert.Equal(2, (int)(await client.GetAsync("notes/_design/all/_view/ids"))["rows"]![0]!["value"]!);
        await client.DeleteAsync($"notes/gone?rev={rev}");
        await CompactAsync(client);
        Assert.Equal(1, (int)(await client.GetAsync("notes/_design/all/_view/ids"))["rows"]![0]!["value"]!);
    }

    [Fact]
    public async Task PouchDB_stops_and_says_that_it_has_to_start_over_and_then_does()
    {
        var told = await SyncService.RunAsync("pouchdb.mjs", "behind", _eager.Address.ToString(), SyncService.Token(service.NewUser()));
        Assert.Equal(["b", "d", "e", "mine"], told.GetProperty("documents").EnumerateArray().Select(id => id.GetString()));
    }

    [Fact]
    public async Task A_new_device_is_told_of_no_deletion_that_was_before_it_and_of_each_that_was_after()
    {
        var user = service.NewUser();
        using var client = service.ClientOf(user);
        await client.PutAsync("notes");
        for (var i = 0; i < 6; i++)
        {
            await client.PutAsync($"notes/{i}", "{}");
        }
        await DeleteAsync("0");
        var first = await client.GetAsync("notes/_changes?fresh=true&limit=2");
        Assert.Equal(["1", "2"], first["results"]!.AsArray().Select(row => (string?)row!["id"]));
        await DeleteAsync("1");
        await DeleteAsync("5");

        // The sequence says how it goes on; the parameter is not needed again, and does nothing for who has begun without it.
        var next = await client.GetAsync($"notes/_changes?since={(string?)first["last_seq"]}");
        Assert.Equal(["3", "4", "1", "5"], next["results"]!.AsArray().Select(row => (string?)row!["id"]));
        Assert.Equal((string?)(await client.GetAsync("notes"))["update_seq"], (string?)next["last_seq"]);
        Assert.Equal(["0", "1", "5"], (await client.GetAsync("notes/_changes?fresh=true&since=1"))["results"]!.AsArray().Where(row => row!["deleted"] is not null).Select(row => (string?)row!["id"]));
        Assert.Equal(["2", "3", "4"], (await client.GetAsync("notes/_changes?fresh=true"))["results"]!.AsArray().Select(row => (string?)row!["id"]));
        Assert.Equal("query_parse_error", (string?)(await client.GetAsync("notes/_changes?fresh=yes", 400))["error"]);

        async Task DeleteAsync(string id) => await client.DeleteAsync($"notes/{id}?rev={(string?)(await client.GetAsync($"notes/{id}"))["_rev"]}");
    }

    [Fact]
    public async Task PouchDB_starts_a_new_device_without_the_deletions() =>
        Assert.Equal(29, (await SyncService.RunAsync("pouchdb.mjs", "fresh", service.One.Address.ToString(), SyncService.Token(service.NewUser()))).GetProperty("documents").GetInt32());

    /// <summary>Whatever a device holds after it has asked for all changes is what the server has, unless it was told to start over.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task No_device_keeps_what_was_deleted_without_being_told_and_none_brings_it_back(int seed)
    {
        var random = new Random(seed);
        var user = service.NewUser();
        using var client = service.ClientOf(user, _eager.Address);
        await client.PutAsync("notes");
        var revs = new Dictionary<string, string>();
        // Half of them say who they are, and half begin without deletions.
        var devices = Enumerable.Range(0, 6).Select(n => new ModelDevice(service.ClientOf(user, n % 3 is 0 ? service.One.Address : _eager.Address), random, n % 2 is 0, n > 2)).ToList();
        try
        {
            for (var step = 0; step < 400; step++)
            {
                var id = $"{random.Next(25)}";
                switch (random.Next(13))
                {
                    case < 4:
                        revs[id] = (string)(await client.PutAsync($"notes/{id}{(revs.TryGetValue(id, out var rev) ? $"?rev={rev}" : "")}", "{}"))["rev"]!;
                        break;
                    case < 6 when revs.Remove(id, out var last):
                        await client.DeleteAsync($"notes/{id}?rev={last}");
                        break;
                    case 6:
                        if (random.Next(2) is 0)
                        {
                            // Nobody waits for the devices any more, as if all were removed; they come back all the same.
                            await service.CountAsync("with gone as (delete from sync.device where user_id = $1 returning 1) select count(*) from gone", user);
                        }
                        await CompactAsync(client);
                        break;
                    case 7:
                        devices[random.Next(devices.Count)].Crash();
                        break;
                    case 8:
                        await devices[random.Next(devices.Count)].OfferAsync();
                        break;
                    default:
                        await devices[random.Next(devices.Count)].PullAsync(random.Next(4));
                        break;
                }
            }
            await CompactAsync(client);
            foreach (var device in devices)
            {
                await device.PullAsync(int.MaxValue);
                Assert.Equal(revs.OrderBy(one => one.Key, StringComparer.Ordinal), device.Documents.OrderBy(one => one.Key, StringComparer.Ordinal));
            }
            Assert.True(devices.Sum(device => device.StartedOver) > 0);
            Assert.True(devices.Sum(device => device.WentOn) > 0);
        }
        finally
        {
            devices.ForEach(device => device.Dispose());
        }
    }

    private static async Task<string[]> ChangedAsync(SyncClient client) =>
        [.. (await client.GetAsync("notes/_changes"))["results"]!.AsArray().Select(row => (string)row!["id"]!)];

    private static async Task CompactAsync(SyncClient client) => await client.PostAsync("notes/_compact", "{}", 202);

    /// <summary>The device asks for what comes after that sequence, and that is written down.</summary>
    private async Task ReachedAsync(string user, Guid device, string since)
    {
        using var client = service.ClientOf(user);
        client.Http.DefaultRequestHeaders.Add("X-Device-Id", device.ToString());
        await client.GetAsync($"notes/_changes?since={since}");
        await Eventually.TrueAsync(async () => await service.CountAsync(
            $"select count(*) from sync.device where user_id = $1 and device_id = '{device}' and asked_seq = {since[..since.IndexOf('-', StringComparison.Ordinal)]}", user) is 1, Patience);
    }

    /// <summary>A client that keeps documents and a checkpoint, which may be older than the documents.</summary>
    private sealed class ModelDevice : IDisposable
    {
        private readonly SyncClient _client;
        private readonly Random _random;
        private readonly bool _isFresh;
        private string _since = "0";
        private string _checkpoint = "0";

        public ModelDevice(SyncClient client, Random random, bool isKnown, bool isFresh)
        {
            (_client, _random, _isFresh) = (client, random, isFresh);
            if (isKnown)
            {
                client.Http.DefaultRequestHeaders.Add("X-Device-Id", Guid.NewGuid().ToString());
            }
        }

        public Dictionary<string, string> Documents { get; } = [];

        public int StartedOver { get; private set; }

        public int WentOn { get; private set; }

        /// <summary>It forgets how far it was, but for its checkpoint. One that has none begins anew.</summary>
        public void Crash()
        {
            _since = _checkpoint;
            if (_since is "0")
            {
                Documents.Clear();
            }
        }

        /// <summary>It pushes what it holds: there is nothing that the server does not know, although it may be deleted by now.</summary>
        public async Task OfferAsync() => Assert.Empty((await _client.PostAsync(
            "notes/_revs_diff", JsonSerializer.Serialize(Documents.ToDictionary(one => one.Key, one => new[] { one.Value })))).AsObject());

        /// <summary>At most so many pages; with all of them it holds what the server has.</summary>
        public async Task PullAsync(int pages)
        {
            for (var n = 0; n < pages; n++)
            {
                using var answer = await _client.Http.GetAsync($"notes/_changes?limit={_random.Next(1, 6)}&since={_since}&fresh={(_isFresh ? "true" : "false")}");
                if ((int)answer.StatusCode is 410)
                {
                    StartedOver++;
                    Documents.Clear();
                    (_since, _checkpoint) = ("0", "0");
                    continue;
                }
                var page = await SyncClient.ReadAsync(answer, 200);
                WentOn++;
                foreach (var row in page["results"]!.AsArray())
                {
                    var id = (string)row!["id"]!;
                    Documents.Remove(id);
                    if (row["deleted"] is null)
                    {
                        Documents[id] = (string)row["changes"]![0]!["rev"]!;
                    }
                }
                _since = (string)page["last_seq"]!;
                _checkpoint = _random.Next(3) is 0 ? _since : _checkpoint;
                if (page["results"]!.AsArray().Count is 0)
                {
                    return;
                }
            }
        }

        public void Dispose() => _client.Dispose();
    }
}
