using System.Globalization;
using System.Text;

namespace MobileServices.Analytics.Queries;

/// <summary>
/// A funnel is entered by the first time that somebody takes the first step in the range; each further step is the first time after the step before. From the
/// rollup's times of a day, so it is as exact as from the events.
/// </summary>
internal static class FunnelSql
{
    public const string Values =
        """
        select id as Id, case kind when 1 then value else 'screen:' || value end as Step from analytics.value
        where app = @app and ((kind = 1 and value = any (@steps)) or (kind = 2 and 'screen:' || value = any (@steps)))
        """;

    /// <param name="steps">Ids of values; nobody takes one that is not there. The first is taken from <c>@from</c> to <c>@to</c>, the others until <c>@until</c>.</param>
    public static string Of(IReadOnlyList<int> steps, int? withinHours)
    {
        const string Day = "((daily.day - date '2000-01-01') * 86400000::bigint)";
        var sql = new StringBuilder().Append(CultureInfo.InvariantCulture,
            $"""
            with step1 as materialized (
                select person_id, min({Day} + times[1]) as at, min({Day} + times[1]) as entered from analytics.daily
                where app = @app and day between @from::date and @to::date and value_id = {steps[0]} group by person_id
            )
            """);
        for (var step = 2; step <= steps.Count; step++)
        {
            // The same step twice is two events.
            var after = steps[step - 1] == steps[step - 2] ? ">" : ">=";
            sql.Append(CultureInfo.InvariantCulture,
                $"""
                , step{step} as materialized (
                    select person_id, min(next) as at, min(entered) as entered
                    from (
                        select before.person_id, before.entered, case
                            when {Day} + times[1] {after} before.at then {Day} + times[1]
                            when {Day} + times[cardinality(times)] {after} before.at then (select min({Day} + one) from unnest(times) one where {Day} + one {after} before.at) end as next
                        from step{step - 1} before join analytics.daily using (person_id)
                        where daily.app = @app and daily.day between @from::date and @until::date and daily.value_id = {steps[step - 1]}
                    ) one
                    where next is not null{(withinHours is null ? "" : " and next <= entered + @window")} group by person_id
                )
                """);
        }
        sql.Append(" select people from (");
        for (var step = 1; step <= steps.Count; step++)
        {
            sql.Append(CultureInfo.InvariantCulture, $"{(step is 1 ? "" : " union all")} select {step} as step, count(*) as people from step{step}");
        }
        return sql.Append(") counted order by step").ToString();
    }

    /// <summary>The same over what services reported of users.</summary>
    public static string Journey(IReadOnlyList<int> steps)
    {
        var sql = new StringBuilder().Append(CultureInfo.InvariantCulture,
            $"""
            with step1 as materialized (
                select user_id, min(at) as at, min(at) as entered from analytics.outcome
                where step = {steps[0]} and at >= @from::timestamp at time zone 'UTC' and at < (@to::date + 1)::timestamp at time zone 'UTC' group by user_id
            )
            """);
        for (var step = 2; step <= steps.Count; step++)
        {
            sql.Append(CultureInfo.InvariantCulture,
                $"""
                , step{step} as materialized (
                    select before.user_id, next.at, before.entered from step{step - 1} before
                    cross join lateral (
                        select min(at) as at from analytics.outcome where outcome.user_id = before.user_id and step = {steps[step - 1]} and at between before.at and before.entered + @window
                    ) next
                    where next.at is not null
                )
                """);
        }
        sql.Append(" select people from (");
        for (var step = 1; step <= steps.Count; step++)
        {
            sql.Append(CultureInfo.InvariantCulture, $"{(step is 1 ? "" : " union all")} select {step} as step, count(*) as people from step{step}");
        }
        return sql.Append(") counted order by step").ToString();
    }
}
