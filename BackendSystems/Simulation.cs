using Microsoft.AspNetCore.Http.HttpResults;

namespace BackendSystems;

/// <param name="Count">How many records change; 1 to 1000, 10 when left out.</param>
/// <param name="Seed">The same data and seed give the same change; made up when left out.</param>
internal sealed record SimulateRequest(int? Count, int? Seed);

internal sealed record SimulateAnswer(int Seed, IReadOnlyList<string> Changed);

/// <summary>A change of a system's data on demand: <c>POST /{system}/simulate/{what}</c>.</summary>
internal static class Simulation
{
    /// <param name="changeAsync">Changes up to (count) records chosen by (seed) and answers their ids.</param>
    public static void MapSimulation(
        this IEndpointRouteBuilder routes, string path, Func<int, int, CancellationToken, Task<IReadOnlyList<string>>> changeAsync) =>
        routes.MapPost(path, async Task<Results<Ok<SimulateAnswer>, ProblemHttpResult>> (SimulateRequest? request, CancellationToken ct) =>
        {
            var count = request?.Count ?? 10;
            if (count is < 1 or > 1_000)
            {
                return TypedResults.Problem("count must be from 1 to 1000.", statusCode: StatusCodes.Status400BadRequest);
            }

            var seed = request?.Seed ?? Random.Shared.Next();
            return TypedResults.Ok(new SimulateAnswer(seed, await changeAsync(count, seed, ct)));
        });
}
