using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using Dapper;
using Microsoft.Extensions.DependencyInjection;
using MobileServices.Analytics.Queries;
using Npgsql;
using static MobileIntegration.Tests.MobileServices.Analytics.AnalyticsService;

namespace MobileIntegration.Tests.MobileServices.Analytics;

/// <summary>The numbers are those of what happened, whatever the network did to the messages.</summary>
public sealed class AnalyticsCountTests(AnalyticsService service) : IClassFixture<AnalyticsService>
{
    private static readonly string[] Questions =
    [
        "series?metric=activeUsers&interval=day", "series?metric=activeUsers&interval=week", "series?metric=activeUsers&interval=month", "series?metric=events", "series?metric=sessions",
        "series?metric=sessions&interval=week", "top?by=event&limit=100", "top?by=screen&limit=100", "top?by=version", "top?by=osVersion", "series?metric=activeUsers&by=version&value=1.0.1",
        "retention?interval=day", "retention?interval=week", "retention?interval=month", "funnel?step=View&step=Add&step=Buy", "funnel?step=View&step=Add&step=Buy&withinHours=24",
        "funnel?step=Add&step=Add", "funnels/checkout", "breakdown?event=Buy&property=plan",
    ];

    /// <summary>Ten days of a few people; the other app has each message three times, in any order, over two replicas, from devices whose clocks are off by up to two days.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Batches_replayed_three_times_out_of_order_by_devices_with_wrong_clocks_give_the_numbers_of_the_clean_run(int seed)
    {
        var (clean, network) = (await service.NewAppAsync(), await service.NewAppAsync(service.Other));
        var random = new Random(seed);
        var devices = Enumerable.Range(0, 12).Select(number => (Name: $"device-{number}", Skew: TimeSpan.FromMinutes(random.Next(-2880, 2881)), Days: Days(random, number))).ToList();

        foreach (var app in (TestApp[])[clean, network])
        {
            using var saved = await app.Http.PutAsJsonAsync($"/analytics/admin/apps/{app.Id}/funnels/checkout", new { steps = new[] { "View", "Add", "Buy" }, withinHours = 30 });
            Assert.True(saved.IsSuccessStatusCode, await saved.Content.ReadAsStringAsync());
        }
        var funnels = service.One.Services.GetRequiredService<FunnelStore>();
        foreach (var device in devices)
        {
            foreach (var batch in device.Days)
            {
                await clean.SendAsync(batch.Select(one => one.By(device.Name, default)));
            }
        }
        var replays = devices.SelectMany(device => Enumerable.Repeat(device.Days.Select(batch => (device, batch)), 3)).SelectMany(batches => batches).OrderBy(_ => random.Next()).ToList();
        var other = network with { Http = service.One.Http };
        await Parallel.ForEachAsync(replays.Select((replay, index) => (replay, index)), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (one, _) =>
        {
            var (device, batch) = one.replay;
            await (one.index % 2 is 0 ? network : other).SendAsync(batch.Select(message => message.By(device.Name, device.Skew)).Reverse(), device.Skew);
            if (one.index % 8 is 0)
            {
                // Days that are counted ahead while more is still to come for them.
                await funnels.FillAsync(CancellationToken.None);
            }
        });
        await clean.CountedAsync();

        Assert.Equal(devices.Sum(device => device.Days.Sum(batch => batch.Count)), await clean.EventsAsync());
        foreach (var question in Questions)
        {
            var expected = (await clean.AskAsync(question)).GetRawText();
            Assert.True(expected.Length > 2, question);
            Assert.Equal((question, expected), (question, (await network.AskAsync(question)).GetRawText()));
        }
    }

    [Fact]
    public async Task Sessions_end_after_half_an_hour_and_a_late_event_joins_two()
    {
        var app = await service.NewAppAsync();
        var noon = DateTimeOffset.UtcNow.UtcDateTime.Date.AddDays(-3).AddHours(12);
        await app.SendAsync([Track("1", "a", "Opened", noon), Track("2", "a", "Opened", noon.AddMinutes(29)), Track("3", "a", "Opened", noon.AddMinutes(80)), Track("4", "b", "Opened", noon.AddMinutes(55))]);
        await app.CountedAsync();
        Assert.Equal([3], await NumbersAsync("series?metric=sessions"));

        await app.SendAsync([Track("5", "a", "Opened", noon.AddMinutes(55))]);
        await app.CountedAsync();

        Assert.Equal([2], await NumbersAsync("series?metric=sessions"));
        Assert.InRange((await NumbersAsync("series?metric=sessionSeconds"))[0], 80 * 60 - 30, 80 * 60 + 30);

        async Task<List<long>> NumbersAsync(string question) => [.. (await app.AskAsync(question)).EnumerateArray().Select(point => point.GetProperty("number").GetInt64())];
    }

    [Fact]
    public async Task Every_acknowledged_event_is_counted_once_after_the_service_was_killed_in_the_middle()
    {
        var app = await service.NewAppAsync();
        var now = DateTimeOffset.UtcNow;
        var batches = Enumerable.Range(0, 150).Select(batch => Enumerable.Range(0, 40).Select(number => Track($"{batch}-{number}", $"person-{number}", "Opened", now.AddMinutes(-number))).ToList()).ToList();
        var acknowledged = new ConcurrentDictionary<int, bool>();
        var port = TestServices.FreePort();
        using var process = Start(port);
        using var http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{port}") };
        await ReadyAsync(http);

        var sending = Parallel.ForEachAsync(Enumerable.Range(0, batches.Count), new ParallelOptions { MaxDegreeOfParallelism = 6 }, async (batch, _) =>
        {
            try
            {
                using var response = await app.PostAsync("/v1/batch", new { batch = batches[batch], sentAt = DateTimeOffset.UtcNow }, http);
                if (response.StatusCode is HttpStatusCode.OK)
                {
                    acknowledged[batch] = true;
                }
            }
            catch (HttpRequestException)
            {
                // It was killed.
            }
        });
        await Eventually.TrueAsync(() => acknowledged.Count >= 30, Patience);
        process.Kill();
        await process.WaitForExitAsync();
        await sending;

        Assert.InRange(acknowledged.Count, 30, batches.Count - 1);
        await app.CountedAsync();
        await using (var connection = new NpgsqlConnection(service.Database))
        {
            var stored = await connection.ExecuteScalarAsync<long>("select count(distinct message_id) from analytics.event where app = (select id from analytics.app where app_id = @Id)", new { app.Id });
            Assert.True(stored >= acknowledged.Count * 40, $"{acknowledged.Count} batches were acknowledged, {stored} events are there.");
        }
        // Apps send again what was not acknowledged, and some of what was.
        await Parallel.ForEachAsync(Enumerable.Range(0, batches.Count).Where(batch => batch % 3 is 0 || !acknowledged.ContainsKey(batch)), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (batch, _) => await app.SendAsync(batches[batch]));
        await app.CountedAsync();
        Assert.Equal(batches.Count * 40, await app.EventsAsync());
        Assert.Equal(batches.Count * 40, (await app.TopAsync("event"))["Opened"]);
    }

    [Fact]
    public async Task Two_replicas_that_get_the_same_batch_at_the_same_time_count_it_once()
    {
        var app = await service.NewAppAsync();
        var batch = Enumerable.Range(0, 100).Select(number => Track($"{number}", $"person-{number % 7}", "Opened", DateTimeOffset.UtcNow)).ToList();

        await Task.WhenAll(Enumerable.Range(0, 8).Select(number => (number % 2 is 0 ? app : app with { Http = service.Other.Http }).SendAsync(batch)));

        await app.CountedAsync();
        Assert.Equal(100, await app.EventsAsync());
        Assert.Equal(7, Assert.Single((await app.AskAsync("series?metric=activeUsers")).EnumerateArray()).GetProperty("number").GetInt64());
    }

    /// <summary>Some days of a device, each a batch. Nothing is near midnight or near the end of a session, since when it is received moves it by seconds.</summary>
    private static List<List<Message>> Days(Random random, int device)
    {
        List<List<Message>> days = [];
        var first = DateTimeOffset.UtcNow.UtcDateTime.Date;
        for (var day = 10; day >= 1; day--)
        {
            if (random.Next(3) is 0 && day is not 5)
            {
                continue;
            }
            List<Message> batch = [];
            var minute = random.Next(30, 300);
            while (minute < 1380)
            {
                var name = batch.Count % 4 is 3 ? "screen:Basket" : (string[])["View", "Add", "Buy", "View"] is var names ? names[random.Next(4)] : "";
                batch.Add(new($"{device}-{day}-{batch.Count}", name, first.AddDays(-day).AddMinutes(minute), $"1.0.{random.Next(3)}", random.Next(2) is 0 ? "gold" : "free"));
                minute += random.Next(4) is 0 ? random.Next(40, 400) : random.Next(2, 25);
            }
            days.Add(batch);
        }
        return days;
    }

    private System.Diagnostics.Process Start(int port)
    {
        var process = TestServices.StartProcess("MobileServices", ("Run", "analytics"), ("ConnectionStrings__mobiledb", service.Database), ("ASPNETCORE_URLS", $"http://127.0.0.1:{port}"));
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static Task ReadyAsync(HttpClient http) => Eventually.TrueAsync(async () =>
    {
        try
        {
            using var health = await http.GetAsync("/health");
            return health.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }, Patience);

    private sealed record Message(string Id, string Name, DateTimeOffset At, string Version, string Plan)
    {
        public Dictionary<string, object?> By(string device, TimeSpan skew)
        {
            var message = Track(Id, device, Name, At + skew, Version, new { plan = Plan });
            if (Name.StartsWith("screen:", StringComparison.Ordinal))
            {
                (message["type"], message["name"]) = ("screen", Name["screen:".Length..]);
            }
            return message;
        }
    }
}
