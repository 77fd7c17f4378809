using Dapper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileServices.Analytics.Rollups;

internal sealed class RollupStore(NpgsqlDataSource database, IOptions<AnalyticsOptions> options)
{
    private readonly string _sessions = RollupSql.Sessions(options.Value.SessionMinutes);

    /// <summary>A connection with the work tables, for many calls of <see cref="StepAsync"/>.</summary>
    public async Task<NpgsqlConnection> OpenAsync(CancellationToken ct)
    {
        var connection = await database.OpenConnectionAsync(ct);
        try
        {
            await connection.ExecuteAsync(new CommandDefinition(RollupSql.WorkTables, cancellationToken: ct));
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>Whether there are events that are not in the numbers.</summary>
    public static Task<bool> IsBehindAsync(NpgsqlConnection connection, CancellationToken ct) =>
        connection.ExecuteScalarAsync<bool>(new CommandDefinition("select exists (select from analytics.batch)", cancellationToken: ct));

    /// <summary>Brings one portion into the numbers: all of it, or after a fault nothing.</summary>
    public async Task<Portion> StepAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await RunAsync(RollupSql.Lock);
        await RunAsync(RollupSql.Take);
        var portion = await connection.QuerySingleAsync<Portion>(new CommandDefinition(RollupSql.Counts, transaction: transaction, cancellationToken: ct));
        if (portion.Batches is 0)
        {
            return portion;
        }
        if (portion.Duplicates > 0)
        {
            await RunAsync(RollupSql.RemoveDuplicates);
        }
        if (portion.New > 0)
        {
            await RunAsync(RollupSql.People);
            await RunAsync(RollupSql.Outcomes);
            await RunAsync(RollupSql.Values);
            await RunAsync(RollupSql.Funnels);
            await RunAsync(RollupSql.Periods);
            await RunAsync(_sessions);
        }
        await RunAsync(RollupSql.Done);
        await transaction.CommitAsync(ct);
        return portion;

        Task RunAsync(string sql) => connection.ExecuteAsync(new CommandDefinition(sql, transaction: transaction, commandTimeout: 120, cancellationToken: ct));
    }
}

/// <param name="New">Events that were not there before.</param>
/// <param name="Batches">Transactions of the ingest that are done with.</param>
internal sealed record Portion(int New, int Duplicates, int Batches);
