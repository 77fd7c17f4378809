using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace MobileServices.Analytics.Administration;

internal static class AppEndpoints
{
    public static void MapApps(this RouteGroupBuilder admin)
    {
        admin.MapGet("/apps", ListAsync).WithSummary("The apps whose events are taken");
        admin.MapPut("/apps/{app}", SaveAsync).WithSummary("Adds an app, or changes its name and how long its events are kept");
        admin.MapGet("/apps/{app}/keys", KeysAsync).WithSummary("The write keys of an app, without the keys themselves");
        admin.MapPost("/apps/{app}/keys", AddKeyAsync).WithSummary("Makes a write key; the answer is the only time that it is told");
        admin.MapDelete("/apps/{app}/keys/{id:guid}", RevokeKeyAsync).WithSummary("Revokes a write key: within ten seconds nobody sends with it");
        admin.MapGet("/apps/{app}/dropped", DroppedAsync).WithSummary("How many messages were not taken, by day and reason");
        admin.MapGet("/dropped", DroppedRequestsAsync).WithSummary("How many requests were refused before their app was known, by day and reason");
        admin.MapGet("/status", StatusAsync).WithSummary("How many events are stored and not in the numbers yet");
        admin.MapGet("/audit", AuditAsync).WithSummary("Who changed, erased and exported what, the newest first");
    }

    public static ProblemHttpResult NoApp(string app) => TypedResults.Problem($"There is no app {app} here. Add it with PUT /analytics/admin/apps/{app}.", statusCode: 404);

    public static string Who(ClaimsPrincipal caller) => caller.FindFirstValue("sub") ?? "anonymous";

    private static async Task<Ok<IReadOnlyList<TrackedApp>>> ListAsync(AppStore store, CancellationToken ct) => TypedResults.Ok(await store.ListAsync(ct));

    private static async Task<Results<Ok<TrackedApp>, ValidationProblem>> SaveAsync(
        string app, AppRequest wanted, ClaimsPrincipal caller, AppStore store, IOptions<AnalyticsOptions> options, CancellationToken ct)
    {
        Dictionary<string, string[]> errors = [];
        if (app.Length > 200 || app.Any(char.IsControl))
        {
            errors["app"] = ["Must be a reverse domain name such as com.example.shop."];
        }
        if (wanted.Name is not { Length: > 0 and <= 200 } || wanted.Name.Any(char.IsControl))
        {
            errors["name"] = ["Must be a text of 1 to 200 characters."];
        }
        if (wanted.RetentionDays <= options.Value.MostAgeDays || wanted.RetentionDays > 3650)
        {
            errors["retentionDays"] = [$"Must be from {options.Value.MostAgeDays + 1} to 3650: what is still taken must still be known."];
        }
        if (errors.Count > 0)
        {
            return Wrong(errors);
        }
        TrackedApp saved = new(app, wanted.Name!, wanted.RetentionDays);
        await store.SaveAsync(saved, Who(caller), ct);
        return TypedResults.Ok(saved);
    }

    private static async Task<Results<Ok<IReadOnlyList<WriteKeyRow>>, ProblemHttpResult>> KeysAsync(string app, AppStore store, CancellationToken ct) =>
        await store.FindAsync(app, ct) is { } id ? TypedResults.Ok(await store.KeysAsync(id, ct)) : NoApp(app);

    private static async Task<Results<Ok<NewKey>, ValidationProblem, ProblemHttpResult>> AddKeyAsync(
        string app, KeyRequest wanted, HttpContext http, AppStore store, CancellationToken ct)
    {
        if (wanted.Name is not { Length: > 0 and <= 200 } || wanted.Name.Any(char.IsControl))
        {
            return Wrong(new() { ["name"] = ["Must be a text of 1 to 200 characters that says where the key is used."] });
        }
        if (await store.FindAsync(app, ct) is not { } id)
        {
            return NoApp(app);
        }
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(await store.AddKeyAsync(id, app, wanted.Name, Who(http.User), ct));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RevokeKeyAsync(string app, Guid id, ClaimsPrincipal caller, AppStore store, CancellationToken ct)
    {
        if (await store.FindAsync(app, ct) is not { } known)
        {
            return NoApp(app);
        }
        return await store.RevokeKeyAsync(known, app, id, Who(caller), ct)
            ? TypedResults.NoContent()
            : TypedResults.Problem($"The app {app} has no write key {id} in force.", statusCode: 404);
    }

    private static async Task<Results<Ok<IReadOnlyList<DroppedCount>>, ProblemHttpResult>> DroppedAsync(string app, AppStore store, CancellationToken ct) =>
        await store.FindAsync(app, ct) is { } id ? TypedResults.Ok(await store.DroppedAsync(id, ct)) : NoApp(app);

    private static async Task<Ok<IReadOnlyList<DroppedCount>>> DroppedRequestsAsync(AppStore store, CancellationToken ct) => TypedResults.Ok(await store.DroppedAsync(0, ct));

    private static async Task<Ok<IngestStatus>> StatusAsync(AppStore store, CancellationToken ct) => TypedResults.Ok(await store.StatusAsync(ct));

    private static async Task<Ok<IReadOnlyList<AnalyticsAudit>>> AuditAsync(long? before, AppStore store, CancellationToken ct) => TypedResults.Ok(await store.AuditAsync(before, ct));

    private static ValidationProblem Wrong(Dictionary<string, string[]> errors) =>
        TypedResults.ValidationProblem(errors, detail: "The request is not complete and right: see errors.", title: "Bad Request");
}

internal sealed record AppRequest(string? Name, int? RetentionDays);

/// <param name="Name">Where the key is used, for those who read the list.</param>
internal sealed record KeyRequest(string? Name);
