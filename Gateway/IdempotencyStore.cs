using System.Data.Common;
using System.Text.Json;
using Dapper;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace Gateway;

/// <summary>The table of the schema <c>gateway</c>. Its clock is the database's, which all replicas share.</summary>
internal sealed class IdempotencyStore(NpgsqlDataSource database, IOptions<IdempotencyOptions> options, IOptions<ServiceLimits> limits)
{
    private const int BatchSize = 1000;
    private const int LeaseBeyondLimit = 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly TimeSpan _keep = TimeSpan.FromHours(options.Value.KeepHours);
    private readonly TimeSpan _lease = TimeSpan.FromSeconds(options.Value.LeaseSeconds ?? limits.Value.RequestSeconds + LeaseBeyondLimit);

    /// <summary>Claims the call if nobody has, or whoever did is gone.</summary>
    /// <returns>Null when the claim holds; else what is there already.</returns>
    /// <exception cref="IdempotencyStoreException">The database does not answer.</exception>
    public Task<KeptCall?> ClaimAsync(IdempotentCall call, Guid claim)
    {
        const string Claim = """
            insert into gateway.idempotency as there (id, fingerprint, claim, lease_until, expires_at)
            values (@Id, @Fingerprint, @claim, now() + @lease, now() + @keep)
            on conflict (id) do update
            set fingerprint = excluded.fingerprint, claim = excluded.claim, lease_until = excluded.lease_until, expires_at = excluded.expires_at,
                status = null, headers = null, body = null
            where there.expires_at <= now()
                or (there.status is null and there.lease_until <= now() and there.fingerprint = excluded.fingerprint)
            """;
        return RunAsync(async (connection, ct) =>
        {
            while (true)
            {
                var parameters = new { call.Id, call.Fingerprint, claim, lease = _lease, keep = _keep };
                if (await connection.ExecuteAsync(new CommandDefinition(Claim, parameters, cancellationToken: ct)) is 1)
                {
                    return null;
                }
                // None when it was released in between.
                if (await connection.QuerySingleOrDefaultAsync<KeptCall>(new CommandDefinition(
                    "select fingerprint, status, headers, body from gateway.idempotency where id = @Id", parameters, cancellationToken: ct)) is { } kept)
                {
                    return kept;
                }
            }
        });
    }

    /// <summary>May be called again after an exception: it may have been kept all the same.</summary>
    /// <param name="answer">Null when it can be told of, but not repeated.</param>
    /// <returns>False when the claim was lost to another.</returns>
    /// <exception cref="IdempotencyStoreException">The database does not answer.</exception>
    public Task<bool> KeepAsync(IdempotentCall call, Guid claim, int status, KeptAnswer? answer)
    {
        const string Keep = """
            update gateway.idempotency set status = @status, headers = @headers::jsonb, body = @Body, expires_at = now() + @keep
            where id = @Id and claim = @claim
            """;
        var headers = answer is null ? null : JsonSerializer.Serialize(answer.Headers);
        return RunAsync(async (connection, ct) => await connection.ExecuteAsync(new CommandDefinition(
            Keep, new { call.Id, claim, status, headers, answer?.Body, keep = _keep }, cancellationToken: ct)) is 1);
    }

    /// <summary>Gives the call up: the next one with the key is a first one.</summary>
    /// <exception cref="IdempotencyStoreException">The database does not answer.</exception>
    public Task ReleaseAsync(IdempotentCall call, Guid claim) => RunAsync((connection, ct) => connection.ExecuteAsync(new CommandDefinition(
        "delete from gateway.idempotency where id = @Id and claim = @claim and status is null", new { call.Id, claim }, cancellationToken: ct)));

    /// <summary>Removes what is kept no longer, in batches that several replicas may work on at once.</summary>
    public async Task RemoveExpiredAsync(CancellationToken ct)
    {
        const string Remove = """
            delete from gateway.idempotency where id in (
                select id from gateway.idempotency where expires_at <= now() limit @BatchSize for update skip locked)
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        while (await connection.ExecuteAsync(new CommandDefinition(Remove, new { BatchSize }, cancellationToken: ct)) is BatchSize)
        {
        }
    }

    /// <summary>Not with the request's token: what a client that goes away has begun is ended in order.</summary>
    private async Task<T> RunAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> step)
    {
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await using var connection = await database.OpenConnectionAsync(patience.Token);
            return await step(connection, patience.Token);
        }
        catch (Exception exception) when (exception is DbException or TimeoutException or OperationCanceledException)
        {
            throw new IdempotencyStoreException(exception.Message, exception);
        }
    }
}

/// <param name="Status">Null while the call is under way.</param>
/// <param name="Headers">As JSON; null when the answer cannot be repeated.</param>
internal sealed record KeptCall(byte[] Fingerprint, int? Status, string? Headers, byte[]? Body);

internal sealed record KeptAnswer(Dictionary<string, string?[]> Headers, byte[] Body);

internal sealed class IdempotencyStoreException(string message, Exception innerException) : Exception(message, innerException);
