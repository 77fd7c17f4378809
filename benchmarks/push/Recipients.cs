using System.Security.Cryptography;
using Npgsql;

/// <summary>What the API would have written: a credential, devices, messages.</summary>
/// <param name="address">Of the fake.</param>
internal sealed class Recipients(string network, string address, NpgsqlDataSource source)
{
    /// <summary>How many have the tag few.</summary>
    public const int Few = 2000;

    /// <summary>Of browsers: each has keys of its own, but so many are enough that no work is saved.</summary>
    private const int Keys = 1000;

    public async Task BeginAsync()
    {
        if (network is "own")
        {
            return;
        }
        using var curve = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var rsa = RSA.Create(2048);
        await using var insert = source.CreateCommand(
            "insert into push.credential (app_id, network, settings, secret, saved_at, saved_by) values ($1, $2, $3::jsonb, $4, now(), 'benchmark')");
        insert.Parameters.AddWithValue(Loop.App);
        insert.Parameters.AddWithValue(network);
        insert.Parameters.AddWithValue(network switch
        {
            "apns" => """{"keyId":"ABCDE12345","teamId":"TEAM123456","topic":"com.example.bench","sandbox":false}""",
            "fcm" => """{"projectId":"bench","clientEmail":"push@bench.example","keyId":"k1"}""",
            _ => """{"subject":"mailto:bench@example.com"}""",
        });
        insert.Parameters.AddWithValue(network is "fcm" ? rsa.ExportPkcs8PrivateKey() : curve.ExportPkcs8PrivateKey());
        await insert.ExecuteNonQueryAsync();
    }

    public async Task RegisterAsync(int from, int count)
    {
        if (network is "own")
        {
            await using var subscribe = source.CreateCommand(
                "insert into push.subscription (push_id, receive_id, created_at) select 'push' || n, 'receive' || n, now() from generate_series($1 + 1, $1 + $2) n");
            subscribe.Parameters.AddWithValue(from);
            subscribe.Parameters.AddWithValue(count);
            await subscribe.ExecuteNonQueryAsync();
        }
        var browsers = network is "webpush" ? Enumerable.Range(0, Keys).Select(_ => Loop.Browser()).ToArray() : [];
        await using var insert = source.CreateCommand(
            """
            insert into push.registration (device_id, app_id, network, address, address_hash, host, p256dh, auth, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
            select gen_random_uuid(), $1, $2, a.address, sha256(a.address::bytea), $3, ($4)[1 + n % $5], ($6)[1 + n % $5], 'ios', '1.0.0', '', 'en', 'UTC',
                   array['news'] || case when n <= $7 then array['few'] else '{}' end || case when n <= $8 then array['tenth'] else '{}' end, now(), now()
            from generate_series($9 + 1, $9 + $10) n, lateral (select $11 || case when $2 = 'own' then n::text else lpad(to_hex(n), 64, '0') end as address) as a
            """);
        insert.CommandTimeout = 600;
        insert.Parameters.AddWithValue(Loop.App);
        insert.Parameters.AddWithValue(network);
        insert.Parameters.AddWithValue(network is "webpush" ? address : "");
        insert.Parameters.AddWithValue(browsers.Select(browser => browser.P256dh).ToArray());
        insert.Parameters.AddWithValue(Keys);
        insert.Parameters.AddWithValue(browsers.Select(browser => browser.Auth).ToArray());
        insert.Parameters.AddWithValue(Few);
        insert.Parameters.AddWithValue(from is 0 ? count / 10 : 0);
        insert.Parameters.AddWithValue(from);
        insert.Parameters.AddWithValue(count);
        insert.Parameters.AddWithValue(network switch { "webpush" => $"{address}/push/", "own" => $"{address}/push/endpoint/push", _ => "" });
        await insert.ExecuteNonQueryAsync();
        await using var analyze = source.CreateCommand("analyze push.registration");
        await analyze.ExecuteNonQueryAsync();
    }

    public async Task SendAsync(Guid id, string audience)
    {
        await using var insert = source.CreateCommand(
            """
            insert into push.message (id, app_id, sender, audience, content, urgency, silent, ttl_seconds, send_at, expires_at, state, created_at)
            values ($1, $2, 'benchmark', $3, jsonb_build_object('title', $4, 'body', $5), 'normal', false, 86400, now(), now() + interval '1 day', 'scheduled', now())
            """);
        insert.Parameters.AddWithValue(id);
        insert.Parameters.AddWithValue(Loop.App);
        insert.Parameters.AddWithValue(audience);
        insert.Parameters.AddWithValue(Loop.Title);
        insert.Parameters.AddWithValue(Loop.Text);
        await insert.ExecuteNonQueryAsync();
        await using var notify = source.CreateCommand("notify push_due");
        await notify.ExecuteNonQueryAsync();
    }
}
