using Microsoft.AspNetCore.Http.HttpResults;

namespace MobileServices.Analytics.Administration;

internal static class PersonEndpoints
{
    public static void MapPeople(this RouteGroupBuilder admin)
    {
        admin.MapPost("/apps/{app}/people/erase", EraseAsync).WithSummary("Erases one person, by anonymousId or userId, from the events and from every number")
            .ProducesProblem(StatusCodes.Status404NotFound);
        admin.MapPost("/apps/{app}/people/export", ExportAsync).WithSummary("All that is kept of one person, a JSON object a line")
            .Produces(StatusCodes.Status200OK, contentType: "application/x-ndjson").ProducesValidationProblem().ProducesProblem(StatusCodes.Status404NotFound);
    }

    private static async Task<Results<Ok<Erasure>, ValidationProblem, ProblemHttpResult>> EraseAsync(
        string app, PersonRequest person, HttpContext http, AppStore apps, PersonStore store, CancellationToken ct) =>
        Check(person) is { } wrong ? wrong
        : await apps.FindAsync(app, ct) is not { } id ? AppEndpoints.NoApp(app)
        : TypedResults.Ok(new Erasure(await store.EraseAsync(id, app, person.AnonymousId, person.UserId, AppEndpoints.Who(http.User), ct)));

    private static async Task<IResult> ExportAsync(string app, PersonRequest person, HttpContext http, AppStore apps, PersonStore store, CancellationToken ct)
    {
        if (Check(person) is { } wrong)
        {
            return wrong;
        }
        if (await apps.FindAsync(app, ct) is not { } id)
        {
            return AppEndpoints.NoApp(app);
        }
        var lines = store.ExportAsync(id, app, person.AnonymousId, person.UserId, AppEndpoints.Who(http.User), ct);
        return TypedResults.Stream(
            async stream =>
            {
                await using var writer = new StreamWriter(stream);
                await foreach (var line in lines.WithCancellation(ct))
                {
                    await writer.WriteLineAsync(line.AsMemory(), ct);
                }
            },
            "application/x-ndjson", "person.ndjson");
    }

    private static ValidationProblem? Check(PersonRequest person) => (person.AnonymousId is { Length: > 0 and <= 256 }) ^ (person.UserId is { Length: > 0 and <= 256 })
        ? null
        : TypedResults.ValidationProblem(
            new Dictionary<string, string[]> { ["userId"] = ["Send either the userId or the anonymousId of the person."] }, detail: "The request is not complete and right: see errors.", title: "Bad Request");
}

/// <param name="AnonymousId">One installation.</param>
/// <param name="UserId">A user, with all installations that he was seen on.</param>
internal sealed record PersonRequest(string? AnonymousId, string? UserId);

internal sealed record Erasure(long Events);
