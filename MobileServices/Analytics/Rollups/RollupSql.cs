namespace MobileServices.Analytics.Rollups;

/// <summary>
/// How a portion of events gets into the numbers, in one transaction and one at a time: every statement adds what follows from a set of events, whatever the
/// order in which they come, so replays and late batches end at the same numbers. Work tables are temporary, of one session, and emptied at its commits.
/// </summary>
internal static class RollupSql
{
    /// <summary>One replica at a time; erasure and retention take it too.</summary>
    public const string Lock = "select pg_advisory_xact_lock(hashtextextended('analytics:rollup', 0))";

    public const string WorkTables =
        """
        create temp table if not exists chosen (id bigint, first_day date, last_day date) on commit delete rows;
        create temp table if not exists arrived (
            relation oid, place tid, app int, message_id uuid, received_at timestamptz, at timestamptz, day date, type smallint, key text, user_id text,
            name text, version text, platform text, os_version text, model text, locale text, network text, checks jsonb, is_new boolean) on commit delete rows;
        create temp table if not exists people (app int, key text, person_id bigint, first_day date, old_first date) on commit delete rows;
        create temp table if not exists item (app int, day date, kind smallint, value text, person_id bigint, events int, times int[]) on commit delete rows;
        create temp table if not exists cohort_change (app int, grain smallint, first_on date, starts_on date, people int) on commit delete rows;
        create temp table if not exists touched (app int, person_id bigint, started_at timestamptz, ended_at timestamptz, events int, is_old boolean) on commit delete rows;
        """;

    /// <summary>The events of the oldest transactions of the ingest; which of them are new is decided here and nowhere else.</summary>
    public const string Take =
        """
        insert into chosen
        select id, first_day, last_day from (select id, first_day, last_day, sum(events) over (order by id) - events as before from (select * from analytics.batch order by id limit 1000) oldest) one
        where before < 10000;

        insert into arrived
        select relation, place, app, message_id, received_at, at, (at at time zone 'UTC')::date, type, coalesce(anonymous_id, user_id), user_id,
               name, version, platform, os_version, model, locale, network,
               case when type = 1 and lower(name) = 'security check' then properties end,
               nth = 1 and not exists (select from analytics.seen where seen.app = one.app and seen.message_id = one.message_id)
        from (
            select event.tableoid as relation, event.ctid as place, event.*, row_number() over (partition by app, message_id order by batch_id) as nth
            from analytics.event
            where batch_id = any (array(select id from chosen))
              and at >= (select min(first_day) from chosen)::timestamp at time zone 'UTC' and at < ((select max(last_day) from chosen) + 1)::timestamp at time zone 'UTC'
        ) one;

        insert into analytics.seen (app, message_id, received_on) select app, message_id, (received_at at time zone 'UTC')::date from arrived where is_new;
        """;

    public const string Counts = "select count(*) filter (where is_new)::int as New, count(*) filter (where not is_new)::int as Duplicates, (select count(*) from chosen)::int as Batches from arrived";

    public const string RemoveDuplicates =
        """
        do $$
        declare part oid;
        begin
            for part in select distinct relation from arrived where not is_new loop
                execute format('delete from %s where ctid = any (array(select place from arrived where relation = %s and not is_new))', part::regclass, part);
            end loop;
        end $$;
        """;

    public const string People =
        """
        insert into people
        select came.app, came.key, person.id, least(came.first_day, person.first_day), person.first_day
        from (select app, key, min(day) as first_day from arrived where is_new group by app, key) came
        left join analytics.person on person.app = came.app and person.key = came.key;

        with made as (insert into analytics.person (app, key, first_day) select app, key, first_day from people where person_id is null returning id, app, key)
        update people set person_id = made.id from made where people.app = made.app and people.key = made.key;

        update analytics.person set first_day = people.first_day from people where person.id = people.person_id and people.first_day < people.old_first;

        insert into analytics.person_user (app, user_id, person_id)
        select distinct arrived.app, arrived.user_id, people.person_id from arrived join people on people.app = arrived.app and people.key = arrived.key
        where arrived.is_new and arrived.user_id is not null
        on conflict do nothing;
        """;

    /// <summary>What apps say of a push, by the names that the tracking spec has for it.</summary>
    public const string Outcomes =
        """
        insert into analytics.outcome (step, reference, user_id, at)
        select case name when 'Push Notification Received' then 2 else 3 end, app || '/' || message_id, user_id, at from arrived
        where is_new and type = 1 and user_id is not null and name in ('Push Notification Received', 'Push Notification Tapped', 'Push Notification Opened')
        on conflict do nothing
        """;

    public const string Values =
        """
        insert into item
        select arrived.app, arrived.day, one.kind, one.value, people.person_id, count(*),
               (array_agg(distinct milliseconds order by milliseconds) filter (where one.kind in (1, 2)))[1:1000]
        from arrived
        join people on people.app = arrived.app and people.key = arrived.key
        cross join lateral (select (extract(epoch from arrived.at - arrived.day::timestamp at time zone 'UTC') * 1000)::int as milliseconds) clock
        cross join lateral (
            select * from (values
                (1::smallint, case when arrived.type = 1 then arrived.name end), (2, case when arrived.type in (3, 4) then arrived.name end),
                (3, arrived.version), (4, arrived.platform), (5, arrived.platform || ' ' || arrived.os_version), (6, arrived.model), (7, arrived.locale), (8, arrived.network)) plain (kind, value)
            union all
            select 9, left(coalesce(verdict ->> 'name', verdict ->> 'type', verdict ->> 'id'), 100) || case verdict ->> 'passed' when 'true' then ': passed' when 'false' then ': failed' else ': unknown' end
            from jsonb_array_elements(case
                when arrived.checks is null then '[]'
                when jsonb_typeof(arrived.checks -> 'checks') = 'array' then arrived.checks -> 'checks'
                else jsonb_build_array(arrived.checks) end) verdict
            where jsonb_typeof(verdict) = 'object'
        ) one
        where arrived.is_new and one.value is not null
        group by 1, 2, 3, 4, 5;

        insert into analytics.value (app, kind, value) select distinct app, kind, value from item
        where not exists (select from analytics.value known where known.app = item.app and known.kind = item.kind and known.value = item.value);

        with keyed as materialized (
            select item.app, item.day, value.id as value_id, item.person_id, item.events, item.times
            from item join analytics.value on value.app = item.app and value.kind = item.kind and value.value = item.value
        ),
        kept as (
            insert into analytics.daily as old (app, day, value_id, person_id, events, times) select app, day, value_id, person_id, events, times from keyed
            on conflict (app, day, value_id, person_id) do update set events = old.events + excluded.events, times = case when excluded.times is null then old.times else
                (select (array_agg(distinct one order by one))[1:1000] from unnest(old.times || excluded.times) one) end
            returning app, day, value_id, made_in = pg_current_xact_id() as is_new
        ),
        more as (select app, day, value_id, count(*) filter (where is_new) as people from kept group by app, day, value_id),
        counted as (select app, day, value_id, sum(events) as events from keyed group by app, day, value_id)
        insert into analytics.daily_total as old (app, day, value_id, events, people) select app, day, value_id, events, people from counted join more using (app, day, value_id)
        on conflict (app, value_id, day) do update set events = old.events + excluded.events, people = old.people + excluded.people;
        """;

    /// <summary>Takes away what saved funnels came to on the days that the events may change.</summary>
    public const string Funnels =
        """
        delete from analytics.funnel_day
        using analytics.funnel, (select distinct app, day, case kind when 1 then value else 'screen:' || value end as step from item where kind in (1, 2)) changed
        where funnel.id = funnel_day.funnel_id and changed.app = funnel.app and changed.step = any (funnel.steps)
          and funnel_day.day between changed.day - (funnel.within_hours + 23) / 24 and changed.day
        """;

    /// <summary>Who was active when, and the cohorts: an event from before somebody's first day moves him to another cohort, with all his periods.</summary>
    public const string Periods =
        """
        insert into cohort_change
        select people.app, been.grain, side.first_on, been.starts_on, side.people
        from people
        join analytics.person_period been on been.person_id = people.person_id
        cross join lateral (values
            (analytics.period_of(been.grain, people.old_first), -1), (analytics.period_of(been.grain, people.first_day), 1)) side (first_on, people)
        where people.first_day < people.old_first and analytics.period_of(been.grain, people.old_first) <> analytics.period_of(been.grain, people.first_day);

        with came as materialized (
            select people.app, people.person_id, people.first_day, grain, analytics.period_of(grain, arrived.day) as starts_on, count(*) as events
            from arrived join people on people.app = arrived.app and people.key = arrived.key
            cross join unnest(array[0, 1, 2]::smallint[]) grain
            where arrived.is_new
            group by 1, 2, 3, 4, 5
        ),
        fresh as (
            insert into analytics.person_period (person_id, grain, starts_on, app) select person_id, grain, starts_on, app from came
            on conflict do nothing returning person_id, grain, starts_on
        ),
        counted as (
            insert into analytics.active as old (app, grain, starts_on, people, events)
            select came.app, came.grain, came.starts_on, count(fresh.person_id), sum(came.events) from came left join fresh using (person_id, grain, starts_on) group by 1, 2, 3
            on conflict (app, grain, starts_on) do update set people = old.people + excluded.people, events = old.events + excluded.events
        )
        insert into cohort_change select came.app, came.grain, analytics.period_of(came.grain, came.first_day), came.starts_on, 1 from came join fresh using (person_id, grain, starts_on);

        insert into analytics.cohort as old (app, grain, first_on, starts_on, people)
        select app, grain, first_on, starts_on, sum(people) from cohort_change group by 1, 2, 3, 4
        on conflict (app, grain, first_on, starts_on) do update set people = old.people + excluded.people;
        """;

    /// <summary>
    /// Sessions are the spans without a pause of more than the timeout. New events and the spans that they may touch are put together again, which comes to the
    /// same in any order.
    /// </summary>
    public static string Sessions(int minutes) =>
        $"""
        insert into touched
        select session.app, session.person_id, session.started_at, session.ended_at, session.events, true
        from (
            select people.person_id, min(arrived.at) - interval '{minutes} minutes' as begins, max(arrived.at) + interval '{minutes} minutes' as ends
            from arrived join people on people.app = arrived.app and people.key = arrived.key where arrived.is_new group by 1
        ) came
        join analytics.session on session.person_id = came.person_id and session.started_at <= came.ends and session.ended_at >= came.begins;

        insert into touched
        select people.app, people.person_id, arrived.at, arrived.at, count(*), false
        from arrived join people on people.app = arrived.app and people.key = arrived.key where arrived.is_new group by 1, 2, 3;

        delete from analytics.session using touched where touched.is_old and session.person_id = touched.person_id and session.started_at = touched.started_at;

        with reached as (
            select *, max(ended_at) over (partition by person_id order by started_at, ended_at rows between unbounded preceding and 1 preceding) as reach from touched
        ),
        spans as (
            select *, count(*) filter (where reach is null or started_at > reach + interval '{minutes} minutes')
                over (partition by person_id order by started_at, ended_at rows unbounded preceding) as span from reached
        ),
        made as (
            insert into analytics.session (person_id, started_at, ended_at, app, events)
            select person_id, min(started_at), max(ended_at), app, sum(events) from spans group by person_id, app, span
            returning app, started_at, ended_at
        ),
        change as (
            select app, started_at, ended_at, 1 as sign from made
            union all
            select app, started_at, ended_at, -1 from touched where is_old
        )
        insert into analytics.session_total as old (app, day, sessions, milliseconds)
        select app, (started_at at time zone 'UTC')::date, sum(sign), sum(sign * (extract(epoch from ended_at - started_at) * 1000)::bigint) from change group by 1, 2
        on conflict (app, day) do update set sessions = old.sessions + excluded.sessions, milliseconds = old.milliseconds + excluded.milliseconds;
        """;

    public const string Done = "delete from analytics.batch where id in (select id from chosen)";
}
