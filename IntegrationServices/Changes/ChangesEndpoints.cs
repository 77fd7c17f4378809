using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Changes;

/// <summary>The operators' routes, and where the backend systems send their webhooks.</summary>
public static class ChangesEndpoints
{
    private const int Most = 100;
    private const int LongestName = 200;

    public static void MapChanges(this IEndpointRouteBuilder app)
    {
        WebhookEndpoint.Map(app);
        var changes = app.MapGroup("/changes").WithTags("Changes");
        changes.MapGet("", OverviewAsync).WithSummary("How the changes of each system come in, and how far each subscriber is");
        changes.MapGet("/set-aside", ListSetAsideAsync).WithSummary("What could not be understood, oldest first; filters: status (open unless asked for), system");
        changes.MapPost("/set-aside/{id:guid}/replay", ReplaySetAsideAsync).WithSummary("Reads it again; idempotent, audited");
        changes.MapPost("/set-aside/{id:guid}/discard", DiscardSetAsideAsync).WithSummary("Ends it unread; idempotent, audited");
        changes.MapGet("/dead-letters", ListDeadLettersAsync).WithSummary("Events that a subscriber could not take, oldest first; filter: subscription");
        changes.MapPost("/dead-letters/{subscription}/{id:guid}/replay", ReplayDeadLetterAsync).WithSummary("Gives the event to its subscriber again; idempotent, audited");
        changes.MapPost("/dead-letters/{subscription}/{id:guid}/discard", DiscardDeadLetterAsync).WithSummary("Ends it: the subscriber never has it; idempotent, audited");
        changes.MapDelete("/subscriptions/{name}", UnsubscribeAsync).WithSummary("Ends the subscription of a subscriber that is no more");
    }

    private static async Task<Tagged<ChangesOverview>> OverviewAsync(ChangeOperations operations, CancellationToken ct) =>
        Tagged.Ok(await operations.OverviewAsync(ct));

    private static async Task<Results<Tagged<SetAsidePage>, ValidationProblem>> ListSetAsideAsync(
        string? status, string? system, Guid? cursor, int? limit, ChangeOperations operations, CancellationToken ct)
    {
        if (limit is < 1 or > Most)
        {
            return Invalid.Field("limit", $"Must be from 1 to {Most}.");
        }
        if (status is not (null or "open" or "replayed" or "discarded"))
        {
            return Invalid.Field("status", "Must be one of open, replayed, discarded.");
        }
        if (system is not null && !BackendChange.Types.ContainsKey(system))
        {
            return Invalid.Field("system", $"Must be one of {string.Join(", ", BackendChange.Types.Keys)}.");
        }
        var most = limit ?? 50;
        var page = await operations.ListSetAsideAsync(status ?? "open", system, cursor, most, ct);
        return Tagged.Ok(new SetAsidePage(page, page.Count == most ? page[^1].Id : null));
    }

    private static async Task<Results<Ok<SetAside>, ProblemHttpResult>> ReplaySetAsideAsync(
        Guid id, ClaimsPrincipal caller, ChangeOperations operations, CancellationToken ct) => await operations.ReplayAsync(id, Who(caller), ct) switch
        {
            (null, _) => Unknown(id),
            (_, { } reason) => Conflict($"It still cannot be read: {reason}"),
            ({ Status: "discarded" }, _) => Conflict("It was discarded."),
            var (now, _) => TypedResults.Ok(now),
        };

    private static async Task<Results<Ok<SetAside>, ProblemHttpResult>> DiscardSetAsideAsync(
        Guid id, ClaimsPrincipal caller, ChangeOperations operations, CancellationToken ct) => await operations.DiscardAsync(id, Who(caller), ct) switch
        {
            null => Unknown(id),
            { Status: "replayed" } => Conflict("It was replayed."),
            var now => TypedResults.Ok(now),
        };

    private static async Task<Results<Tagged<DeadLetterPage>, ValidationProblem>> ListDeadLettersAsync(
        string? subscription, long? cursor, int? limit, DeadLetters letters, CancellationToken ct)
    {
        if (limit is < 1 or > Most)
        {
            return Invalid.Field("limit", $"Must be from 1 to {Most}.");
        }
        if (subscription is not null && !Text.IsPlain(subscription, LongestName))
        {
            return Invalid.Field("subscription", "Must be the name of a subscription.");
        }
        var most = limit ?? 50;
        var page = await letters.ListAsync(subscription, cursor, most, ct);
        return Tagged.Ok(new DeadLetterPage(page, page.Count == most ? page[^1].Number : null));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> ReplayDeadLetterAsync(
        string subscription, Guid id, ClaimsPrincipal caller, DeadLetters letters, CancellationToken ct) =>
        await letters.ReplayAsync(subscription, id, Who(caller), ct) || await letters.WasAsync("replayed", subscription, id, ct)
            ? TypedResults.NoContent()
            : NoDeadLetter(subscription, id);

    private static async Task<Results<NoContent, ProblemHttpResult>> DiscardDeadLetterAsync(
        string subscription, Guid id, ClaimsPrincipal caller, DeadLetters letters, CancellationToken ct) =>
        await letters.DiscardAsync(subscription, id, Who(caller), ct) || await letters.WasAsync("discarded", subscription, id, ct)
            ? TypedResults.NoContent()
            : NoDeadLetter(subscription, id);

    private static async Task<Results<NoContent, ProblemHttpResult>> UnsubscribeAsync(string name, DeadLetters letters, CancellationToken ct) =>
        await letters.UnsubscribeAsync(name, ct)
            ? TypedResults.NoContent()
            : TypedResults.Problem($"There is no subscription '{name}'.", statusCode: StatusCodes.Status404NotFound);

    /// <summary>A client that calls for itself is named by its own name.</summary>
    private static string Who(ClaimsPrincipal caller) => caller.FindFirstValue("sub") ?? caller.FindFirstValue("client_id") ?? "unknown";

    private static ProblemHttpResult Unknown(Guid id) => TypedResults.Problem($"Nothing was set aside under {id}.", statusCode: StatusCodes.Status404NotFound);

    private static ProblemHttpResult NoDeadLetter(string subscription, Guid id) =>
        TypedResults.Problem($"The event {id} is no dead letter of '{subscription}'.", statusCode: StatusCodes.Status404NotFound);

    private static ProblemHttpResult Conflict(string detail) => TypedResults.Problem(detail, statusCode: StatusCodes.Status409Conflict);
}

/// <param name="Next">The cursor of the next page; null on the last.</param>
internal sealed record SetAsidePage(IReadOnlyList<SetAside> Items, Guid? Next);

/// <param name="Next">The cursor of the next page; null on the last.</param>
internal sealed record DeadLetterPage(IReadOnlyList<DeadLetter> Items, long? Next);
