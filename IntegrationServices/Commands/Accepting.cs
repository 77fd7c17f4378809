using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Commands;

/// <summary>What every slice answers that takes commands.</summary>
internal static class Accepting
{
    private const int LargestKeyOwner = 1024;

    /// <summary>Writes the command down and answers 202 with the address of its status.</summary>
    /// <param name="statuses">The path under which the slice shows its commands.</param>
    /// <param name="subject">What it is about, given the id that the command gets.</param>
    public static async Task<Results<Accepted<CommandStatus>, ProblemHttpResult, ValidationProblem>> AcceptAsync<T>(
        this CommandStore store, HttpContext http, string statuses, string kind, Func<Guid, string> subject, string customerId, T body, CancellationToken ct)
    {
        if (IdempotencyKey.Read(http.Request.Headers[IdempotencyKey.Header]) is not { } key)
        {
            return TypedResults.Problem(
                $"{IdempotencyKey.Header} {IdempotencyKey.Form} Send the same one with every retry.", statusCode: StatusCodes.Status400BadRequest);
        }
        var text = JsonSerializer.Serialize(body, Command.Json);
        var fingerprint = SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(new { kind, path = http.Request.Path.Value, text }));
        var id = Guid.CreateVersion7();
        var accepted = await store.AcceptAsync(new(id, kind, subject(id), customerId, Caller(http.User), key, fingerprint, text), ct);
        if (accepted.IsOther)
        {
            return TypedResults.Problem(
                $"This {IdempotencyKey.Header} was used for another call. Send a new key with a new call, and the same call with the same key.",
                statusCode: StatusCodes.Status422UnprocessableEntity);
        }
        var status = await store.FindAsync(accepted.Id, ct)
            ?? throw new InvalidOperationException($"The command {accepted.Id} was forgotten while it was asked for.");
        return TypedResults.Accepted($"{statuses}/{accepted.Id}", status);
    }

    /// <summary>The status of a command of one of these kinds, for its customer and the back office.</summary>
    public static async Task<Results<Tagged<CommandStatus>, ProblemHttpResult>> ShowAsync(
        this CommandStore store, Guid id, HttpContext http, string[] kinds, CancellationToken ct)
    {
        // The command of another customer is not there.
        if (await store.FindAsync(id, ct) is not { } status || !kinds.Contains(status.Kind) || !http.User.MaySee(status.CustomerId))
        {
            return TypedResults.Problem($"There is no command {id}.", statusCode: StatusCodes.Status404NotFound);
        }
        if (status.EndedAt is null)
        {
            http.Response.Headers.RetryAfter = "1";
        }
        return Tagged.Ok(status);
    }

    private static string Caller(ClaimsPrincipal user)
    {
        var caller = JsonSerializer.Serialize((string?[])[user.FindFirstValue("client_id") ?? user.FindFirstValue("azp"), user.FindFirstValue("sub")]);
        return caller.Length <= LargestKeyOwner ? caller : Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(caller)));
    }
}
