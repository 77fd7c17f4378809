using Microsoft.AspNetCore.Http.HttpResults;

namespace FrontendServices;

/// <summary>400 with RFC 9457 <c>errors</c>.</summary>
internal static class Invalid
{
    public static ProblemHttpResult Field(string name, string message) => TypedResults.Problem(
        new HttpValidationProblemDetails(new Dictionary<string, string[]> { [name] = [message] })
        {
            Status = StatusCodes.Status400BadRequest,
            Title = "Bad Request",
            Detail = $"{name}: {message}",
        });
}
