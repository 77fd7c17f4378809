using System.Globalization;
using System.Security.Claims;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;

namespace MobileServices.Configuration.Admin;

/// <summary>How administrators change flags: a draft first, then its publication, now or at a time.</summary>
internal static class FlagEndpoints
{
    private const int MostEntries = 100;
    private const int LongestNote = 500;

    public static void MapFlags(this IEndpointRouteBuilder admin)
    {
        var flags = admin.MapGroup("/apps/{app}/flags");
        flags.MapGet("", ListAsync).WithSummary("The flags of an app, those with only a draft too");
        flags.MapGet("/{key}", GetAsync).WithSummary("What is in force and the draft; the version in force is the ETag");
        flags.MapPut("/{key}/draft", SaveDraftAsync).WithSummary("Makes a draft, or changes it (If-Match with its ETag); nothing of it is in force yet");
        flags.MapDelete("/{key}/draft", DropDraftAsync).WithSummary("Throws the draft away");
        flags.MapPost("/{key}/publish", PublishAsync).WithSummary("Brings the draft into force, now or at a time");
        flags.MapDelete("/{key}/schedule", UnscheduleAsync).WithSummary("Takes a scheduled publication back; the draft stays");
        flags.MapPost("/{key}/rollback", RollbackAsync).WithSummary("Brings an earlier version into force again, as a new one");
        flags.MapDelete("/{key}", RemoveAsync).WithSummary("Takes a flag out of force (If-Match)");
        flags.MapGet("/{key}/versions", VersionsAsync).WithSummary("All that was in force, the newest first, 200 at most");
        flags.MapGet("/{key}/diff", DiffAsync).WithSummary("What differs between two versions, or between one and the draft");
        flags.MapPost("/{key}/explain", ExplainAsync).WithSummary("Evaluates a flag, or its draft, and tells each step");
        admin.MapGet("/audit", AuditAsync).WithSummary("Who changed what, the newest first");
    }

    private static async Task<Ok<IReadOnlyList<FlagSummary>>> ListAsync(string app, FlagStore store, CancellationToken ct) => TypedResults.Ok(await store.ListAsync(app, ct));

    private static async Task<Results<Ok<FlagState>, ProblemHttpResult>> GetAsync(string app, string key, HttpContext http, FlagStore store, CancellationToken ct)
    {
        var (live, draft) = await store.GetAsync(app, key, ct);
        if (live is null && draft is null)
        {
            return Problem(new(404, $"The app {app} has no flag '{key}'."));
        }
        if (live is not null)
        {
            http.Response.Headers.ETag = Tag(live.Version);
        }
        return TypedResults.Ok(new FlagState(live, draft));
    }

    private static async Task<Results<Ok<FlagDraft>, ValidationProblem, ProblemHttpResult>> SaveDraftAsync(
        string app, string key, Flag flag, HttpContext http, FlagStore store, CancellationToken ct)
    {
        var errors = FlagRules.Check(flag);
        if (!FlagRules.IsKey(key))
        {
            errors["key"] = ["Must be at most 100 letters, digits, '-', '_' and '.', such as new-checkout."];
        }
        if (app.Length > 200 || app.Any(char.IsControl))
        {
            errors["app"] = ["Must be a reverse domain name such as com.example.shop."];
        }
        if (errors.Count > 0)
        {
            return Wrong(errors);
        }
        var condition = http.Request.Headers.IfMatch.ToString();
        var (draft, refusal) = await store.SaveDraftAsync(app, key, flag, Who(http.User), before => Match(condition, before?.Revision, $"draft of '{key}'"), ct);
        if (refusal is not null)
        {
            return Problem(refusal);
        }
        http.Response.Headers.ETag = Tag(draft!.Revision);
        return TypedResults.Ok(draft);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DropDraftAsync(string app, string key, ClaimsPrincipal caller, FlagStore store, CancellationToken ct) =>
        await store.DropDraftAsync(app, key, Who(caller), ct) is { } refusal ? Problem(refusal) : TypedResults.NoContent();

    private static async Task<Results<Ok<Published>, ValidationProblem, ProblemHttpResult>> PublishAsync(
        string app, string key, Publication publication, ClaimsPrincipal caller, FlagStore store, TimeProvider time, CancellationToken ct)
    {
        if (CheckNote(publication.Note) is { } wrong)
        {
            return wrong;
        }
        if (publication.At is { } at)
        {
            return at <= time.GetUtcNow()
                ? Wrong(new() { ["at"] = ["Must be in the future; leave it out to publish now."] })
                : await store.ScheduleAsync(app, key, at, publication.Note, Who(caller), ct) is { } later ? Problem(later) : TypedResults.Ok(new Published(null, at));
        }
        var (version, refusal) = await store.PublishAsync(app, key, publication.Note, Who(caller), ct);
        return refusal is not null ? Problem(refusal) : TypedResults.Ok(new Published(version, null));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> UnscheduleAsync(string app, string key, ClaimsPrincipal caller, FlagStore store, CancellationToken ct) =>
        await store.ScheduleAsync(app, key, null, null, Who(caller), ct) is { } refusal ? Problem(refusal) : TypedResults.NoContent();

    private static async Task<Results<Ok<Published>, ValidationProblem, ProblemHttpResult>> RollbackAsync(
        string app, string key, Rollback rollback, ClaimsPrincipal caller, FlagStore store, CancellationToken ct)
    {
        if (CheckNote(rollback.Note) is { } wrong)
        {
            return wrong;
        }
        if (rollback.Version is not { } wanted)
        {
            return Wrong(new() { ["version"] = ["Is missing. Send one of those that /versions lists."] });
        }
        var (version, refusal) = await store.RollbackAsync(app, key, wanted, rollback.Note, Who(caller), ct);
        return refusal is not null ? Problem(refusal) : TypedResults.Ok(new Published(version, null));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RemoveAsync(string app, string key, HttpContext http, FlagStore store, CancellationToken ct)
    {
        var condition = http.Request.Headers.IfMatch.ToString();
        var (_, refusal) = await store.RemoveAsync(app, key, Who(http.User), live => Match(condition, live.Version, $"flag '{key}'"), ct);
        return refusal is not null ? Problem(refusal) : TypedResults.NoContent();
    }

    private static async Task<Ok<IReadOnlyList<FlagVersion>>> VersionsAsync(string app, string key, FlagStore store, CancellationToken ct) =>
        TypedResults.Ok(await store.VersionsAsync(app, key, ct));

    /// <param name="to">A version, or <c>draft</c>.</param>
    private static async Task<Results<Ok<IReadOnlyList<Difference>>, ProblemHttpResult>> DiffAsync(
        string app, string key, long from, string to, FlagStore store, CancellationToken ct)
    {
        var versions = await store.VersionsAsync(app, key, ct);
        var before = versions.FirstOrDefault(version => version.Version == from);
        var after = to is "draft"
            ? (await store.GetAsync(app, key, ct)).Draft?.Flag
            : versions.FirstOrDefault(version => version.Version.ToString(CultureInfo.InvariantCulture) == to)?.Flag;
        if (before is null || (after is null && (to is "draft" || versions.All(version => version.Version.ToString(CultureInfo.InvariantCulture) != to))))
        {
            return Problem(new(404, $"The flag '{key}' has no {(before is null ? $"version {from}" : to is "draft" ? "draft" : $"version {to}")}."));
        }
        return TypedResults.Ok<IReadOnlyList<Difference>>([.. Difference.Between(JsonSerializer.SerializeToNode(before.Flag, Flag.Json), JsonSerializer.SerializeToNode(after, Flag.Json))]);
    }

    private static async Task<Results<Ok<Explanation>, ProblemHttpResult>> ExplainAsync(
        string app, string key, ExplainRequest asked, HttpContext http, FlagStore store, FlagSets flags, TimeProvider time, CancellationToken ct)
    {
        var body = JsonSerializer.SerializeToElement(new { context = asked.Context }, Flag.Json);
        if (EvaluationContext.Read(body, http.Request, new ClaimsPrincipal(), out var problem, app) is not { } context)
        {
            return Problem(new(400, problem!));
        }
        context = context with { User = asked.User };
        var set = flags.Of(app);
        if (asked.Draft)
        {
            if ((await store.GetAsync(app, key, ct)).Draft is not { } draft)
            {
                return Problem(new(404, $"There is no draft of the flag '{key}'."));
            }
            var others = new Dictionary<string, Flag>(set.Flags, StringComparer.Ordinal) { [key] = draft.Flag };
            if (FlagRules.CheckRequirements(key, draft.Flag, others) is { } wrong)
            {
                return Problem(new(409, wrong));
            }
            set = new(app, 0, others);
        }
        var steps = new List<EvaluationStep>();
        if (set.Evaluate(key, context, asked.At ?? time.GetUtcNow(), steps) is not { } outcome)
        {
            return Problem(new(404, $"The app {app} has no flag '{key}' in force."));
        }
        return TypedResults.Ok(outcome.IsMissing
            ? new Explanation(null, null, $"ERROR: {OfrepEndpoints.NoKey(key).ErrorDetails}", null, steps)
            : new(JsonElement.Parse(outcome.Value.Span), outcome.Variant, outcome.Reason, outcome.Rule, steps));
    }

    private static async Task<Results<Ok<AuditPage>, ValidationProblem>> AuditAsync(
        string? app, string? key, long? cursor, int? limit, FlagStore store, CancellationToken ct)
    {
        if (limit is < 1 or > MostEntries)
        {
            return Wrong(new() { ["limit"] = [$"Must be from 1 to {MostEntries}."] });
        }
        var entries = await store.AuditAsync(app, key, cursor, limit ?? MostEntries, ct);
        return TypedResults.Ok(new AuditPage(entries, entries.Count == (limit ?? MostEntries) ? entries[^1].Id.ToString(CultureInfo.InvariantCulture) : null));
    }

    /// <summary>Nobody overwrites what somebody else has just changed (RFC 9110, section 13.1; RFC 6585, section 3).</summary>
    private static Refusal? Match(string condition, long? version, string what) => (condition, version) switch
    {
        ("", null) => null,
        ("", { } there) => new(428, $"There is a {what}. Send If-Match with its ETag, {Tag(there)} now, so that no change of others is lost."),
        (_, null) => new(412, $"There is no {what} any more."),
        (_, { } there) => condition == Tag(there) ? null : new(412, $"The {what} was changed meanwhile; its ETag is {Tag(there)} now. Read it again."),
    };

    private static ValidationProblem? CheckNote(string? note) => note is null || (note.Length <= LongestNote && !note.Any(char.IsControl))
        ? null
        : Wrong(new() { ["note"] = [$"Must be text of at most {LongestNote} characters."] });

    private static string Tag(long version) => string.Create(CultureInfo.InvariantCulture, $"\"{version}\"");

    private static string Who(ClaimsPrincipal caller) => caller.FindFirstValue("sub") ?? "anonymous";

    private static ProblemHttpResult Problem(Refusal refusal) => TypedResults.Problem(refusal.Detail, statusCode: refusal.Status);

    private static ValidationProblem Wrong(Dictionary<string, string[]> errors) =>
        TypedResults.ValidationProblem(errors, detail: "The request is not complete and right: see errors.", title: "Bad Request");
}

/// <param name="Live">What is in force; null when nothing is.</param>
internal sealed record FlagState(FlagVersion? Live, FlagDraft? Draft);

/// <param name="At">When the draft comes into force; null for now.</param>
/// <param name="Note">Why, for the history.</param>
internal sealed record Publication(DateTimeOffset? At, string? Note);

internal sealed record Rollback(long? Version, string? Note);

/// <param name="Version">The new version in force; null when it is scheduled.</param>
internal sealed record Published(long? Version, DateTimeOffset? At);

/// <param name="Context">As an OFREP client sends it.</param>
/// <param name="User">As if a token of this user were sent.</param>
/// <param name="Draft">Of the draft instead of what is in force.</param>
/// <param name="At">At this time instead of now.</param>
internal sealed record ExplainRequest(JsonElement? Context, string? User, bool Draft, DateTimeOffset? At);

internal sealed record Explanation(JsonElement? Value, string? Variant, string Reason, string? Rule, IReadOnlyList<EvaluationStep> Steps);

/// <param name="Next">Where the next page begins: send it as <c>cursor</c>; null after the last.</param>
internal sealed record AuditPage(IReadOnlyList<FlagAudit> Items, string? Next);
