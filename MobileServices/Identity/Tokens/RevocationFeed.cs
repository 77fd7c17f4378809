using System.Globalization;
using Dapper;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;
using Npgsql;
using StackExchange.Redis;

namespace MobileServices.Identity.Tokens;

/// <summary>What ended, for every service that checks tokens; the database notes it whatever ended it.</summary>
internal static class RevocationFeed
{
    public static async Task<Results<Ok<Revocations>, ProblemHttpResult>> GetAsync(string? after, NpgsqlDataSource database, CancellationToken ct)
    {
        if (after is not null && !ulong.TryParse(after, NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            return TypedResults.Problem("The parameter 'after' must be the cursor of an answer from here.", statusCode: StatusCodes.Status400BadRequest);
        }
        await using var connection = await database.OpenConnectionAsync(ct);
        // The cursor is the older of the two looks: what ends between them is told twice rather than never.
        await using var rows = await connection.QueryMultipleAsync(new CommandDefinition(
            """
            select pg_snapshot_xmin(pg_current_snapshot())::text;
            select id::text from identity.revocation where until > now() and (@after::text is null or xid >= @after::text::xid8)
            """,
            new { after }, cancellationToken: ct));
        var cursor = await rows.ReadSingleAsync<string>();
        return TypedResults.Ok(new Revocations(cursor, [.. await rows.ReadAsync<string>()]));
    }
}

/// <summary>Passes on to Redis what the database tells of, so that services need not wait for their next look.</summary>
internal sealed class RevocationTeller(NpgsqlDataSource database, IConnectionMultiplexer redis, ILogger<RevocationTeller> logger) : BackgroundService
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("The database does not tell what ended, and services see it at their next look: {Reason}", exception.Message);
                await Task.Delay(TimeSpan.FromSeconds(1), stoppingToken);
            }
        }
    }

    private async Task ListenAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        connection.Notification += (_, told) => Tell(told.Payload);
        await connection.ExecuteAsync(new CommandDefinition("listen identity_revocation", cancellationToken: ct));
        Tell("");
        while (true)
        {
            if (!await connection.WaitAsync(Silence, ct))
            {
                // Nobody says that a connection is gone.
                await connection.ExecuteAsync(new CommandDefinition("select 1", cancellationToken: ct));
            }
        }
    }

    private void Tell(string id)
    {
        try
        {
            redis.GetSubscriber().Publish(RedisChannel.Literal(Revocations.Channel), id, StackExchange.Redis.CommandFlags.FireAndForget);
        }
        catch (RedisException)
        {
            // Services look by themselves.
        }
    }
}
