using System.Globalization;
using Dapper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileServices.Analytics.Rollups;

/// <summary>What is older than its app's time goes: whole days at once where no app keeps them. Totals stay.</summary>
internal sealed class RetentionStore(NpgsqlDataSource database, IOptions<AnalyticsOptions> options, TimeProvider time)
{
    private const string Cutoff = "select id as app, @today::date - coalesce(retention_days, @days) as day from analytics.app";

    private const string Rows =
        $"""
        create temp table cutoff on commit drop as {Cutoff};

        do $$
        declare
            oldest date := (select min(day) from cutoff);
            part record;
            one record;
        begin
            for part in
                select child.relname as name, to_date(right(child.relname, 8), 'YYYYMMDD') as day
                from pg_inherits join pg_class child on child.oid = inhrelid
                where inhparent in ('analytics.event'::regclass, 'analytics.daily'::regclass) and to_date(right(child.relname, 8), 'YYYYMMDD') >= oldest
            loop
                for one in select app from cutoff where cutoff.day > part.day loop
                    execute format('delete from analytics.%I where app = %s', part.name, one.app);
                end loop;
            end loop;
        end $$;

        delete from analytics.session using cutoff where session.app = cutoff.app and session.ended_at < cutoff.day::timestamp at time zone 'UTC';
        delete from analytics.person_period using cutoff where person_period.app = cutoff.app and person_period.starts_on < analytics.period_of(grain, cutoff.day);
        delete from analytics.person where first_day < (select max(day) from cutoff) and not exists (select from analytics.person_period where person_id = person.id and grain = 0);
        delete from analytics.person_period where not exists (select from analytics.person where person.id = person_period.person_id);
        delete from analytics.person_user where not exists (select from analytics.person where person.id = person_user.person_id);
        delete from analytics.seen where received_on < @today::date - @dedupe;
        delete from analytics.outcome where at < (@today::date - @days)::timestamp at time zone 'UTC';
        """;

    private const string Parts =
        $"""
        select child.relname from pg_inherits join pg_class child on child.oid = inhrelid
        where inhparent in ('analytics.event'::regclass, 'analytics.daily'::regclass) and to_date(right(child.relname, 8), 'YYYYMMDD') < (select min(day) from ({Cutoff}) cutoff)
        """;

    public async Task StepAsync(CancellationToken ct)
    {
        var parameters = new
        {
            today = time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
            days = options.Value.RetentionDays,
            dedupe = options.Value.DedupeDays,
        };
        await using var connection = await database.OpenConnectionAsync(ct);
        await InLockAsync(connection, Rows, parameters, ct);
        foreach (var part in await connection.QueryAsync<string>(new CommandDefinition(Parts, parameters, cancellationToken: ct)))
        {
            // Each by itself: whoever reads or writes events waits for no more than one.
            await InLockAsync(connection, $"set local lock_timeout = '5s'; drop table analytics.\"{part}\"", null, ct);
        }
    }

    private static async Task InLockAsync(NpgsqlConnection connection, string sql, object? parameters, CancellationToken ct)
    {
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(RollupSql.Lock, transaction: transaction, commandTimeout: 120, cancellationToken: ct));
        await connection.ExecuteAsync(new CommandDefinition(sql, parameters, transaction, commandTimeout: 600, cancellationToken: ct));
        await transaction.CommitAsync(ct);
    }
}
