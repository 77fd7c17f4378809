using System.Globalization;
using Dapper;
using MobileServices.Analytics.Rollups;
using Npgsql;

namespace MobileServices.Analytics.Queries;

/// <summary>
/// Funnels that were saved, and what they come to by the day of the entry. Days that cannot change by themselves any more are counted ahead; a late event takes away
/// those that it may change.
/// </summary>
internal sealed class FunnelStore(NpgsqlDataSource database, QueryStore queries, TimeProvider time)
{
    private const int MostDaysAhead = 100;

    public async Task<IReadOnlyList<SavedFunnel>> ListAsync(int app, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return [.. await connection.QueryAsync<SavedFunnel>(new CommandDefinition(
            "select id, app, name, steps, within_hours as WithinHours from analytics.funnel where app = @app order by name", new { app }, cancellationToken: ct))];
    }

    public async Task<SavedFunnel?> FindAsync(int app, string name, CancellationToken ct) => (await ListAsync(app, ct)).FirstOrDefault(funnel => funnel.Name == name);

    /// <summary>A funnel that changes is counted anew.</summary>
    public async Task SaveAsync(int app, string name, string[] steps, int withinHours, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "delete from analytics.funnel where app = @app and name = @name; insert into analytics.funnel (app, name, steps, within_hours) values (@app, @name, @steps, @withinHours)",
            new { app, name, steps, withinHours }, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
    }

    public async Task<bool> RemoveAsync(int app, string name, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteAsync(new CommandDefinition("delete from analytics.funnel where app = @app and name = @name", new { app, name }, cancellationToken: ct)) > 0;
    }

    /// <returns>The entries of each day, by the step that they reached at least.</returns>
    public async Task<IReadOnlyList<IReadOnlyList<long>>> CountAsync(SavedFunnel funnel, QueryRange range, CancellationToken ct)
    {
        List<IReadOnlyList<long>> days = [];
        foreach (var day in await queries.FunnelDaysAsync(funnel.App, funnel.Id, range, ct))
        {
            days.Add(day.People ?? await CountAsync(funnel, DateOnly.ParseExact(day.Day, "yyyy-MM-dd", CultureInfo.InvariantCulture), ct));
        }
        return days;
    }

    /// <summary>Counts one day ahead, the newest that is missing.</summary>
    /// <returns>Whether there was one.</returns>
    public async Task<bool> FillAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // Nothing comes into the numbers between the count and its keeping.
        await connection.ExecuteAsync(new CommandDefinition(RollupSql.Lock, transaction: transaction, commandTimeout: 120, cancellationToken: ct));
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        var next = await connection.QueryFirstOrDefaultAsync<MissingDay>(new CommandDefinition(
            """
            select funnel.id, funnel.app, funnel.name, funnel.steps, funnel.within_hours as WithinHours, active.starts_on::text as Day
            from analytics.funnel join analytics.active on active.app = funnel.app and active.grain = 0
            where active.starts_on >= @today::date - @most and active.starts_on < @today::date - (funnel.within_hours + 23) / 24
              and not exists (select from analytics.funnel_day where funnel_day.funnel_id = funnel.id and funnel_day.day = active.starts_on)
            order by active.starts_on desc, funnel.id limit 1
            """,
            new { today = today.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), most = MostDaysAhead }, transaction, cancellationToken: ct));
        if (next is null)
        {
            return false;
        }
        var people = await CountAsync(next, DateOnly.ParseExact(next.Day, "yyyy-MM-dd", CultureInfo.InvariantCulture), ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "insert into analytics.funnel_day (funnel_id, day, people) values (@Id, @Day::date, @people) on conflict (funnel_id, day) do update set people = excluded.people",
            new { next.Id, next.Day, people = people.ToArray() }, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        return true;
    }

    private Task<IReadOnlyList<long>> CountAsync(SavedFunnel funnel, DateOnly day, CancellationToken ct) =>
        queries.FunnelAsync(funnel.App, new(funnel.Steps, funnel.WithinHours), new(day, day), day.AddDays((funnel.WithinHours + 23) / 24), ct);

    private sealed record MissingDay : SavedFunnel
    {
        public string Day { get; init; } = "";
    }
}

internal record SavedFunnel
{
    public int Id { get; init; }

    public int App { get; init; }

    public string Name { get; init; } = "";

    public string[] Steps { get; init; } = [];

    public int WithinHours { get; init; }
}
