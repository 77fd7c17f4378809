using Microsoft.AspNetCore.Http.HttpResults;
using MobileServices.Analytics.Queries;

namespace MobileServices.Analytics.Administration;

internal static class FunnelEndpoints
{
    private const int MostFunnels = 20;

    public static void MapFunnels(this RouteGroupBuilder admin)
    {
        admin.MapGet("/apps/{app}/funnels", ListAsync).WithSummary("The saved funnels of an app");
        admin.MapPut("/apps/{app}/funnels/{name}", SaveAsync).WithSummary("Saves a funnel that is asked often: its days are counted ahead");
        admin.MapDelete("/apps/{app}/funnels/{name}", RemoveAsync).WithSummary("Removes a saved funnel");
    }

    private static async Task<Results<Ok<IReadOnlyList<FunnelDefinition>>, ProblemHttpResult>> ListAsync(string app, AppStore apps, FunnelStore store, CancellationToken ct) =>
        await apps.FindAsync(app, ct) is { } id
            ? TypedResults.Ok<IReadOnlyList<FunnelDefinition>>([.. (await store.ListAsync(id, ct)).Select(funnel => new FunnelDefinition(funnel.Name, funnel.Steps, funnel.WithinHours))])
            : AppEndpoints.NoApp(app);

    private static async Task<Results<Ok<FunnelDefinition>, ValidationProblem, ProblemHttpResult>> SaveAsync(
        string app, string name, FunnelRequest wanted, AppStore apps, FunnelStore store, CancellationToken ct)
    {
        Dictionary<string, string[]> errors = [];
        if (name.Length > 100 || name.Any(char.IsControl))
        {
            errors["name"] = ["Must be at most 100 characters."];
        }
        if (wanted.Steps is not { Length: >= 2 and <= 8 } || !wanted.Steps.All(step => step is { Length: > 0 and <= 210 }))
        {
            errors["steps"] = ["Must be two to eight names of events, or of screens with screen: before them."];
        }
        if (wanted.WithinHours is < 1 or > 168)
        {
            errors["withinHours"] = ["Must be from 1 to 168."];
        }
        if (errors.Count > 0)
        {
            return TypedResults.ValidationProblem(errors, detail: "The request is not complete and right: see errors.", title: "Bad Request");
        }
        if (await apps.FindAsync(app, ct) is not { } id)
        {
            return AppEndpoints.NoApp(app);
        }
        if ((await store.ListAsync(id, ct)).Count(funnel => funnel.Name != name) >= MostFunnels)
        {
            return TypedResults.Problem($"The app has {MostFunnels} funnels, which is the most. Remove one.", statusCode: StatusCodes.Status409Conflict);
        }
        FunnelDefinition saved = new(name, wanted.Steps!, wanted.WithinHours ?? 24);
        await store.SaveAsync(id, name, [.. saved.Steps], saved.WithinHours, ct);
        return TypedResults.Ok(saved);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RemoveAsync(string app, string name, AppStore apps, FunnelStore store, CancellationToken ct) =>
        await apps.FindAsync(app, ct) is not { } id ? AppEndpoints.NoApp(app)
        : await store.RemoveAsync(id, name, ct) ? TypedResults.NoContent()
        : TypedResults.Problem($"The app {app} has no funnel '{name}'.", statusCode: StatusCodes.Status404NotFound);
}

/// <param name="WithinHours">From the entry to the last step; 24 unless given.</param>
internal sealed record FunnelRequest(string[]? Steps, int? WithinHours);

internal sealed record FunnelDefinition(string Name, IReadOnlyList<string> Steps, int WithinHours);
