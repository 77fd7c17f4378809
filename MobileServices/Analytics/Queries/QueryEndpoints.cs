using MobileServices.Analytics.Journey;

namespace MobileServices.Analytics.Queries;

/// <summary>Days are days in UTC. <c>format=csv</c>, or <c>Accept: text/csv</c>, gets the rows as a file.</summary>
internal static class QueryEndpoints
{
    private const int MostGroups = 100;
    private const int MostValues = 10_000;
    private const int MostSteps = 8;
    private const int MostRawDays = 31;

    public static void MapQueries(this RouteGroupBuilder queries)
    {
        queries.MapGet("/series", SeriesAsync).WithSummary("A metric over time: activeUsers, events, sessions, sessionSeconds; or the events and people of one value (by, value)").Answers<SeriesAnswer>();
        queries.MapGet("/top", TopAsync).WithSummary("The values of a dimension with most events: event, screen, version, platform, osVersion, model, locale, network, securityCheck").Answers<GroupsAnswer>();
        queries.MapGet("/breakdown", BreakdownAsync).WithSummary("The values of one property of an event, 31 days at most").Answers<GroupsAnswer>();
        queries.MapGet("/retention", RetentionAsync).WithSummary("Of those who came first in a day, week or month, how many came again").Answers<RetentionAnswer>();
        queries.MapGet("/funnel", FunnelAsync).WithSummary("How many people took steps in order: step=Name of an event, or step=screen:Name, two to eight times").Answers<FunnelAnswer>();
        queries.MapGet("/funnels/{name}", SavedFunnelAsync).WithSummary("A saved funnel: how often it was entered, once a person and day, and how many of these entries took each step").Answers<FunnelAnswer>();
    }

    public static void MapJourney(this RouteGroupBuilder queries) =>
        queries.MapGet("/journey", JourneyAsync).WithSummary("Of the users to whom a push was sent, how many it reached, who opened it, synced and ordered").Answers<FunnelAnswer>();

    private static Task<IResult> SeriesAsync(string app, string? metric, string? interval, string? by, string? value, string? from, string? to, QueryServices services, HttpContext http, CancellationToken ct) =>
        services.AnswerAsync(app, from, to, http, async (query, range) =>
        {
            var grain = query.Grain(interval);
            var wanted = query.Pick<Metric>(metric ?? "activeUsers", "metric");
            var dimension = by is null ? null : query.Pick<Dimension>(by, "by");
            query.Check((by is null) == (value is null), "value", "Send by and value together, such as by=version&value=2.1.0, or neither.");
            query.Check(by is null || wanted is Metric.ActiveUsers or Metric.Events, "metric", "Of one value there are activeUsers and events.");
            if (query.IsWrong)
            {
                return null;
            }
            var points = dimension is null
                ? (await services.Store.TotalsAsync(query.App, wanted!.Value, grain, range, ct)).Select(point => new SeriesPoint(point.Day, point.Number))
                : (await services.Store.ValueAsync(query.App, dimension.Value, value!, grain, range, ct)).Select(group => new SeriesPoint(
                    group.Value, Anonymity.People(group.People, services.Smallest) is null ? null : wanted is Metric.Events ? group.Events : group.People));
            SeriesAnswer answer = new([.. points]);
            return (answer, Csv.Of(["day", "number"], answer.Items.Select(point => new object?[] { point.Day, point.Number })));
        }, ct);

    private static Task<IResult> TopAsync(string app, string? by, int? limit, string? from, string? to, QueryServices services, HttpContext http, CancellationToken ct) =>
        services.AnswerAsync(app, from, to, http, async (query, range) =>
        {
            var dimension = query.Pick<Dimension>(by ?? "event", "by");
            var most = query.Limit(limit, MostGroups);
            return query.IsWrong ? null : Groups(await services.Store.GroupsAsync(query.App, dimension!.Value, range, MostValues, ct), most, services);
        }, ct);

    private static Task<IResult> BreakdownAsync(string app, string? @event, string? property, int? limit, string? from, string? to, QueryServices services, HttpContext http, CancellationToken ct) =>
        services.AnswerAsync(app, from, to, http, async (query, range) =>
        {
            var most = query.Limit(limit, MostGroups);
            query.Check(@event is { Length: > 0 and <= 200 }, "event", "Is missing. Send the name of an event.");
            query.Check(property is { Length: > 0 and <= 200 }, "property", "Is missing. Send the name of a property of the event.");
            query.Check(range.To.DayNumber - range.From.DayNumber < MostRawDays, "from", $"Must be at most {MostRawDays} days before 'to': this reads events.");
            return query.IsWrong ? null : Groups(await services.Store.PropertyAsync(query.App, @event!, property!, range, MostValues, ct), most, services);
        }, ct);

    private static Task<IResult> RetentionAsync(string app, string? interval, string? from, string? to, QueryServices services, HttpContext http, CancellationToken ct) =>
        services.AnswerAsync(app, from, to, http, async (query, range) =>
        {
            var grain = query.Grain(interval);
            if (query.IsWrong)
            {
                return null;
            }
            var cells = await services.Store.CohortsAsync(query.App, grain, range, ct);
            RetentionAnswer answer = new(
            [
                .. cells.GroupBy(cell => cell.FirstOn).Select(cohort => (cohort, size: cohort.FirstOrDefault(cell => cell.StartsOn == cohort.Key)?.People ?? 0))
                    .Where(one => one.size >= services.Smallest)
                    .Select(one => new Cohort(one.cohort.Key, one.size, [.. one.cohort.Select(cell => new CohortPeriod(cell.StartsOn, Anonymity.People(cell.People, services.Smallest)))])),
            ]);
            return (answer, Csv.Of(["cohort", "size", "period", "people"], answer.Items.SelectMany(one => one.Periods.Select(period => new object?[] { one.FirstOn, one.Size, period.StartsOn, period.People }))));
        }, ct);

    private static Task<IResult> FunnelAsync(string app, string[] step, int? withinHours, string? from, string? to, QueryServices services, HttpContext http, CancellationToken ct) =>
        services.AnswerAsync(app, from, to, http, async (query, range) =>
        {
            query.Check(step.Length is >= 2 and <= MostSteps, "step", $"Send two to {MostSteps} steps, such as step=Product Added&step=Order Completed.");
            query.Check(withinHours is null or (>= 1 and <= 8760), "withinHours", "Must be from 1 to 8760.");
            if (query.IsWrong)
            {
                return null;
            }
            return Funnel(step, await services.Store.FunnelAsync(query.App, new(step, withinHours), range, range.To, ct), services);
        }, ct);

    private static Task<IResult> SavedFunnelAsync(string app, string name, string? from, string? to, QueryServices services, FunnelStore funnels, HttpContext http, CancellationToken ct) =>
        services.AnswerAsync(app, from, to, http, async (query, range) =>
        {
            var funnel = await funnels.FindAsync(query.App, name, ct);
            query.Check(funnel is not null, "name", $"There is no funnel of this name. Save it with PUT /analytics/admin/apps/{app}/funnels/{name}.");
            if (query.IsWrong)
            {
                return null;
            }
            var days = await funnels.CountAsync(funnel!, range, ct);
            // Somebody who enters on two days is two entries, so only a day tells how many people there are at least.
            FunnelAnswer answer = new([.. funnel!.Steps.Select((step, index) => new FunnelStep(step, days.Max(day => (long?)day[index]) is { } most && most > 0 && most < services.Smallest ? null : days.Sum(day => day[index])))]);
            return (answer, Csv.Of(["step", "entries"], answer.Items.Select(item => new object?[] { item.Step, item.People })));
        }, ct);

    private static Task<IResult> JourneyAsync(string[] step, int? withinHours, string? from, string? to, QueryServices services, HttpContext http, CancellationToken ct) =>
        services.AnswerAsync(null, from, to, http, async (query, range) =>
        {
            var names = step.Length is 0 ? JourneySteps.All : step;
            var steps = names.Select(JourneySteps.NumberOf).ToList();
            query.Check(steps.Count >= 2 && !steps.Contains(0), "step", $"Send at least two of {string.Join(", ", JourneySteps.All)}, or none for all of them.");
            query.Check(withinHours is null or (>= 1 and <= 8760), "withinHours", "Must be from 1 to 8760.");
            return query.IsWrong ? null : Funnel(names, await services.Store.JourneyAsync(steps, withinHours ?? 168, range, ct), services);
        }, ct);

    private static (object, Csv)? Groups(IReadOnlyList<Group> groups, int most, QueryServices services)
    {
        GroupsAnswer answer = new([.. Anonymity.Fold(groups, services.Smallest, most).Select(group => new GroupItem(group.Value, group.Events, group.People < 0 ? null : group.People))]);
        return (answer, Csv.Of(["value", "events", "people"], answer.Items.Select(item => new object?[] { item.Value, item.Events, item.People })));
    }

    private static (object, Csv)? Funnel(IReadOnlyList<string> names, IReadOnlyList<long> people, QueryServices services)
    {
        FunnelAnswer answer = new([.. names.Select((name, index) => new FunnelStep(name, Anonymity.People(people[index], services.Smallest)))]);
        return (answer, Csv.Of(["step", "people"], answer.Items.Select(item => new object?[] { item.Step, item.People })));
    }

    private static void Answers<T>(this RouteHandlerBuilder endpoint) => endpoint
        .Produces<T>().Produces(StatusCodes.Status200OK, contentType: "text/csv").ProducesValidationProblem().ProducesProblem(StatusCodes.Status404NotFound).ProducesProblem(StatusCodes.Status503ServiceUnavailable);
}

/// <param name="Number">Null for a group of people that is too small to be told of.</param>
internal sealed record SeriesPoint(string Day, long? Number);

internal sealed record SeriesAnswer(IReadOnlyList<SeriesPoint> Items);

/// <param name="Value">"(other)" is all that is too small to be told of, and what is beyond the limit.</param>
/// <param name="People">Null for "(other)".</param>
internal sealed record GroupItem(string Value, long Events, long? People);

internal sealed record GroupsAnswer(IReadOnlyList<GroupItem> Items);

/// <param name="People">Null when there are too few to be told of.</param>
internal sealed record CohortPeriod(string StartsOn, long? People);

/// <param name="FirstOn">The first day of the period in which they came first.</param>
internal sealed record Cohort(string FirstOn, long Size, IReadOnlyList<CohortPeriod> Periods);

internal sealed record RetentionAnswer(IReadOnlyList<Cohort> Items);

/// <param name="People">Null when there are too few to be told of.</param>
internal sealed record FunnelStep(string Step, long? People);

internal sealed record FunnelAnswer(IReadOnlyList<FunnelStep> Items);
