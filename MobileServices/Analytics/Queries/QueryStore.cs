using System.Data.Common;
using Dapper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileServices.Analytics.Queries;

/// <summary>Answers from the rollups, but for breakdowns by a property, which read events. A query that takes too long is given up by the database.</summary>
internal sealed class QueryStore(NpgsqlDataSource database, IOptions<AnalyticsOptions> options)
{
    /// <summary>The totals of all events and people of an app.</summary>
    /// <param name="grain">0 days, 1 weeks, 2 months.</param>
    public Task<IReadOnlyList<Point>> TotalsAsync(int app, Metric metric, int grain, QueryRange range, CancellationToken ct) => ListAsync<Point>(
        metric switch
        {
            Metric.ActiveUsers => "select starts_on::text as Day, people as Number from analytics.active where app = @app and grain = @grain and starts_on between analytics.period_of(@grain::smallint, @from::date) and @to::date order by starts_on",
            Metric.Events => "select analytics.period_of(@grain::smallint, starts_on)::text as Day, sum(events)::bigint as Number from analytics.active where app = @app and grain = 0 and starts_on between @from::date and @to::date group by 1 order by 1",
            Metric.Sessions => "select analytics.period_of(@grain::smallint, day)::text as Day, sum(sessions)::bigint as Number from analytics.session_total where app = @app and day between @from::date and @to::date group by 1 order by 1",
            _ => "select analytics.period_of(@grain::smallint, day)::text as Day, (sum(milliseconds) / 1000)::bigint as Number from analytics.session_total where app = @app and day between @from::date and @to::date group by 1 order by 1",
        },
        Parameters(app, range, new { grain }), ct);

    /// <summary>The events and people of one value, such as one event's name.</summary>
    public Task<IReadOnlyList<Group>> ValueAsync(int app, Dimension dimension, string value, int grain, QueryRange range, CancellationToken ct) => ListAsync<Group>(
        """
        select analytics.period_of(@grain::smallint, daily.day)::text as Value, sum(daily.events)::bigint as Events, count(distinct daily.person_id) as People
        from analytics.daily
        where daily.app = @app and daily.day between @from::date and @to::date and daily.value_id = (select id from analytics.value where app = @app and kind = @kind and value = @value)
        group by 1 order by 1
        """,
        Parameters(app, range, new { grain, kind = (short)dimension, value }), ct);

    /// <summary>All values of a dimension that there are in the range, at most <paramref name="most"/>, those with most events first.</summary>
    public Task<IReadOnlyList<Group>> GroupsAsync(int app, Dimension dimension, QueryRange range, int most, CancellationToken ct) => ListAsync<Group>(
        """
        select value.value as Value, one.events as Events, one.people as People
        from (
            select value_id, sum(events)::bigint as events, count(distinct person_id) as people from analytics.daily
            where app = @app and day between @from::date and @to::date and value_id = any (array(select id from analytics.value where app = @app and kind = @kind))
            group by value_id
        ) one
        join analytics.value on value.id = one.value_id
        order by one.events desc, value.value limit @most
        """,
        Parameters(app, range, new { kind = (short)dimension, most }), ct);

    /// <summary>The values of a property of one event. Reads events, but none that are not in the other numbers yet.</summary>
    public Task<IReadOnlyList<Group>> PropertyAsync(int app, string name, string property, QueryRange range, int most, CancellationToken ct) => ListAsync<Group>(
        """
        select coalesce(left(properties ->> @property, 200), '(none)') as Value, count(*) as Events, count(distinct coalesce(anonymous_id, user_id)) as People
        from analytics.event
        where app = @app and type = 1 and name = @name and at >= @from::timestamp at time zone 'UTC' and at < (@to::date + 1)::timestamp at time zone 'UTC'
          and batch_id <> all (array(select id from analytics.batch))
        group by 1 order by 2 desc, 1 limit @most
        """,
        Parameters(app, range, new { name, property, most }), ct);

    public Task<IReadOnlyList<CohortCell>> CohortsAsync(int app, int grain, QueryRange range, CancellationToken ct) => ListAsync<CohortCell>(
        """
        select first_on::text as FirstOn, starts_on::text as StartsOn, people from analytics.cohort
        where app = @app and grain = @grain and people > 0
          and first_on between analytics.period_of(@grain::smallint, @from::date) and @to::date and starts_on between analytics.period_of(@grain::smallint, @from::date) and @to::date
        order by first_on, starts_on
        """,
        Parameters(app, range, new { grain }), ct);

    /// <summary>Also counts of saved funnels, for days of which nothing is kept.</summary>
    /// <param name="until">The last day of the later steps.</param>
    /// <returns>How many people took each step, in order.</returns>
    public async Task<IReadOnlyList<long>> FunnelAsync(int app, FunnelQuery funnel, QueryRange range, DateOnly until, CancellationToken ct)
    {
        var ids = await ListAsync<FunnelValue>(FunnelSql.Values, Parameters(app, range, new { steps = funnel.Steps.ToArray() }), ct);
        var steps = funnel.Steps.Select(step => ids.FirstOrDefault(id => id.Step == step)?.Id ?? -1).ToArray();
        return await ListAsync<long>(FunnelSql.Of(steps, funnel.WithinHours), Parameters(app, range, new { window = (funnel.WithinHours ?? 0) * 3_600_000L, until = Text(until) }), ct);
    }

    /// <summary>What is kept of a saved funnel, and of which other days there are events.</summary>
    public Task<IReadOnlyList<FunnelDay>> FunnelDaysAsync(int app, int funnel, QueryRange range, CancellationToken ct) => ListAsync<FunnelDay>(
        """
        select active.starts_on::text as Day, funnel_day.people as People
        from analytics.active left join analytics.funnel_day on funnel_day.funnel_id = @funnel and funnel_day.day = active.starts_on
        where active.app = @app and active.grain = 0 and active.starts_on between @from::date and @to::date
        order by 1
        """,
        Parameters(app, range, new { funnel }), ct);

    /// <inheritdoc cref="FunnelAsync"/>
    public Task<IReadOnlyList<long>> JourneyAsync(IReadOnlyList<int> steps, int withinHours, QueryRange range, CancellationToken ct) =>
        ListAsync<long>(FunnelSql.Journey(steps), Parameters(0, range, new { window = TimeSpan.FromHours(withinHours) }), ct);

    private static DynamicParameters Parameters(int app, QueryRange range, object more)
    {
        var parameters = new DynamicParameters(more);
        parameters.Add("app", app);
        parameters.Add("from", Text(range.From));
        parameters.Add("to", Text(range.To));
        return parameters;
    }

    private static string Text(DateOnly day) => day.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);

    /// <exception cref="QueryTooCostlyException">It took longer than <see cref="AnalyticsOptions.QuerySeconds"/>.</exception>
    private async Task<IReadOnlyList<T>> ListAsync<T>(string sql, DynamicParameters parameters, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using DbTransaction transaction = await connection.BeginTransactionAsync(ct);
        try
        {
            await connection.ExecuteAsync(new CommandDefinition(
                $"set transaction read only; set local statement_timeout = '{options.Value.QuerySeconds}s'; set local timezone = 'UTC'; set local jit = off; set local work_mem = '32MB'", transaction: transaction, cancellationToken: ct));
            return [.. await connection.QueryAsync<T>(new CommandDefinition(sql, parameters, transaction, cancellationToken: ct))];
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.QueryCanceled)
        {
            throw new QueryTooCostlyException();
        }
    }

    private sealed record FunnelValue(int Id, string Step);
}

internal sealed class QueryTooCostlyException : Exception;

/// <summary>What can be counted over time.</summary>
internal enum Metric
{
    ActiveUsers,
    Events,
    Sessions,
    SessionSeconds,
}

/// <summary>What people and events can be told apart by; the numbers are stored.</summary>
internal enum Dimension
{
    Event = 1,
    Screen = 2,
    Version = 3,
    Platform = 4,
    OsVersion = 5,
    Model = 6,
    Locale = 7,
    Network = 8,
    SecurityCheck = 9,
}

/// <param name="Day">The first of the period.</param>
internal sealed record Point(string Day, long Number);

internal sealed record Group(string Value, long Events, long People);

internal sealed record CohortCell(string FirstOn, string StartsOn, long People);

/// <param name="Steps">Names of events, and of screens with <c>screen:</c> before them.</param>
internal sealed record FunnelQuery(IReadOnlyList<string> Steps, int? WithinHours);

internal sealed record FunnelDay
{
    public string Day { get; init; } = "";

    /// <summary>Null when it is not kept.</summary>
    public long[]? People { get; init; }
}
