using Dapper;
using MobileServices.Analytics.Rollups;
using Npgsql;

namespace MobileServices.Analytics.Administration;

/// <summary>
/// The data of one person: of an installation by its anonymousId, or of a user by his id, who is all installations that he was seen on. Erased, he is gone from
/// every number too, as if he had never been there, and messages of him that come once more are known and not taken.
/// </summary>
internal sealed class PersonStore(NpgsqlDataSource database, AppStore apps)
{
    private const string Find =
        """
        create temp table gone on commit drop as
        select id as person_id, key, first_day from analytics.person
        where app = @app and (key = @id or id in (select person_id from analytics.person_user where app = @app and user_id = @userId));
        """;

    private const string Erase =
        """
        create temp table erased on commit drop as
        select tableoid as relation, ctid as place, message_id, received_at, (at at time zone 'UTC')::date as day, batch_id <> all (array(select id from analytics.batch)) as is_counted
        from analytics.event where app = @app and (coalesce(anonymous_id, user_id) = any (array(select key from gone)) or coalesce(anonymous_id, user_id) = @id or user_id = @userId);

        insert into analytics.seen (app, message_id, received_on) select @app, message_id, (received_at at time zone 'UTC')::date from erased on conflict do nothing;

        update analytics.active set events = active.events - less.events, people = active.people - less.people
        from (
            select grain, starts_on, sum(events) as events, sum(people) as people from (
                select grain, analytics.period_of(grain, day) as starts_on, count(*) as events, 0 as people from erased cross join unnest(array[0, 1, 2]::smallint[]) grain where is_counted group by 1, 2
                union all
                select grain, starts_on, 0, count(*) from analytics.person_period join gone using (person_id) group by 1, 2
            ) parts group by 1, 2
        ) less
        where active.app = @app and active.grain = less.grain and active.starts_on = less.starts_on;
        delete from analytics.active where app = @app and events = 0 and people = 0;

        update analytics.cohort set people = cohort.people - less.people
        from (select grain, analytics.period_of(grain, first_day) as first_on, starts_on, count(*) as people from analytics.person_period join gone using (person_id) group by 1, 2, 3) less
        where cohort.app = @app and cohort.grain = less.grain and cohort.first_on = less.first_on and cohort.starts_on = less.starts_on;

        update analytics.daily_total set events = daily_total.events - less.events, people = daily_total.people - less.people
        from (
            select day, value_id, sum(events) as events, count(*) as people from analytics.daily
            where app = @app and person_id = any (array(select person_id from gone)) group by 1, 2
        ) less
        where daily_total.app = @app and daily_total.day = less.day and daily_total.value_id = less.value_id;
        delete from analytics.funnel_day using analytics.funnel where funnel.id = funnel_day.funnel_id and funnel.app = @app
          and funnel_day.day between (select min(day) from erased) - (funnel.within_hours + 23) / 24 and (select max(day) from erased);
        delete from analytics.daily where app = @app and person_id = any (array(select person_id from gone));

        update analytics.session_total set sessions = session_total.sessions - less.sessions, milliseconds = session_total.milliseconds - less.milliseconds
        from (
            select (started_at at time zone 'UTC')::date as day, count(*) as sessions, sum((extract(epoch from ended_at - started_at) * 1000)::bigint) as milliseconds
            from analytics.session join gone using (person_id) group by 1
        ) less
        where session_total.app = @app and session_total.day = less.day;
        delete from analytics.session where person_id in (select person_id from gone);

        delete from analytics.person_period where person_id in (select person_id from gone);
        delete from analytics.person_user where person_id in (select person_id from gone);
        delete from analytics.person where id in (select person_id from gone);
        delete from analytics.outcome where user_id = @userId;

        do $$
        declare part oid;
        begin
            for part in select distinct relation from erased loop
                execute format('delete from %s where ctid = any (array(select place from erased where relation = %s))', part::regclass, part);
            end loop;
        end $$;
        """;

    /// <param name="userId">Null to erase one installation.</param>
    /// <returns>How many events are gone.</returns>
    public async Task<long> EraseAsync(int app, string appId, string? anonymousId, string? userId, string who, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var parameters = new { app, id = anonymousId ?? userId, userId };
        await connection.ExecuteAsync(new CommandDefinition(RollupSql.Lock, transaction: transaction, commandTimeout: 120, cancellationToken: ct));
        await connection.ExecuteAsync(new CommandDefinition(Find + Erase, parameters, transaction, commandTimeout: 600, cancellationToken: ct));
        var events = await connection.ExecuteScalarAsync<long>(new CommandDefinition("select count(*) from erased", transaction: transaction, cancellationToken: ct));
        // Whom it was must not be found in what is kept of it.
        await apps.NoteAsync(connection, transaction, who, appId, "person erased", $"{events} events", ct);
        await transaction.CommitAsync(ct);
        return events;
    }

    /// <summary>Everything that is kept of a person, a JSON object each.</summary>
    public async IAsyncEnumerable<string> ExportAsync(int app, string appId, string? anonymousId, string? userId, string who, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, ct);
        await apps.NoteAsync(connection, transaction, who, appId, "person exported", "", ct);
        var parameters = new { app, id = anonymousId ?? userId, userId };
        await connection.ExecuteAsync(new CommandDefinition(Find, parameters, transaction, cancellationToken: ct));
        var lines = connection.QueryUnbufferedAsync<string>(
            """
            select jsonb_build_object('kind', 'person', 'id', key, 'firstDay', first_day)::text from gone
            union all
            select jsonb_build_object('kind', 'user', 'userId', user_id, 'id', key)::text from analytics.person_user join gone using (person_id)
            union all
            select jsonb_build_object('kind', 'session', 'startedAt', started_at, 'endedAt', ended_at, 'events', events)::text from analytics.session join gone using (person_id)
            union all
            select jsonb_build_object('kind', 'outcome', 'step', step, 'at', at, 'reference', reference)::text from analytics.outcome where user_id = @userId
            union all
            select (jsonb_build_object('kind', 'event') || to_jsonb(event) - array['batch_id', 'app'])::text from analytics.event
            where app = @app and (coalesce(anonymous_id, user_id) = any (array(select key from gone)) or coalesce(anonymous_id, user_id) = @id or user_id = @userId)
            """,
            parameters, transaction, commandTimeout: 600);
        await foreach (var line in lines.WithCancellation(ct))
        {
            yield return line;
        }
        await transaction.CommitAsync(ct);
    }
}
