using System.Diagnostics;
using System.Text.Json.Nodes;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>The feed of changes: nothing is ever left out, and whoever waits is woken.</summary>
public sealed class ChangesTests(SyncService service) : IClassFixture<SyncService>
{
    private readonly string _user = service.NewUser();

    [Fact]
    public async Task No_reader_ever_misses_a_change_that_fifty_writers_make()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("gaps");
        const int Writers = 50;
        const int Each = 12;
        using var readers = new CancellationTokenSource();
        var reading = Enumerable.Range(0, 20).Select(n => Task.Run(() => ReadAsync(n))).ToList();

        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            // Half of them at the other replica, whose transactions interleave with these.
            using var own = service.ClientOf(_user, writer % 2 is 0 ? service.One.Address : service.Other.Address);
            for (var n = 0; n < Each; n++)
            {
                await own.PutAsync($"gaps/w{writer}-{n}", $$"""{"n":{{n}}}""");
            }
        })));

        foreach (var seen in await Task.WhenAll(reading))
        {
            Assert.Equal(Writers * Each, seen.Count);
        }

        async Task<HashSet<string>> ReadAsync(int reader)
        {
            using var own = service.ClientOf(_user, reader % 2 is 0 ? service.One.Address : service.Other.Address);
            var seen = new HashSet<string>();
            var since = "0";
            var patience = Stopwatch.StartNew();
            while (seen.Count < Writers * Each && patience.Elapsed < TimeSpan.FromSeconds(120))
            {
                var page = await own.GetAsync($"gaps/_changes?since={since}&limit=25{(reader % 3 is 0 ? "&feed=longpoll&timeout=2000" : "")}");
                foreach (var row in page["results"]!.AsArray())
                {
                    // Each document is written once, so one that comes twice would be an error of the order as well.
                    Assert.True(seen.Add((string)row!["id"]!), $"{row["id"]} came twice.");
                }
                since = (string)page["last_seq"]!;
            }
            return seen;
        }
    }

    [Fact]
    public async Task A_client_that_has_its_changes_is_told_to_the_journey_of_its_user_once()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("journey");
        await client.PutAsync("journey/a", "{}");
        var last = (string)(await client.GetAsync("journey/_changes"))["last_seq"]!;
        await client.GetAsync("journey/_changes?since=now");
        for (var n = 0; n < 3; n++)
        {
            await client.GetAsync($"journey/_changes?since={last}");
        }

        await using var connection = new NpgsqlConnection(service.Database);
        await Eventually.TrueAsync(async () => (await ToldAsync()).Count > 0, TimeSpan.FromSeconds(30));
        await client.PutAsync("journey/b", "{}");
        last = (string)(await client.GetAsync($"journey/_changes?since={last}"))["last_seq"]!;
        await client.GetAsync($"journey/_changes?since={last}");
        await Eventually.TrueAsync(async () => (await ToldAsync()).Count > 1, TimeSpan.FromSeconds(30));
        Assert.Equal([$"{_user}:1", $"{_user}:2"], (await ToldAsync()).Select(reference => reference[(reference.IndexOf(_user, StringComparison.Ordinal))..]));

        async Task<List<string>> ToldAsync() => (await connection.QueryAsync<string>(
            """
            select outcome ->> 'reference' from events.event, jsonb_array_elements(data -> 'outcomes') as outcome
            where type = 'UserOutcomes' and data ->> 'step' = 'synced' and outcome ->> 'userId' = @user order by number
            """, new { user = _user })).ToList();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_feed_that_waits_is_woken_by_a_write_at_any_replica(bool atTheSame)
    {
        using var client = service.ClientOf(_user);
        using var writer = service.ClientOf(_user, atTheSame ? service.One.Address : service.Other.Address);
        await client.PutAsync("woken");
        using var response = await client.Http.GetAsync("woken/_changes?feed=continuous&heartbeat=2000", HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());

        for (var n = 0; n < 3; n++)
        {
            await writer.PutAsync($"woken/d{n}", "{}");
            // It would look by itself after an hour.
            Assert.Equal($"d{n}", (string)(await RowAsync(lines))["id"]!);
        }
    }

    [Fact]
    public async Task Five_hundred_open_feeds_hold_no_connection_to_the_database_and_all_are_woken()
    {
        const int Feeds = 500;
        await using var replica = service.Start(("ConnectionStrings:mobiledb", $"{service.Database};Maximum Pool Size=4;Application Name={_user}"));
        using var client = service.ClientOf(_user, replica.Address);
        await client.PutAsync("many");
        var feeds = new List<(HttpResponseMessage Response, StreamReader Lines)>();
        try
        {
            for (var n = 0; n < Feeds; n++)
            {
                var response = await client.Http.GetAsync($"many/_changes?feed={(n % 2 is 0 ? "continuous" : "eventsource")}&heartbeat=15000", HttpCompletionOption.ResponseHeadersRead);
                feeds.Add((response, new(await response.Content.ReadAsStreamAsync())));
            }
            // Two pools, and the one that listens.
            Assert.InRange(await service.CountAsync("select count(*) from pg_stat_activity where application_name = $1", _user), 1, 9);
            await Eventually.TrueAsync(
                async () => await service.CountAsync("select count(*) from pg_stat_activity where application_name = $1 and state <> 'idle'", _user) is 0, TimeSpan.FromSeconds(30));
            await client.PutAsync("many/news", "{}");
            await Task.WhenAll(feeds.Select(async feed => Assert.Contains("\"news\"", await NewsAsync(feed.Lines), StringComparison.Ordinal)));
            Assert.InRange(await service.CountAsync("select count(*) from pg_stat_activity where application_name = $1", _user), 1, 9);
        }
        finally
        {
            feeds.ForEach(feed => feed.Response.Dispose());
        }

        static async Task<string> NewsAsync(StreamReader lines)
        {
            while (true)
            {
                var line = await lines.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60));
                Assert.NotNull(line);
                if (line.Contains('{', StringComparison.Ordinal))
                {
                    return line;
                }
            }
        }
    }

    [Fact]
    public async Task Feeds_come_through_the_gateway_with_heartbeats_and_as_events()
    {
        using var client = service.ClientOf(_user, service.Gateway.Address);
        await client.PutAsync("events");
        using var request = new HttpRequestMessage(HttpMethod.Get, "events/_changes?feed=eventsource&heartbeat=200&include_docs=true");
        using var response = await client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Equal("event: heartbeat", await LineAsync(lines, "event"));

        await client.PutAsync("events/one", """{"a":1}""");
        var data = JsonNode.Parse((await LineAsync(lines, "data: {"))["data: ".Length..])!;
        Assert.Equal(("one", 1), ((string)data["id"]!, (int)data["doc"]!["a"]!));
        var id = (await LineAsync(lines, "id: "))["id: ".Length..];

        await client.PutAsync("events/two", "{}");
        using var again = new HttpRequestMessage(HttpMethod.Get, "events/_changes?feed=eventsource");
        again.Headers.Add("Last-Event-ID", id);
        using var more = await client.Http.SendAsync(again, HttpCompletionOption.ResponseHeadersRead);
        using var rest = new StreamReader(await more.Content.ReadAsStreamAsync());
        Assert.Contains("\"two\"", await LineAsync(rest, "data: {"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_source_goes_on_after_its_last_event_whatever_its_address_says()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("break");
        await client.PutAsync("break/seen", "{}");
        var last = (string)(await client.GetAsync("break"))["update_seq"]!;
        await client.PutAsync("break/meanwhile", "{}");
        using var request = new HttpRequestMessage(HttpMethod.Get, "break/_changes?feed=eventsource&since=now");
        request.Headers.Add("Last-Event-ID", last);
        using var response = await client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await client.PutAsync("break/after", "{}");
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Contains("\"meanwhile\"", await LineAsync(lines, "data: {"), StringComparison.Ordinal);
        Assert.Contains("\"after\"", await LineAsync(lines, "data: {"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_long_poll_answers_at_once_with_what_is_there_and_empty_when_its_time_is_over()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("poll");
        await client.PutAsync("poll/a", "{}");
        var first = await client.GetAsync("poll/_changes?feed=longpoll");
        Assert.Single(first["results"]!.AsArray());
        var empty = await client.GetAsync($"poll/_changes?feed=longpoll&timeout=100&since={first["last_seq"]}");
        Assert.Empty(empty["results"]!.AsArray());
        Assert.Equal((string)first["last_seq"]!, (string)empty["last_seq"]!);
        var now = await client.GetAsync("poll/_changes?since=now");
        Assert.Empty(now["results"]!.AsArray());
    }

    [Fact]
    public async Task Options_choose_what_is_told()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("options");
        await client.PostAsync("options/_bulk_docs", """
            {"new_edits":false,"docs":[
              {"_id":"a","_rev":"1-aa","x":1},{"_id":"a","_rev":"1-bb","x":2},{"_id":"a","_rev":"1-cc","_deleted":true},
              {"_id":"b","_rev":"1-aa"},{"_id":"_design/d","_rev":"1-aa"},{"_id":"c","_rev":"1-aa","_deleted":true}]}
            """, 201);

        var main = await RowsAsync("");
        Assert.Equal(["a", "b", "_design/d", "c"], main.Select(Id));
        Assert.Equal("1-bb", (string)Assert.Single(main[0]["changes"]!.AsArray())!["rev"]!);
        Assert.True((bool)main[3]["deleted"]!);
        Assert.Equal(["1-bb", "1-aa", "1-cc"], (await RowsAsync("style=all_docs"))[0]["changes"]!.AsArray().Select(change => (string)change!["rev"]!));
        Assert.Equal("1-aa", (string)(await RowsAsync("include_docs=true&conflicts=true"))[0]["doc"]!["_conflicts"]![0]!);
        Assert.Equal(["c", "_design/d"], (await RowsAsync("descending=true&limit=2")).Select(Id));
        Assert.Equal(["_design/d"], (await RowsAsync("filter=_design")).Select(Id));
        var some = await client.PostAsync("options/_changes?filter=_doc_ids", """{"doc_ids":["b","none"]}""");
        Assert.Equal(["b"], some["results"]!.AsArray().Select(row => (string)row!["id"]!));
        Assert.StartsWith("4-", (string)some["last_seq"]!, StringComparison.Ordinal);
        Assert.Equal([null, "2", null, "4"], (await RowsAsync("seq_interval=2")).Select(row => ((string?)row["seq"])?.Split('-')[0]));
        var page = await client.GetAsync("options/_changes?limit=1");
        Assert.Equal(3, (int)page["pending"]!);

        async Task<List<JsonNode>> RowsAsync(string query) => [.. (await client.GetAsync($"options/_changes?{query}"))["results"]!.AsArray().Select(row => row!)];
        static string Id(JsonNode row) => (string)row["id"]!;
    }

    /// <summary>A client that holds documents of the database that was before would keep them for ever.</summary>
    [Fact]
    public async Task A_sequence_of_a_deleted_database_means_nothing_in_its_successor()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("again");
        await client.PutAsync("again/a", "{}");
        await client.PutAsync("again/b", "{}");
        var since = (string)(await client.GetAsync("again"))["update_seq"]!;
        await client.DeleteAsync("again");
        await client.PutAsync("again");
        await client.PutAsync("again/c", "{}");
        Assert.Single((await client.GetAsync($"again/_changes?since={since}"))["results"]!.AsArray());
    }

    private static async Task<JsonNode> RowAsync(StreamReader lines) => JsonNode.Parse(await LineAsync(lines, "{"))!;

    private static async Task<string> LineAsync(StreamReader lines, string start)
    {
        while (true)
        {
            var line = await lines.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60));
            Assert.NotNull(line);
            if (line.StartsWith(start, StringComparison.Ordinal))
            {
                return line;
            }
        }
    }
}
