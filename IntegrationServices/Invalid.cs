using Microsoft.AspNetCore.Http.HttpResults;

namespace IntegrationServices;

/// <summary>400 with RFC 9457 <c>errors</c>.</summary>
internal static class Invalid
{
    public static ValidationProblem Field(string name, string message) => TypedResults.ValidationProblem(
        new Dictionary<string, string[]> { [name] = [message] }, detail: $"{name}: {message}", title: "Bad Request");
}
