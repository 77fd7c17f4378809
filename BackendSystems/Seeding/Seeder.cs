using System.Diagnostics;
using Npgsql;

namespace BackendSystems.Seeding;

/// <summary>
/// Fills an empty database, once. Everything is written in one transaction, so a process that dies half-way leaves nothing behind, and under
/// an advisory lock, so of two replicas that start together one writes and the other finds the work done.
/// </summary>
internal sealed class Seeder(ILogger<Seeder> log)
{
    /// <param name="system">Name in the log and of the lock.</param>
    /// <param name="table">Table that tells by its first row that the work was done before.</param>
    /// <param name="writeAsync">Copies the rows.</param>
    public async Task RunAsync(
        NpgsqlDataSource database, string system, string table, Func<NpgsqlConnection, CancellationToken, Task> writeAsync, CancellationToken ct)
    {
        var started = Stopwatch.GetTimestamp();
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await using var take = new NpgsqlCommand(
            "select pg_advisory_xact_lock(hashtext('seed'), hashtext($1))", connection, transaction);
        take.Parameters.AddWithValue(system);
        await take.ExecuteNonQueryAsync(ct);
        await using var look = new NpgsqlCommand($"select exists(select from {table})", connection, transaction);
        if (await look.ExecuteScalarAsync(ct) is true)
        {
            return;
        }

        await writeAsync(connection, ct);
        await transaction.CommitAsync(ct);
        log.LogInformation("Seeded {System} in {ElapsedMs:0} ms", system, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
    }
}
