using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using MobileServices.Push.Messages;
using MobileServices.Push.Registrations;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

public sealed class AudienceTests(PushService service) : IClassFixture<PushService>
{
    private static readonly string[] Versions =
        ["0.9.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.9.9", "1.10.0", "2.0.0", "10.0.0"];

    [Fact]
    public void Versions_sort_as_the_standard_says()
    {
        var orders = Versions.Select(version => VersionOrder.Of(version)!).ToList();

        Assert.Equal(orders, orders.Order(StringComparer.Ordinal));
        Assert.Equal(orders.Count, orders.Distinct().Count());
        Assert.Equal(VersionOrder.Of("2.1"), VersionOrder.Of("2.1.0"));
        Assert.Null(VersionOrder.Of("two"));
    }

    [Theory]
    [InlineData("news &&", 8, "expected here")]
    [InlineData("(news", 6, "closing parenthesis")]
    [InlineData("news muted", 6, "operator")]
    [InlineData("colour == red", 1, "no field 'colour'")]
    [InlineData("a || user < b", 6, "== and != only")]
    [InlineData("version >= two", 12, "A version")]
    [InlineData("lastSeen > yesterday", 12, "A time")]
    [InlineData("device == 7", 11, "UUID")]
    [InlineData("user == \"ada", 9, "not closed")]
    [InlineData("user in (a, )", 13, "A value")]
    [InlineData("a & b", 3, "operator")]
    [InlineData("'; drop table push.registration; --", 1, "expected here")]
    public async Task A_bad_expression_is_refused_with_the_place_where_it_goes_wrong(string expression, int position, string why)
    {
        using var answer = await service.Http.PostAsJsonAsync("/push/audience/preview", new { app = "com.example.bad", audience = expression });

        var message = (await answer.ProblemAsync(400)).GetProperty("errors").GetProperty("audience")[0].GetString()!;
        Assert.StartsWith($"At character {position}: ", message);
        Assert.Contains(why, message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_too_long_or_too_deep_is_refused()
    {
        Assert.Throws<AudienceException>(() => Audience.Parse(new string('a', 4001), DateTimeOffset.UtcNow));
        Assert.Throws<AudienceException>(() => Audience.Parse($"{new string('(', 200)}a{new string(')', 200)}", DateTimeOffset.UtcNow));
        Assert.Equal("a", Audience.Parse($"{new string('!', 1000)}a", DateTimeOffset.UtcNow).Parameters.Get<string>("a0"));
    }

    /// <summary>A thousand expressions made by chance, each with a predicate made beside it that knows nothing of the parser.</summary>
    [Fact]
    public async Task A_thousand_random_expressions_find_whom_a_brute_force_search_finds()
    {
        var random = new Random(20261129);
        var app = service.NewApp();
        var now = new DateTimeOffset(2030, 6, 1, 12, 0, 0, TimeSpan.Zero);
        var devices = Enumerable.Range(0, 300).Select(number => new Device(
            Guid.NewGuid(),
            random.Next(4) is 0 ? null : $"user{random.Next(8)}",
            random.Next(3) is 0 ? null : $"C-00000{random.Next(5)}",
            Pick("fcm", "apns", "webpush"), Pick("android", "ios", "web"), random.Next(Versions.Length), Pick("de", "de-AT", "den", "en", "en-GB", "fr-CA"), now.AddHours(-random.Next(1000)),
            [.. new[] { "news", "muted", "vip", "a:b", "x-1" }.Where(_ => random.Next(2) is 0)])).ToList();
        await using var connection = new NpgsqlConnection(service.Database);
        await connection.OpenAsync();
        await connection.ExecuteAsync(
            """
            insert into push.registration (device_id, app_id, user_id, customer_id, network, address, address_hash, host, platform, app_version, version_order, locale, time_zone, tags, registered_at, last_seen_at)
            values (@Id, @app, @User, @Customer, @Network, @Id, sha256(@Id::text::bytea), '', @Platform, @version, @order, @Locale, 'UTC', @Tags, @LastSeen, @LastSeen)
            """,
            devices.Select(device => new
            {
                device.Id,
                app,
                device.User,
                device.Customer,
                device.Network,
                device.Platform,
                version = Versions[device.Version],
                order = VersionOrder.Of(Versions[device.Version]),
                device.Locale,
                device.Tags,
                device.LastSeen,
            }));
        var sizes = new HashSet<int>();

        for (var round = 0; round < 1000; round++)
        {
            var (text, fits) = Expression(4);
            var audience = Audience.Parse(text, now);
            audience.Parameters.Add("app", app);
            var found = await connection.QueryAsync<Guid>($"select r.device_id from push.registration r where r.app_id = @app and {audience.Sql}", audience.Parameters);
            var expected = devices.Where(fits).Select(device => device.Id).Order().ToList();
            Assert.True(expected.SequenceEqual(found.Order()), text);
            sizes.Add(expected.Count);
            if (round % 100 is 0)
            {
                // What the API counts is the same.
                using var answer = await service.Http.PostAsJsonAsync("/push/audience/preview", new { app, audience = text.Contains("lastSeen", StringComparison.Ordinal) ? "all" : text });
                var size = await answer.Content.ReadFromJsonAsync<JsonElement>();
                Assert.Equal(text.Contains("lastSeen", StringComparison.Ordinal) ? devices.Count : expected.Count, size.GetProperty("devices").GetInt32());
            }
        }
        // Neither all nothing nor all everybody.
        Assert.True(sizes.Count > 50, $"{sizes.Count} different sizes");

        string Pick(params string[] from) => from[random.Next(from.Length)];

        (string Text, Func<Device, bool> Fits) Expression(int depth)
        {
            switch (depth is 0 ? 0 : random.Next(4))
            {
                case 1:
                    var (left, fitsLeft) = Expression(depth - 1);
                    var (right, fitsRight) = Expression(depth - 1);
                    return ($"({left}) && ({right})", device => fitsLeft(device) && fitsRight(device));
                case 2:
                    var (one, fitsOne) = Expression(depth - 1);
                    var (other, fitsOther) = Expression(depth - 1);
                    // "&&" binds before "||": parentheses around the whole alone.
                    return ($"({one} || {other})", device => fitsOne(device) || fitsOther(device));
                case 3:
                    var (inner, fitsInner) = Expression(depth - 1);
                    return ($"!({inner})", device => !fitsInner(device));
                default: return Term();
            }
        }

        (string Text, Func<Device, bool> Fits) Term()
        {
            switch (random.Next(11))
            {
                case 0: return ("all", _ => true);
                case 1:
                    var user = $"user{random.Next(9)}";
                    return ($"user == {user}", device => device.User == user);
                case 2:
                    var not = $"user{random.Next(9)}";
                    return ($"user != \"{not}\"", device => device.User != not);
                case 3:
                    var (a, b) = ($"C-00000{random.Next(5)}", $"C-00000{random.Next(5)}");
                    return ($"customer in ({a}, {b})", device => device.Customer == a || device.Customer == b);
                case 4:
                    var platform = Pick("android", "ios", "web");
                    return ($"platform=={platform}", device => device.Platform == platform);
                case 5:
                    var locale = Pick("de", "DE-at", "en", "fr");
                    return ($"locale == {locale}", device => device.Locale.Equals(locale, StringComparison.OrdinalIgnoreCase) || device.Locale.StartsWith($"{locale}-", StringComparison.OrdinalIgnoreCase));
                case 6:
                    var version = random.Next(Versions.Length);
                    var comparison = Pick("==", "!=", "<", "<=", ">", ">=");
                    return ($"version {comparison} {Versions[version]}", device => Holds(device.Version.CompareTo(version), comparison));
                case 7:
                    var hours = random.Next(1000);
                    var by = Pick("<", "<=", ">", ">=");
                    return ($"lastSeen {by} -{hours.ToString(CultureInfo.InvariantCulture)}h", device => Holds(device.LastSeen.CompareTo(now.AddHours(-hours)), by));
                case 8:
                    var sought = devices[random.Next(devices.Count)].Id;
                    return ($"device == {sought}", device => device.Id == sought);
                case 9:
                    var network = Pick("fcm", "apns", "webpush", "own");
                    return ($"network != {network}", device => device.Network != network);
                default:
                    var tag = Pick("news", "muted", "vip", "a:b", "x-1", "nobody");
                    return ($"{Pick("", "tag == ", "topic == ")}{tag}", device => device.Tags.Contains(tag));
            }
        }

        static bool Holds(int sign, string comparison) => comparison switch
        {
            "==" => sign is 0,
            "!=" => sign is not 0,
            "<" => sign < 0,
            "<=" => sign <= 0,
            ">" => sign > 0,
            _ => sign >= 0,
        };
    }

    private sealed record Device(Guid Id, string? User, string? Customer, string Network, string Platform, int Version, string Locale, DateTimeOffset LastSeen, string[] Tags);
}
