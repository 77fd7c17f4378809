using Dapper;
using MobileIntegration.Contracts;
using Npgsql;

namespace MobileServices.Analytics.Journey;

/// <summary>Keeps what services tell of users. Orders are told by the integration, as they change.</summary>
internal static class JourneyStore
{
    private const int Ordered = 5;

    private const string Sql =
        """
        insert into analytics.outcome (step, reference, user_id, at)
        select @step, reference, user_id, at from unnest(@references, @users, @times) as told (reference, user_id, at)
        on conflict do nothing
        """;

    public static Task NoteAsync(NpgsqlTransaction transaction, UserOutcomes told, CancellationToken ct) => WriteAsync(transaction, (short)told.Step, told.Outcomes, ct);

    /// <summary>An order counts once, whatever becomes of it.</summary>
    public static Task NoteAsync(NpgsqlTransaction transaction, Event<OrderChanged> told, CancellationToken ct) =>
        WriteAsync(transaction, Ordered, [new(told.Data.CustomerId, told.Data.OrderId, told.OccurredAt)], ct);

    private static Task<int> WriteAsync(NpgsqlTransaction transaction, short step, IReadOnlyList<UserOutcome> outcomes, CancellationToken ct) =>
        transaction.Connection!.ExecuteAsync(new CommandDefinition(
            Sql,
            new
            {
                step,
                references = outcomes.Select(one => one.Reference).ToArray(),
                users = outcomes.Select(one => one.UserId).ToArray(),
                times = outcomes.Select(one => one.At.UtcDateTime).ToArray(),
            },
            transaction, cancellationToken: ct));
}
