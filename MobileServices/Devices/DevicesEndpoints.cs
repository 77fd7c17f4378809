using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileServices.Devices.Admin;

namespace MobileServices.Devices;

public static class DevicesEndpoints
{
    /// <summary>Ten push addresses of the greatest length and the rest of a registration fit in, also when every character is escaped.</summary>
    private const int LargestBody = 512 * 1024;

    public static void MapDevices(this IEndpointRouteBuilder app)
    {
        ArgumentNullException.ThrowIfNull(app);
        var devices = app.MapGroup("/devices").WithTags("Devices").RequireScope(Scopes.Devices);
        devices.MapPut("/{id}", PutAsync).WithSummary("Registers an installation or renews its registration; idempotent")
            .WithMetadata(new RequestSizeLimitAttribute(LargestBody));
        devices.MapGet("/{id}", GetAsync).WithSummary("One registered installation");
        devices.MapDelete("/{id}", DeleteAsync).WithSummary("Removes an installation and its push addresses; idempotent");
        devices.MapPost("/{id}/lost", LostAsync).WithSummary("Its user has lost it: blocks the device and removes its push addresses; idempotent");

        // Before anybody has logged in.
        var open = app.MapGroup("/devices").WithTags("Devices").AllowAnonymous();
        open.MapPost("/init", LaunchEndpoints.InitAsync).WithSummary("What an app asks at its start: may this version go on?");
        open.MapGet("/keys", LaunchEndpoints.KeysAsync).WithSummary("The public keys of signed decisions, a JWK set (RFC 7517)");
        app.MapGet(AppRuleSet.Path, LaunchEndpoints.RulesAsync).AllowAnonymous().ExcludeFromDescription();

        var admin = app.MapGroup("/devices/admin").WithTags("Devices: administration").RequireScope(Scopes.DevicesAdmin);
        admin.MapRules();
        admin.MapRegistry();
    }

    /// <returns>The user of the access token; null without one, and for a client that calls for itself (RFC 9068, section 5).</returns>
    internal static string? Id(this ClaimsPrincipal caller) =>
        caller.FindFirstValue("sub") is { } subject && subject != caller.FindFirstValue("client_id") ? subject : null;

    internal static bool IsInstallation(string id, out Guid installation) => Guid.TryParseExact(id, "D", out installation) && installation != Guid.Empty;

    internal static ValidationProblem NoInstallation() => TypedResults.ValidationProblem(
        new Dictionary<string, string[]> { ["id"] = ["Must be a UUID such as 3f2504e0-4f89-41d3-9a0c-0305e82c3301, made once by the installation."] },
        detail: "The path names no installation: see errors.",
        title: "Bad Request");

    private static async Task<Results<Ok<Device>, Created<Device>, ValidationProblem, ProblemHttpResult>> PutAsync(
        string id, Registration registration, ClaimsPrincipal caller, DeviceStore store, CancellationToken ct)
    {
        if (!IsInstallation(id, out var installation))
        {
            return NoInstallation();
        }
        if (DeviceRules.Check(registration) is { Count: > 0 } errors)
        {
            return TypedResults.ValidationProblem(errors, detail: "The registration is not complete and right: see errors.", title: "Bad Request");
        }
        if (await store.PutAsync(installation, registration, caller.Id(), ct) is not { } put)
        {
            return TypedResults.Problem("This device is blocked. Its user or an administrator has to unblock it.", statusCode: StatusCodes.Status403Forbidden);
        }
        return put.Created ? TypedResults.Created($"/devices/{put.Device.Id}", put.Device) : TypedResults.Ok(put.Device);
    }

    private static async Task<Results<Ok<Device>, ProblemHttpResult, ValidationProblem>> GetAsync(
        string id, ClaimsPrincipal caller, DeviceStore store, CancellationToken ct)
    {
        if (!IsInstallation(id, out var installation))
        {
            return NoInstallation();
        }
        return await store.GetAsync(installation, caller.Id(), ct) is { } device ? TypedResults.Ok(device) : NotRegistered(installation);
    }

    private static async Task<Results<NoContent, ValidationProblem>> DeleteAsync(
        string id, ClaimsPrincipal caller, DeviceStore store, CancellationToken ct)
    {
        if (!IsInstallation(id, out var installation))
        {
            return NoInstallation();
        }
        await store.DeleteAsync(installation, caller.Id(), ct);
        return TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, ProblemHttpResult, ValidationProblem>> LostAsync(
        string id, ClaimsPrincipal caller, DeviceStore store, ChangeStore changes, CancellationToken ct)
    {
        if (!IsInstallation(id, out var installation))
        {
            return NoInstallation();
        }
        if (caller.Id() is not { } user || (await store.GetAsync(installation, user, ct))?.User != user)
        {
            return NotRegistered(installation);
        }
        return RulesEndpoints.Refusal(await changes.ApplyAsync(new DeviceBlock(installation, new("lost")), user, ct)) is { } refusal
            ? refusal
            : TypedResults.NoContent();
    }

    private static ProblemHttpResult NotRegistered(Guid installation) =>
        TypedResults.Problem($"The installation {installation} is not registered. Register it with PUT.", statusCode: StatusCodes.Status404NotFound);
}
