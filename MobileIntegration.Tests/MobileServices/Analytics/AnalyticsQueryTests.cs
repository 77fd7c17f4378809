using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Microsoft.Extensions.DependencyInjection;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using MobileServices.Analytics.Queries;
using MobileServices.Analytics.Rollups;
using Npgsql;
using static MobileIntegration.Tests.MobileServices.Analytics.AnalyticsService;

namespace MobileIntegration.Tests.MobileServices.Analytics;

/// <summary>What the numbers say, and what they do not say of anybody.</summary>
public sealed class AnalyticsQueryTests(AnalyticsService service) : IClassFixture<AnalyticsService>
{
    private static readonly DateTimeOffset Noon = DateTimeOffset.UtcNow.UtcDateTime.Date.AddDays(-3).AddHours(12);

    [Fact]
    public async Task A_funnel_takes_steps_in_their_order_and_within_its_time()
    {
        var app = await service.NewAppAsync();
        await app.SendAsync(
        [
            // All the way, though the second step was there before the first as well.
            Track("a1", "a", "Add", Noon), Track("a2", "a", "View", Noon.AddMinutes(1)), Track("a3", "a", "Add", Noon.AddMinutes(2)), Track("a4", "a", "Buy", Noon.AddMinutes(3)), Track("a5", "a", "Add", Noon.AddMinutes(4)),
            // The wrong way round.
            Track("b1", "b", "Buy", Noon), Track("b2", "b", "View", Noon.AddMinutes(1)), Track("b3", "b", "Add", Noon.AddMinutes(2)),
            // Two days later.
            Track("c1", "c", "View", Noon), Track("c2", "c", "Add", Noon.AddDays(2)), Track("c3", "c", "Buy", Noon.AddDays(2).AddMinutes(1)),
            Track("d1", "d", "View", Noon),
        ]);
        await app.CountedAsync();

        Assert.Equal([4, 3, 2], await FunnelAsync("step=View&step=Add&step=Buy"));
        Assert.Equal([4, 2, 1], await FunnelAsync("step=View&step=Add&step=Buy&withinHours=24"));
        Assert.Equal([3, 1, 0], await FunnelAsync("step=Add&step=Add&step=Nothing"));
        using var wrong = await app.Http.GetAsync($"/analytics/apps/{app.Id}/funnel?step=View");
        Assert.Contains("two to 8 steps", (await wrong.ProblemAsync(400)).GetProperty("errors").GetProperty("step")[0].GetString(), StringComparison.Ordinal);

        async Task<List<long>> FunnelAsync(string steps) => [.. (await app.AskAsync($"funnel?{steps}")).EnumerateArray().Select(step => step.GetProperty("people").GetInt64())];
    }

    [Fact]
    public async Task A_saved_funnel_counts_entries_by_day_and_a_late_event_changes_what_was_counted_ahead()
    {
        var app = await service.NewAppAsync();
        using var saved = await app.Http.PutAsJsonAsync($"/analytics/admin/apps/{app.Id}/funnels/checkout", new { steps = new[] { "View", "screen:Basket", "Buy" }, withinHours = 24 });
        Assert.True(saved.IsSuccessStatusCode, await saved.Content.ReadAsStringAsync());
        var basket = Track("a2", "a", "", Noon.AddDays(-2).AddMinutes(1));
        (basket["type"], basket["name"]) = ("screen", "Basket");
        await app.SendAsync(
        [
            Track("a1", "a", "View", Noon.AddDays(-2)), basket, Track("a3", "a", "Buy", Noon.AddDays(-2).AddHours(23)), Track("a4", "a", "View", Noon), Track("b1", "b", "View", Noon.AddDays(-2)), Track("c1", "c", "Buy", Noon),
        ]);
        await app.CountedAsync();
        Assert.Equal([3, 1, 1], await EntriesAsync());
        await FillAsync();
        Assert.Equal([3, 1, 1], await EntriesAsync());

        var late = Track("b2", "b", "", Noon.AddDays(-1).AddHours(-2));
        (late["type"], late["name"]) = ("screen", "Basket");
        await app.SendAsync([late]);
        await app.CountedAsync();

        Assert.Equal([3, 2, 1], await EntriesAsync());
        using var unknown = await app.Http.GetAsync($"/analytics/apps/{app.Id}/funnels/other");
        await unknown.ProblemAsync(400);

        async Task FillAsync()
        {
            while (await service.One.Services.GetRequiredService<FunnelStore>().FillAsync(CancellationToken.None))
            {
            }
            await using var database = new NpgsqlConnection(service.Database);
            Assert.True(await database.ExecuteScalarAsync<int>(
                "select count(*) from analytics.funnel_day join analytics.funnel on funnel.id = funnel_id where app = (select id from analytics.app where app_id = @Id)", new { app.Id }) >= 2);
        }
        async Task<List<long>> EntriesAsync() => [.. (await app.AskAsync("funnels/checkout")).EnumerateArray().Select(step => step.GetProperty("people").GetInt64())];
    }

    [Fact]
    public async Task Retention_counts_who_came_again_and_a_late_event_moves_somebody_to_an_earlier_cohort()
    {
        var app = await service.NewAppAsync();
        await app.SendAsync([Track("1", "a", "Opened", Noon.AddDays(-2)), Track("2", "a", "Opened", Noon), Track("3", "b", "Opened", Noon.AddDays(-2)), Track("4", "c", "Opened", Noon), Track("5", "c", "Opened", Noon.AddDays(1))]);
        await app.CountedAsync();
        Assert.Equal([(-2, 2, -2, 2), (-2, 2, 0, 1), (0, 1, 0, 1), (0, 1, 1, 1)], await CohortsAsync());

        await app.SendAsync([Track("6", "c", "Opened", Noon.AddDays(-2))]);
        await app.CountedAsync();

        Assert.Equal([(-2, 3, -2, 3), (-2, 3, 0, 2), (-2, 3, 1, 1)], await CohortsAsync());

        async Task<List<(int First, long Size, int Period, long People)>> CohortsAsync() =>
        [
            .. (await app.AskAsync("retention?interval=day")).EnumerateArray().SelectMany(cohort => cohort.GetProperty("periods").EnumerateArray().Select(period => (
                Day(cohort.Text("firstOn")), cohort.GetProperty("size").GetInt64(), Day(period.Text("startsOn")), period.GetProperty("people").GetInt64()))),
        ];
        static int Day(string day) => DateOnly.Parse(day).DayNumber - DateOnly.FromDateTime(Noon.UtcDateTime).DayNumber;
    }

    [Fact]
    public async Task Groups_of_a_few_people_are_not_told_of_not_even_by_what_is_missing()
    {
        await using var careful = service.Start(("Analytics:SmallestGroup", "3"));
        var app = await service.NewAppAsync(careful);
        var number = 0;
        await app.SendAsync([.. Many("A", 6), .. Many("B", 5), .. Many("C", 4), .. Many("D", 1)]);
        await app.CountedAsync();

        // The one of D would be known by the total, so C goes with him.
        Assert.Equal([("A", 6, 6), ("B", 5, 5), ("(other)", 5, null)], await GroupsAsync("top?by=event"));
        Assert.Equal([("A", 6, 6), ("(other)", 10, null)], await GroupsAsync("top?by=event&limit=1"));
        Assert.Equal([("gold", 6, 6)], await GroupsAsync("breakdown?event=A&property=plan"));
        Assert.Empty(await GroupsAsync("breakdown?event=D&property=plan"));
        Assert.Null((await app.AskAsync("series?metric=events&by=event&value=D"))[0].GetProperty("number").GetInt64OrNull());
        Assert.Equal([6, null], (await app.AskAsync("funnel?step=A&step=D")).EnumerateArray().Select(step => step.GetProperty("people").GetInt64OrNull()));

        IEnumerable<object> Many(string name, int people) => Enumerable.Range(0, people).Select(person => Track($"{number++}", $"person-{person}", name, Noon.AddSeconds(number), properties: new { plan = "gold" }));
        async Task<List<(string, long, long?)>> GroupsAsync(string question) =>
            [.. (await app.AskAsync(question)).EnumerateArray().Select(item => (item.Text("value"), item.GetProperty("events").GetInt64(), item.GetProperty("people").GetInt64OrNull()))];
    }

    [Fact]
    public async Task Rows_are_a_file_in_which_no_name_is_a_formula()
    {
        var app = await service.NewAppAsync();
        await app.SendAsync([Track("1", "a", "=cmd|' /C calc'!A0", Noon), Track("2", "a", "Said \"yes, please\"", Noon), Track("3", "a", "Said \"yes, please\"", Noon)]);
        await app.CountedAsync();

        using var response = await app.Http.GetAsync($"/analytics/apps/{app.Id}/top?by=event&format=csv");

        Assert.Equal("text/csv", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal("value,events,people\r\n\"Said \"\"yes, please\"\"\",2,1\r\n'=cmd|' /C calc'!A0,1,1\r\n", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Security_checks_are_counted_by_name_and_verdict()
    {
        var app = await service.NewAppAsync();
        await app.SendAsync(
        [
            Track("1", "a", "Security Check", Noon, properties: new { checks = new object[] { new { name = "root", passed = true }, new { name = "debugger", passed = false } } }),
            Track("2", "b", "Security Check", Noon, properties: new { name = "root", passed = false }),
            Track("3", "c", "Security Check", Noon, properties: new { checks = "none" }),
        ]);
        await app.CountedAsync();

        Assert.Equal(["debugger: failed", "root: failed", "root: passed"], (await app.TopAsync("securityCheck")).Keys.Order().Where(key => !key.StartsWith(':')));
    }

    [Fact]
    public async Task Whoever_is_erased_is_gone_from_every_number_and_does_not_come_back_by_a_replay()
    {
        var (with, without) = (await service.NewAppAsync(), await service.NewAppAsync());
        object[] others = [Track("1", "a", "View", Noon), Track("2", "a", "Buy", Noon.AddMinutes(1)), Track("3", "b", "View", Noon.AddDays(-1)), Track("4", "b", "View", Noon)];
        object[] erased = [Track("5", "x", "View", Noon.AddDays(-2), "9.0.0"), Track("6", "x", "Buy", Noon.AddDays(-2).AddMinutes(50), user: "ada"), Track("7", "y", "View", Noon.AddDays(1), user: "ada"), Track("8", "y", "Buy", Noon.AddDays(1).AddMinutes(1))];
        await with.SendAsync([.. others, .. erased]);
        await without.SendAsync(others);
        await with.CountedAsync();

        using var export = await with.Http.PostAsJsonAsync($"/analytics/admin/apps/{with.Id}/people/export", new { userId = "ada" });
        var lines = (await export.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line)).ToList();
        Assert.Equal([("event", 4), ("person", 2), ("session", 3), ("user", 2)], lines.GroupBy(line => line.Text("kind")).Select(kind => (kind.Key, kind.Count())).Order());
        using var erasing = await with.Http.PostAsJsonAsync($"/analytics/admin/apps/{with.Id}/people/erase", new { userId = "ada" });
        Assert.Equal(4, (await erasing.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("events").GetInt64());
        await with.SendAsync(erased);
        await with.CountedAsync();

        using var again = await with.Http.PostAsJsonAsync($"/analytics/admin/apps/{with.Id}/people/export", new { userId = "ada" });
        Assert.Equal("", await again.Content.ReadAsStringAsync());
        foreach (var question in (string[])
        [
            "series?metric=activeUsers", "series?metric=activeUsers&interval=month", "series?metric=events", "top?by=event", "top?by=version", "retention?interval=day", "retention?interval=week",
            "funnel?step=View&step=Buy", "breakdown?event=View&property=plan",
        ])
        {
            Assert.Equal((question, (await without.AskAsync(question)).GetRawText()), (question, (await with.AskAsync(question)).GetRawText()));
        }
        Assert.Equal(await SumAsync(without, "sessions"), await SumAsync(with, "sessions"));
        Assert.Equal(await SumAsync(without, "sessionSeconds"), await SumAsync(with, "sessionSeconds"));
        var audit = await with.Http.GetStringAsync("/analytics/admin/audit");
        Assert.Contains("person erased", audit, StringComparison.Ordinal);

        static async Task<long> SumAsync(TestApp app, string metric) => (await app.AskAsync($"series?metric={metric}")).EnumerateArray().Sum(point => point.GetProperty("number").GetInt64());
    }

    [Fact]
    public async Task An_apps_retention_takes_its_old_events_and_leaves_totals_and_other_apps()
    {
        await using var brief = service.Start(("Analytics:MostAgeDays", "1"));
        var (app, other) = (await service.NewAppAsync(), await service.NewAppAsync());
        foreach (var one in (TestApp[])[app, other])
        {
            await one.SendAsync([Track("1", "a", "View", Noon.AddDays(-5)), Track("2", "a", "View", DateTimeOffset.UtcNow)]);
        }
        await app.CountedAsync();
        using var saved = await brief.Http.PutAsJsonAsync($"/analytics/admin/apps/{app.Id}", new { name = "brief", retentionDays = 2 });
        Assert.True(saved.IsSuccessStatusCode, await saved.Content.ReadAsStringAsync());

        await brief.Services.GetRequiredService<RetentionStore>().StepAsync(CancellationToken.None);

        await using var database = new NpgsqlConnection(service.Database);
        Assert.Equal((1, 2), (await StoredAsync(app), await StoredAsync(other)));
        Assert.Equal(2, await app.EventsAsync());
        Assert.Equal(1, (await app.TopAsync("event"))["View"]);
        Assert.Equal(2, (await other.TopAsync("event"))["View"]);

        Task<int> StoredAsync(TestApp one) => database.ExecuteScalarAsync<int>("select count(*) from analytics.event where app = (select id from analytics.app where app_id = @Id)", new { one.Id });
    }

    [Fact]
    public async Task A_day_that_nobody_keeps_is_dropped_whole_and_made_again_when_an_event_of_it_comes()
    {
        (string, string)[] own = [("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync())];
        await using var usual = service.Start(own);
        await using var brief = service.Start([.. own, ("Analytics:MostAgeDays", "1"), ("Analytics:RetentionDays", "2")]);
        var app = await service.NewAppAsync(usual);
        await app.SendAsync([Track("1", "a", "View", Noon.AddDays(-5)), Track("2", "a", "View", DateTimeOffset.UtcNow)]);
        await app.CountedAsync();

        await brief.Services.GetRequiredService<RetentionStore>().StepAsync(CancellationToken.None);

        await using var database = new NpgsqlConnection(own[0].Item2);
        var part = $"analytics.event_{Noon.AddDays(-5):yyyyMMdd}";
        Assert.Null(await database.ExecuteScalarAsync<string>("select to_regclass(@part)::text", new { part }));
        Assert.Equal(2, await app.EventsAsync());
        await app.SendAsync([Track("1", "a", "View", Noon.AddDays(-5)), Track("3", "a", "View", Noon.AddDays(-5))]);
        await app.CountedAsync();
        Assert.Equal(3, await app.EventsAsync());
        Assert.Equal(1, await database.ExecuteScalarAsync<int>($"select count(*) from {part}"));
    }

    [Fact]
    public async Task The_journey_of_a_user_joins_what_services_tell_apps_say_and_orders()
    {
        var app = await service.NewAppAsync();
        var user = $"C-{Guid.NewGuid():n}";
        await app.SendAsync([Track("1", "a", "Push Notification Tapped", Noon.AddMinutes(3), user: user)]);

        await Eventually.TrueAsync(async () =>
        {
            await TellAsync();
            return await JourneyAsync("") is [2, 1, 1, 1, 0];
        }, Patience);
        Assert.Equal([2, 1], await JourneyAsync("&step=sent&step=opened"));
        using var wrong = await app.Http.GetAsync("/analytics/journey?step=sent&step=lost");
        await wrong.ProblemAsync(400);

        // Again and again: what was told before its first start a subscriber does not have, and what it has already counts once.
        async Task TellAsync()
        {
            await using var database = new NpgsqlConnection(service.Database);
            await database.OpenAsync();
            await using var transaction = await database.BeginTransactionAsync();
            await transaction.PublishAsync(
            [
                Told(OutcomeStep.Sent, [new(user, "n-1", Noon), new("C-other", $"n-{user}", Noon)]), Told(OutcomeStep.Sent, [new(user, "n-1", Noon)]),
                Told(OutcomeStep.Delivered, [new(user, "n-1", Noon.AddMinutes(1))]), Told(OutcomeStep.Synced, [new(user, "s-1", Noon.AddMinutes(5))]),
            ], CancellationToken.None);
            await transaction.CommitAsync();
        }
        NewEvent Told(OutcomeStep step, UserOutcome[] outcomes) => NewEvent.Of(UserOutcomes.SubjectOf($"test-{Guid.NewGuid():n}"), null, DateTimeOffset.UtcNow, new UserOutcomes(step, outcomes));
        async Task<List<long>> JourneyAsync(string steps) =>
            [.. (await app.Http.GetFromJsonAsync<JsonElement>($"/analytics/journey?withinHours=24{steps}")).GetProperty("items").EnumerateArray().Select(step => step.GetProperty("people").GetInt64())];
    }

    [Fact]
    public async Task An_order_that_the_integration_tells_of_is_the_last_step_of_the_journey()
    {
        var (mobile, integration) = (await TestPostgres.CreateDatabaseAsync(), await TestPostgres.CreateDatabaseAsync());
        await using var replica = service.Start(("ConnectionStrings:mobiledb", mobile), ("ConnectionStrings:integrationdb", integration));
        await using var own = new NpgsqlConnection(mobile);
        await own.ExecuteAsync("insert into analytics.outcome (step, reference, user_id, at) values (1, 'n-1', 'C-000001', now() - interval '1 hour')");
        await using var orders = new NpgsqlConnection(integration);
        await orders.OpenAsync();

        var order = 4_500_000_000;
        await Eventually.TrueAsync(async () =>
        {
            // Those from before its first start a subscriber does not have.
            await using var transaction = await orders.BeginTransactionAsync();
            var id = $"{order++}";
            await transaction.PublishAsync([NewEvent.Of(OrderChanged.SubjectOf(id), 1, DateTimeOffset.UtcNow, new OrderChanged(id, "C-000001", OrderStatus.Open))], CancellationToken.None);
            await transaction.CommitAsync();
            var journey = await replica.Http.GetFromJsonAsync<JsonElement>("/analytics/journey?step=sent&step=ordered");
            return journey.GetProperty("items")[1].GetProperty("people").GetInt64() is 1;
        }, Patience);
    }

    [Fact]
    public async Task A_query_needs_its_scope_and_a_range_that_is_not_too_long()
    {
        var app = await service.NewAppAsync();
        using var without = await app.Http.GetAsync($"/analytics/apps/{app.Id}/series", TestAuthority.Shared.Token(Scopes.Home));
        await without.ProblemAsync(403);
        using var admin = await app.Http.GetAsync("/analytics/admin/apps", TestAuthority.Shared.Token(Scopes.Analytics));
        await admin.ProblemAsync(403);
        using var longest = await app.Http.GetAsync($"/analytics/apps/{app.Id}/series?from=2020-01-01");
        Assert.Contains("400 days", (await longest.ProblemAsync(400)).GetProperty("errors").GetProperty("from")[0].GetString(), StringComparison.Ordinal);
        using var unknown = await app.Http.GetAsync($"/analytics/apps/{app.Id}/top?by=wind");
        Assert.Contains("securityCheck", (await unknown.ProblemAsync(400)).GetProperty("errors").GetProperty("by")[0].GetString(), StringComparison.Ordinal);
        using var nowhere = await app.Http.GetAsync("/analytics/apps/com.example.nowhere/series");
        Assert.Equal(HttpStatusCode.NotFound, nowhere.StatusCode);
    }
}

internal static class JsonNumbers
{
    public static long? GetInt64OrNull(this JsonElement element) => element.ValueKind is JsonValueKind.Null ? null : element.GetInt64();
}
