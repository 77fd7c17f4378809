using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What is promised of every network alike: one collapse key, one deadline, one ledger, few connections; and of caps and urgent messages whatever comes.</summary>
public sealed class MatrixTests(PushService service) : IClassFixture<PushService>
{
    /// <summary>The device is offline: its network keeps what it has taken, and of one collapse key the last.</summary>
    [Theory]
    [InlineData("webpush")]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task Of_five_with_one_collapse_key_the_network_has_the_last_and_another_key_takes_no_ones_place(string network)
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, network);

        foreach (var (key, number) in (IEnumerable<(string, int)>)[("score", 1), ("score", 2), ("weather", 1), ("score", 3), ("score", 4), ("score", 5)])
        {
            Assert.Equal(1, (await service.CompletedAsync(await service.SendAsync(new { app, audience = "all", content = new { title = $"{key} {number}" }, collapseKey = $"{key} {new string('k', 100)}" })))["accepted"]);
        }

        var taken = Fake(network).Journal.Where(pushed => pushed.Address == device.Address).ToList();
        var kept = new Dictionary<string, int>();
        for (var at = 0; at < taken.Count; at++)
        {
            kept[CollapseOf(network, taken[at])] = at;
        }
        // In the order of arrival the third is of the other key.
        Assert.Equal([2, 5], kept.Values.Order());
        Assert.All(kept.Keys, key => Assert.Matches("^[A-Za-z0-9_-]{1,32}$", key));
    }

    [Theory]
    [InlineData("webpush")]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task Of_a_minute_of_which_50_s_were_spent_here_the_network_gets_ten_at_most(string network)
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, network);
        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" }, ttlSeconds = 60, sendAt = DateTimeOffset.UtcNow.AddHours(1) });
        var late = await service.SendAsync(new { app, audience = "all", content = new { title = "Too late" }, ttlSeconds = 60, sendAt = DateTimeOffset.UtcNow.AddHours(1) });

        await QueuedAsync(message, 50);
        await QueuedAsync(late, 61);

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        Assert.Equal(1, (await service.CompletedAsync(late))["expired"]);
        var sent = Assert.Single(Fake(network).Journal, pushed => pushed.Address == device.Address);
        var left = network switch
        {
            "webpush" => int.Parse(sent.Headers["TTL"], CultureInfo.InvariantCulture),
            "fcm" => int.Parse(Body(sent).GetProperty("message").GetProperty("android").Text("ttl")!.TrimEnd('s'), CultureInfo.InvariantCulture),
            // A moment instead of a time: when it was sent is not before this test began.
            _ => long.Parse(sent.Headers["apns-expiration"], CultureInfo.InvariantCulture) - DateTimeOffset.UtcNow.Add(-TimeProvider.System.GetElapsedTime(sent.At)).ToUnixTimeSeconds(),
        };
        Assert.InRange(left, 1, 10);

        Task QueuedAsync(Guid id, int seconds) => service.QueryAsync<object>(
            "update push.message set send_at = now() - make_interval(secs => @seconds), expires_at = now() + make_interval(secs => 60 - @seconds) where id = @id; select pg_notify('push_due', '')",
            ("id", id), ("seconds", seconds));
    }

    [Theory]
    [InlineData("webpush")]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task Of_a_message_to_a_device_with_keys_the_network_can_read_nothing_and_the_device_all(string network)
    {
        var app = await service.NewReadyAppAsync();
        var (keys, others) = (DeviceKeys.New(), DeviceKeys.New());
        var device = await service.DeviceAsync(app, network, keys: keys);

        var message = await service.SendAsync(new
        {
            app,
            audience = "all",
            category = "secret-category",
            collapseKey = "secret-key",
            parameters = new { name = "secret-Ada" },
            content = new
            {
                title = "Hello {{name}}, secret-title",
                body = "secret-body",
                image = "https://shop.example/secret.png",
                sound = "secret-sound",
                badge = 31337,
                data = new Dictionary<string, string> { ["secret-page"] = "/secret-sale" },
                actions = new[] { new { id = "secret-id", title = "secret-action" } },
                android = new { notification = new { ticker = "secret-ticker" }, data = new { more = "secret-android" } },
                apns = new { payload = new { aps = new Dictionary<string, string> { ["thread-id"] = "secret-thread" }, account = "secret-account" } },
                webpush = new { notification = new { icon = "/secret-icon" }, fcmOptions = new { link = "https://shop.example/secret" } },
            },
        });

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        var pushed = Assert.Single(Fake(network).Journal, pushed => pushed.Address == device.Address);
        var seen = string.Join('\n', pushed.Headers.Select(header => $"{header.Key}: {header.Value}").Append(System.Text.Encoding.Latin1.GetString(pushed.Body)));
        Assert.DoesNotContain("secret", seen, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Hello", seen, StringComparison.Ordinal);
        Assert.DoesNotContain("badge", seen, StringComparison.Ordinal);

        var encrypted = DeviceKeys.Encrypted(network, pushed);
        var content = await keys.DecryptAsync(encrypted);
        Assert.Equal((message, "Hello secret-Ada, secret-title", "secret-body"), (content.GetProperty("id").GetGuid(), content.Text("title"), content.Text("text")));
        Assert.Equal(
            ("https://shop.example/secret.png", "secret-sound", 31337, "secret-category"),
            (content.Text("image"), content.Text("sound"), content.GetProperty("badge").GetInt32(), content.Text("category")));
        Assert.Equal(("/secret-sale", "secret-action"), (content.GetProperty("data").Text("secret-page"), content.GetProperty("actions")[0].Text("title")));
        Assert.Equal(CollapseOf(network, pushed), content.Text("tag"));
        var refused = await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => (others with { Auth = keys.Auth }).DecryptAsync(encrypted));
        Assert.Contains("authenticate", refused.Message, StringComparison.Ordinal);
        refused = await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => (keys with { Auth = others.Auth }).DecryptAsync(encrypted));
        Assert.Contains("authenticate", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_deliveries_of_a_message_are_what_the_networks_have_in_their_journals()
    {
        var app = await service.NewReadyAppAsync();
        var devices = await Task.WhenAll(Enumerable.Range(0, 60).Select(number => service.DeviceAsync(app, (number % 3) switch { 0 => "webpush", 1 => "fcm", _ => "apns" })));
        var ids = new ConcurrentDictionary<string, string>();
        foreach (var (device, number) in devices.Select((device, number) => (device, number)))
        {
            var fake = Fake(device.Network);
            fake.Script(device.Address, async (http, attempt) =>
            {
                if (number % 20 is 0 or 1 or 2)
                {
                    // All networks say of such a body and status that the address is dead.
                    await FakeNetwork.Answer(device.Network is "fcm" ? 404 : 410, device.Network is "fcm"
                        ? new { error = new { details = new[] { new Dictionary<string, string> { ["@type"] = "type.googleapis.com/google.firebase.fcm.v1.FcmError", ["errorCode"] = "UNREGISTERED" } } } }
                        : new { reason = "Unregistered" })(http, attempt);
                }
                else if (number % 20 is 3 or 4 or 5 && attempt is 1)
                {
                    http.Response.StatusCode = 503;
                }
                else if (number % 20 is 6 or 7 or 8)
                {
                    http.Abort();
                }
                else
                {
                    var id = ids[device.Address] = Guid.NewGuid().ToString();
                    switch (device.Network)
                    {
                        case "webpush":
                            (http.Response.StatusCode, http.Response.Headers.Location) = (201, id);
                            break;
                        case "fcm":
                            await Microsoft.AspNetCore.Http.HttpResponseJsonExtensions.WriteAsJsonAsync(http.Response, new { name = id });
                            break;
                        default:
                            http.Response.Headers["apns-id"] = id;
                            break;
                    }
                }
            });
        }

        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        var counts = await service.CompletedAsync(message);

        List<JsonElement> rows = [];
        for (string? next = null; ;)
        {
            var page = await service.Http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}/deliveries?limit=17{(next is null ? "" : $"&after={next}")}");
            rows.AddRange(page.GetProperty("deliveries").EnumerateArray());
            if ((next = page.GetProperty("next").GetString()) is null)
            {
                break;
            }
        }
        Assert.Equal(new() { ["accepted"] = 42, ["dead"] = 9, ["unknown"] = 9 }, counts);
        Assert.Equal(devices.Select(device => device.Id).Order(), rows.Select(row => row.GetProperty("deviceId").GetGuid()).Order());
        foreach (var (device, number) in devices.Select((device, number) => (device, number)))
        {
            var row = rows.Single(row => row.GetProperty("deviceId").GetGuid() == device.Id);
            var expected = (number % 20) switch { <= 2 => "dead", 6 or 7 or 8 => "unknown", _ => "accepted" };
            Assert.Equal(
                (device.Network, expected, Fake(device.Network).Count(device.Address), ids.GetValueOrDefault(device.Address)),
                (row.Text("network"), row.Text("state"), row.GetProperty("attempts").GetInt32(), row.TryGetProperty("networkId", out var id) ? id.GetString() : null));
            Assert.Equal(expected, (await service.DecisionsAsync(message, device.Id))[^1]);
        }
    }

    [Theory]
    [InlineData("fcm")]
    [InlineData("apns")]
    public async Task Three_thousand_devices_are_reached_over_one_connection_with_forty_messages_at_a_time_on_it(string network)
    {
        const int Many = 3000;
        var busy = new PushService();
        await busy.InitializeAsync();
        try
        {
            var app = await busy.NewReadyAppAsync();
            await using (var connection = new NpgsqlConnection(busy.Database))
            {
                await connection.ExecuteAsync(
                    """
                    insert into push.registration (device_id, app_id, network, address, address_hash, host, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
                    select gen_random_uuid(), @app, @network, address, sha256(address::bytea), '', 'ios', '1.0.0', '', 'en', 'UTC', '{}', now(), now()
                    from generate_series(1, @Many) n, lateral (select lpad(to_hex(n), 32, '0') as address) as a
                    """, new { app, network, Many });
            }
            var fake = network is "fcm" ? busy.Fcm : busy.Apns;
            var connections = new ConcurrentDictionary<string, bool>();
            var under = 0;
            var together = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            fake.Otherwise = async (http, _) =>
            {
                connections.TryAdd(http.Connection.Id, true);
                if (Interlocked.Increment(ref under) is 40)
                {
                    together.SetResult();
                }
                // The first are not answered before so many are under way.
                await together.Task;
                await fake.SucceedAsync(http);
            };
            var message = await busy.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });

            Assert.Equal(Many, (await busy.CompletedAsync(message))["accepted"]);
            Assert.Equal(Many, fake.Journal.Select(pushed => pushed.Address).Where(address => address.Length is 32).Distinct().Count());
            Assert.Single(connections);
        }
        finally
        {
            await busy.DisposeAsync();
        }
    }

    /// <summary>Random messages of two categories, some muted meanwhile; each device against a count of its own.</summary>
    [Fact]
    public async Task Whatever_is_sent_in_whatever_order_no_device_gets_more_of_a_category_than_its_cap_and_nothing_that_it_has_muted()
    {
        var random = new Random(17);
        var app = await service.NewReadyAppAsync();
        var users = Enumerable.Range(0, 4).Select(_ => $"cap{Guid.NewGuid():N}").ToArray();
        var devices = await Task.WhenAll(users.SelectMany(user => new[] { "fcm", "apns" }.Select(network => service.DeviceAsync(app, network, user, ["all"]))));
        var had = new Dictionary<(Guid Device, string Category), int>();
        var muted = new HashSet<(string User, string Category)>();
        for (var step = 0; step < 40; step++)
        {
            if (random.Next(4) is 0)
            {
                var user = users[random.Next(users.Length)];
                muted.RemoveWhere(one => one.User == user);
                string[] categories = random.Next(3) switch { 0 => [], 1 => ["news"], _ => ["news", "offers"] };
                categories.ToList().ForEach(category => muted.Add((user, category)));
                using var http = service.ClientOf(user);
                using var answer = await http.PutAsJsonAsync("/push/preferences", new { mutedCategories = categories });
                Assert.True(answer.IsSuccessStatusCode);
            }
            var (category, cap) = (random.Next(2) is 0 ? "news" : "offers", random.Next(1, 6));
            var chosen = devices.Where(_ => random.Next(2) is 0).DefaultIfEmpty(devices[0]).ToList();
            var message = await service.SendAsync(new
            {
                app,
                audience = $"device in ({string.Join(", ", chosen.Select(device => device.Id))})",
                content = new { title = $"{step}" },
                category,
                frequencyCap = new { count = cap, hours = 24 },
            });

            await service.CompletedAsync(message);

            foreach (var device in chosen)
            {
                var count = had.GetValueOrDefault((device.Id, category));
                var expected = muted.Contains((device.User, category)) ? "muted" : count >= cap ? "capped" : "accepted";
                Assert.Equal(expected, await service.DeliveryStateAsync(message, device.Id));
                had[(device.Id, category)] = count + (expected is "accepted" ? 1 : 0);
            }
        }
        Assert.All(devices, device => Assert.Equal(had.Where(one => one.Key.Device == device.Id).Sum(one => one.Value), Fake(device.Network).Count(device.Address)));
    }

    [Fact]
    public async Task An_urgent_message_goes_before_all_that_waits()
    {
        const int Many = 200;
        var busy = new PushService { More = [("Push:Batch", "10"), ("Push:InFlight", "5"), ("Push:TimeoutSeconds", "60")] };
        await busy.InitializeAsync();
        try
        {
            var app = await busy.NewReadyAppAsync();
            var user = $"urgent{Guid.NewGuid():N}";
            var one = await busy.DeviceAsync(app, "apns", user);
            await using (var connection = new NpgsqlConnection(busy.Database))
            {
                await connection.ExecuteAsync(
                    """
                    insert into push.registration (device_id, app_id, network, address, address_hash, host, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
                    select gen_random_uuid(), @app, 'apns', address, sha256(address::bytea), '', 'ios', '1.0.0', '', 'en', 'UTC', '{}', now(), now()
                    from generate_series(1, @Many) n, lateral (select lpad(to_hex(n), 32, '0') as address) as a
                    """, new { app, Many });
            }
            var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            busy.Apns.Otherwise = async (http, _) =>
            {
                await release.Task;
                await busy.Apns.SucceedAsync(http);
            };
            var sale = await busy.SendAsync(new { app, audience = $"!(user == {user})", content = new { title = "Sale" } });
            await Eventually.TrueAsync(() => busy.Apns.Journal.Count is 5, PushService.Patience);

            var alarm = await busy.SendAsync(new { app, audience = $"user == {user}", content = new { title = "Alarm" }, urgency = "high" });
            await busy.ExplainAsync(alarm, one.Id);
            release.SetResult();

            Assert.Equal(1, (await busy.CompletedAsync(alarm))["accepted"]);
            Assert.Equal(Many, (await busy.CompletedAsync(sale))["accepted"]);
            var order = busy.Apns.Journal.Select(pushed => pushed.Address).ToList();
            // What was claimed before it came goes first: two batches and what is claimed beside them.
            Assert.InRange(order.IndexOf(one.Address), 0, 30);
        }
        finally
        {
            await busy.DisposeAsync();
        }
    }

    private static string CollapseOf(string network, Pushed pushed)
    {
        switch (network)
        {
            case "webpush":
                return pushed.Headers["Topic"];
            case "apns":
                return pushed.Headers["apns-collapse-id"];
            default:
                // One for whichever of the networks FCM hands it on to.
                var message = Body(pushed).GetProperty("message");
                var key = message.GetProperty("android").Text("collapseKey")!;
                Assert.Equal(key, message.GetProperty("apns").GetProperty("headers").Text("apns-collapse-id"));
                Assert.Equal(key, message.GetProperty("webpush").GetProperty("headers").Text("Topic"));
                return key;
        }
    }

    private static JsonElement Body(Pushed pushed) => JsonDocument.Parse(pushed.Body).RootElement;

    private FakeNetwork Fake(string network) => network switch { "webpush" => service.Web, "fcm" => service.Fcm, _ => service.Apns };
}
