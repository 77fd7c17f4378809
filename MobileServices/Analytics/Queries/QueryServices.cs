using Microsoft.Extensions.Options;
using MobileServices.Analytics.Administration;

namespace MobileServices.Analytics.Queries;

/// <summary>What every query has in common: the app, the range, what is wrong with it, and the form of its answer.</summary>
internal sealed class QueryServices(QueryStore store, AppStore apps, IOptions<AnalyticsOptions> options, TimeProvider time)
{
    public QueryStore Store => store;

    public int Smallest => options.Value.SmallestGroup;

    /// <param name="app">Null for what is of no single app.</param>
    /// <param name="ask">Null when the query is wrong.</param>
    public async Task<IResult> AnswerAsync(string? app, string? from, string? to, HttpContext http, Func<Query, QueryRange, Task<(object Answer, Csv Rows)?>> ask, CancellationToken ct)
    {
        var id = app is null ? 0 : await apps.FindAsync(app, ct);
        if (id is null)
        {
            return AppEndpoints.NoApp(app!);
        }
        var query = new Query(id.Value);
        var range = QueryRange.Read(from, to, DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime), options.Value.MostDays, query.Errors);
        try
        {
            if (await ask(query, range ?? default) is not var (answer, rows) || query.IsWrong)
            {
                return TypedResults.ValidationProblem(query.Errors, detail: "The query is not right: see errors.", title: "Bad Request");
            }
            return http.Request.Query["format"] == "csv" || http.Request.Headers.Accept.ToString().StartsWith("text/csv", StringComparison.Ordinal) ? rows : Results.Json(answer);
        }
        catch (QueryTooCostlyException)
        {
            return TypedResults.Problem(
                $"The query took longer than {options.Value.QuerySeconds} s (Analytics:QuerySeconds) and was given up. Ask for a shorter range.", statusCode: StatusCodes.Status503ServiceUnavailable);
        }
    }
}

/// <summary>One query and what is wrong with it.</summary>
internal sealed class Query(int app)
{
    public int App => app;

    public Dictionary<string, string[]> Errors { get; } = [];

    public bool IsWrong => Errors.Count > 0;

    public void Check(bool right, string name, string mend)
    {
        if (!right)
        {
            Errors[name] = [mend];
        }
    }

    /// <returns>0 days, 1 weeks, 2 months.</returns>
    public int Grain(string? interval)
    {
        var grain = Array.IndexOf(["day", "week", "month"], interval ?? "day");
        Check(grain >= 0, "interval", "Must be day, week or month.");
        return grain;
    }

    public int Limit(int? limit, int most)
    {
        Check(limit is null || (limit >= 1 && limit <= most), "limit", $"Must be from 1 to {most}.");
        return limit ?? Math.Min(10, most);
    }

    /// <returns>Null when it is none of them.</returns>
    public T? Pick<T>(string text, string name) where T : struct, Enum
    {
        if (char.IsAsciiLetter(text.FirstOrDefault()) && !text.Contains(',', StringComparison.Ordinal) && Enum.TryParse<T>(text, ignoreCase: true, out var picked))
        {
            return picked;
        }
        Check(false, name, $"Must be one of {string.Join(", ", Enum.GetNames<T>().Select(one => char.ToLowerInvariant(one[0]) + one[1..]))}.");
        return null;
    }
}
