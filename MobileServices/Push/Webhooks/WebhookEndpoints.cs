using System.Globalization;
using System.Security.Claims;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using MobileServices.Devices;
using MobileServices.Push.Networks;
using MobileServices.Push.Registrations;

namespace MobileServices.Push.Webhooks;

/// <summary>How administrators have an app's backend told of what becomes of its messages.</summary>
internal static class WebhookEndpoints
{
    private const int LargestPage = 500;
    private const int LongestUrl = 2000;
    private static readonly string[] States = ["pending", "delivered", "failed"];

    public static void MapWebhooks(this IEndpointRouteBuilder admin)
    {
        admin.MapGet("/apps/{app}/webhook", GetAsync).WithSummary("Where the app's backend is told, and how that goes").ProducesProblem(404);
        admin.MapPut("/apps/{app}/webhook", PutAsync)
            .WithSummary("Saves it (Standard Webhooks). A secret that is made here is in this answer and in no other; one that was switched off is on again").ProducesValidationProblem();
        admin.MapDelete("/apps/{app}/webhook", DeleteAsync).WithSummary("Removes it with all its events").ProducesProblem(404);
        admin.MapGet("/apps/{app}/webhook/events", EventsAsync).WithSummary("What it was told and what it was not, the newest first, in pages; also those of one state").ProducesProblem(404).ProducesValidationProblem();
        admin.MapPost("/apps/{app}/webhook/events/{id}/replay", ReplayAsync).WithSummary("Sends one event again, with the same id").ProducesProblem(404).ProducesProblem(409);
        admin.MapPost("/apps/{app}/webhook/events/replay", ReplayAllAsync).WithSummary("Sends all that have failed again").ProducesProblem(404).ProducesProblem(409);
    }

    private static async Task<Results<Ok<WebhookState>, ProblemHttpResult>> GetAsync(string app, WebhookStore store, CancellationToken ct) =>
        await store.StateAsync(app, ct) is { } state ? TypedResults.Ok(state) : NoWebhook(app);

    private static async Task<Results<Ok<WebhookSaved>, ValidationProblem>> PutAsync(
        string app, WebhookForm form, ClaimsPrincipal caller, WebhookStore store, IOptions<PushOptions> options, CancellationToken ct)
    {
        var errors = Check(app, form, options.Value.AllowPrivateEndpoints);
        if (errors.Count > 0)
        {
            return RegistrationEndpoints.Wrong(errors, "The webhook is not complete and right: see errors.");
        }
        var made = await store.PutAsync(
            app, form.Url!, [.. form.Events!.Distinct()], form.Secret, form.RotateSecret is true, TimeSpan.FromHours(form.OldSecretHours ?? 24), caller.FindFirstValue("sub") ?? "?", ct);
        return TypedResults.Ok(new WebhookSaved(form.Url!, [.. form.Events!.Distinct()], made));
    }

    private static Dictionary<string, string[]> Check(string app, WebhookForm form, bool privateToo)
    {
        var errors = new Dictionary<string, string[]>();
        Require("app", DeviceRules.IsAppId(app), "Must be a reverse domain name such as com.example.shop.");
        if (form.Url is not { Length: > 0 and <= LongestUrl } url || url.Any(char.IsControl))
        {
            errors["url"] = [$"Must be an https address of at most {LongestUrl} characters."];
        }
        else if (PublicAddresses.Check(url, privateToo) is { } wrong)
        {
            errors["url"] = [wrong];
        }
        Require("events", form.Events is { Count: > 0 } && form.Events.All(WebhookEvents.All.Contains), $"Must be one or more of {string.Join(", ", WebhookEvents.All)}.");
        Require("secret", form.Secret is null || WebhookSignature.IsSecret(form.Secret), "Must be whsec_ and the base64 of 24 to 64 bytes. Leave it out to have one made.");
        Require("rotateSecret", form.RotateSecret is not true || form.Secret is null, "Has a secret made: send this or a secret.");
        Require("oldSecretHours", form.OldSecretHours is null or (>= 0 and <= 168), "Must be from 0 to 168, a week.");
        return errors;

        void Require(string field, bool holds, string otherwise)
        {
            if (!holds)
            {
                errors[field] = [otherwise];
            }
        }
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(string app, WebhookStore store, CancellationToken ct) =>
        await store.DeleteAsync(app, ct) ? TypedResults.NoContent() : NoWebhook(app);

    private static async Task<Results<Ok<WebhookEventPage>, ProblemHttpResult, ValidationProblem>> EventsAsync(
        string app, string? state, long? after, int? limit, WebhookStore store, CancellationToken ct)
    {
        if (state is not null && !States.Contains(state))
        {
            return RegistrationEndpoints.Wrong(new() { ["state"] = [$"Must be one of {string.Join(", ", States)}."] });
        }
        if (limit is < 1 or > LargestPage)
        {
            return RegistrationEndpoints.Wrong(new() { ["limit"] = [$"Must be from 1 to {LargestPage}."] });
        }
        var most = limit ?? 100;
        var page = await store.ListAsync(app, state, after, most + 1, ct);
        if (page.Count is 0 && await store.StateAsync(app, ct) is null)
        {
            return NoWebhook(app);
        }
        return TypedResults.Ok(page.Count > most
            ? new WebhookEventPage([.. page.Take(most).Select(one => one.ToEvent())], page[most - 1].Number.ToString(CultureInfo.InvariantCulture))
            : new WebhookEventPage([.. page.Select(one => one.ToEvent())], null));
    }

    private static Task<Results<Accepted<WebhookReplayed>, ProblemHttpResult>> ReplayAsync(string app, string id, WebhookStore store, CancellationToken ct) => SendAgainAsync(store, app, id, ct);

    private static Task<Results<Accepted<WebhookReplayed>, ProblemHttpResult>> ReplayAllAsync(string app, WebhookStore store, CancellationToken ct) => SendAgainAsync(store, app, null, ct);

    private static async Task<Results<Accepted<WebhookReplayed>, ProblemHttpResult>> SendAgainAsync(WebhookStore store, string app, string? id, CancellationToken ct)
    {
        if (await store.StateAsync(app, ct) is not { } state)
        {
            return NoWebhook(app);
        }
        if (state.StoppedAt is not null)
        {
            return TypedResults.Problem($"The webhook was switched off: {state.Reason}. Save it anew with PUT /push/apps/{app}/webhook first.", statusCode: StatusCodes.Status409Conflict);
        }
        var count = await store.ReplayAsync(app, id, ct);
        return count is 0 && id is not null
            ? TypedResults.Problem($"There is no event {id} that has ended; GET /push/apps/{app}/webhook/events lists them.", statusCode: 404)
            : TypedResults.Accepted((string?)null, new WebhookReplayed(count));
    }

    private static ProblemHttpResult NoWebhook(string app) => TypedResults.Problem($"The app {app} has no webhook. Save one with PUT /push/apps/{app}/webhook.", statusCode: 404);
}

/// <param name="Events">Of <c>push.address.dead</c>, <c>push.message.finished</c>, <c>push.deliveries</c>.</param>
/// <param name="Secret"><c>whsec_</c> and base64; without one that which is there stays, and one is made when there is none.</param>
/// <param name="RotateSecret">Has a new one made.</param>
/// <param name="OldSecretHours">How long the secret before signs as well when this is another; 0 to 168, 24 unless sent.</param>
internal sealed record WebhookForm(string? Url, IReadOnlyList<string>? Events, string? Secret, bool? RotateSecret, int? OldSecretHours);

/// <param name="Secret">When it was made now; it is never shown again.</param>
internal sealed record WebhookSaved(string Url, IReadOnlyList<string> Events, string? Secret);

/// <summary>How a webhook stands.</summary>
internal sealed class WebhookState
{
    public required string Url { get; init; }
    public required string[] Events { get; init; }
    public DateTime SavedAt { get; init; }
    public required string SavedBy { get; init; }

    /// <summary>Until when the secret before signs as well.</summary>
    public DateTime? OldSecretUntil { get; init; }

    /// <summary>Since when nothing is sent: it answered 410.</summary>
    public DateTime? StoppedAt { get; init; }

    /// <summary>It asked to wait until then.</summary>
    public DateTime? PausedUntil { get; init; }
    public string? Reason { get; init; }

    /// <summary>How many events wait.</summary>
    public long Pending { get; init; }

    /// <summary>How many were given up.</summary>
    public long Failed { get; init; }
}

/// <param name="Id">The header <c>webhook-id</c>.</param>
/// <param name="State"><c>pending</c>, <c>delivered</c> or <c>failed</c>.</param>
/// <param name="LastStatus">Of its last attempt; null without an answer.</param>
/// <param name="Problem">Why the last attempt was none.</param>
/// <param name="DueAt">Of a pending one: when it is tried next.</param>
internal sealed record WebhookEvent(
    string Id, string Type, string State, int Attempts, int? LastStatus, string? Problem, DateTime CreatedAt, DateTime? DueAt, DateTime? DeliveredAt, JsonNode Data);

/// <param name="Next">What to ask for the next page with, as <c>after</c>; null on the last.</param>
internal sealed record WebhookEventPage(IReadOnlyList<WebhookEvent> Events, string? Next);

/// <param name="Events">How many are sent again.</param>
internal sealed record WebhookReplayed(int Events);

internal sealed class WebhookEventView
{
    public required string Id { get; init; }
    public long Number { get; init; }
    public required string Type { get; init; }
    public required string State { get; init; }
    public int Attempts { get; init; }
    public required string Data { get; init; }
    public int? LastStatus { get; init; }
    public string? Problem { get; init; }
    public DateTime CreatedAt { get; init; }
    public DateTime DueAt { get; init; }
    public DateTime? DeliveredAt { get; init; }

    public WebhookEvent ToEvent() => new(
        Id, Type, State, Attempts, LastStatus, Problem, CreatedAt, State is "pending" ? DueAt : null, DeliveredAt, JsonNode.Parse(Data)!);
}
