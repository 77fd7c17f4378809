using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
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
        var devices = app.MapGroup("/devices").WithTags("Devices").RequireScope(Scopes.Devices).CheckDeviceProofs();
        devices.MapPut("/{id}", PutAsync).WithSummary("Registers an installation or renews its registration; idempotent")
            .Produces<Device>().Produces<Device>(StatusCodes.Status201Created).ProducesValidationProblem().ProducesProblem(401).ProducesProblem(403)
            .WithMetadata(new RequestSizeLimitAttribute(LargestBody)).DescribeProof();
        devices.MapGet("/{id}", GetAsync).WithSummary("One registered installation").ProducesProblem(404).DescribeProof();
        devices.MapDelete("/{id}", DeleteAsync).WithSummary("Removes an installation and its push addresses; idempotent").DescribeProof();
        devices.MapPost("/{id}/lost", LostAsync).WithSummary("Its user has lost it: blocks the device and removes its push addresses; idempotent").ProducesProblem(404).DescribeProof();

        // Before anybody has logged in.
        var open = app.MapGroup("/devices").WithTags("Devices").AllowAnonymous().CheckDeviceProofs();
        open.MapPost("/init", LaunchEndpoints.InitAsync).WithSummary("What an app asks at its start: may this version go on?").DescribeProof();
        open.MapGet("/keys", LaunchEndpoints.Keys).WithSummary("The public keys of signed decisions, a JWK set (RFC 7517)");
        app.MapGet(AppRuleSet.Path, LaunchEndpoints.RulesAsync).AllowAnonymous().ExcludeFromDescription();

        var admin = app.MapGroup("/devices/admin").WithTags("Devices: administration").RequireScope(Scopes.DevicesAdmin);
        admin.MapRules();
        admin.MapRegistry();
    }

    private static RouteHandlerBuilder DescribeProof(this RouteHandlerBuilder endpoint) =>
        endpoint.DescribeHeader("DPoP", "Proof of the device's key (RFC 9449), where the device has registered one or policy asks for it.");

    /// <returns>The user of the access token; null without one, and for a client that calls for itself (RFC 9068, section 5).</returns>
    internal static string? Id(this ClaimsPrincipal caller) =>
        caller.FindFirstValue("sub") is { } subject && subject != caller.FindFirstValue("client_id") ? subject : null;

    internal static bool IsInstallation(string id, out Guid installation) => Guid.TryParseExact(id, "D", out installation) && installation != Guid.Empty;

    internal static ValidationProblem NoInstallation() => TypedResults.ValidationProblem(
        new Dictionary<string, string[]> { ["id"] = ["Must be a UUID such as 3f2504e0-4f89-41d3-9a0c-0305e82c3301, made once by the installation."] },
        detail: "The path names no installation: see errors.",
        title: "Bad Request");

    private static async Task<IResult> PutAsync(
        string id, Registration registration, ClaimsPrincipal caller, DeviceStore store, IOptions<DevicesOptions> options, HttpContext http, CancellationToken ct)
    {
        if (!IsInstallation(id, out var installation))
        {
            return NoInstallation();
        }
        if (DeviceRules.Check(registration) is { Count: > 0 } errors)
        {
            return TypedResults.ValidationProblem(errors, detail: "The registration is not complete and right: see errors.", title: "Bad Request");
        }
        if (options.Value.RequireKeys && http.DeviceKey() is null)
        {
            return http.ProofProblem("invalid_dpop_proof", "Installations register with a key: sign the request with it (header DPoP, RFC 9449).");
        }
        var put = await store.PutAsync(installation, registration, caller.Id(), http.DeviceKey(), ct);
        return put.Outcome switch
        {
            PutOutcome.Created => TypedResults.Created($"/devices/{installation}", put.Device),
            PutOutcome.Renewed => TypedResults.Ok(put.Device),
            PutOutcome.Blocked => TypedResults.Problem(
                "This device is blocked. Its user or an administrator has to unblock it.", statusCode: StatusCodes.Status403Forbidden),
            _ => http.ProofProblem(
                "invalid_dpop_proof",
                "This installation has registered a key: sign the request with it (header DPoP, RFC 9449). If the key is lost, its user removes the installation with DELETE, or it takes another id."),
        };
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
        string id, ClaimsPrincipal caller, DeviceStore store, HttpContext http, CancellationToken ct)
    {
        if (!IsInstallation(id, out var installation))
        {
            return NoInstallation();
        }
        await store.DeleteAsync(installation, caller.Id(), http.DeviceKey(), ct);
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
