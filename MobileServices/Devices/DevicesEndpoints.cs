using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace MobileServices.Devices;

public static class DevicesEndpoints
{
    /// <summary>Ten push addresses of the greatest length and the rest of a registration fit in, also when every character is escaped.</summary>
    private const int LargestBody = 512 * 1024;

    public static void MapDevices(this IEndpointRouteBuilder app)
    {
        var devices = app.MapGroup("/devices").WithTags("Devices");
        devices.MapPut("/{id}", PutAsync).WithSummary("Registers an installation or renews its registration; idempotent")
            .WithMetadata(new RequestSizeLimitAttribute(LargestBody));
        devices.MapGet("/{id}", GetAsync).WithSummary("One registered installation");
        devices.MapDelete("/{id}", DeleteAsync).WithSummary("Removes an installation and its push addresses; idempotent");
    }

    private static async Task<Results<Ok<Device>, Created<Device>, ValidationProblem>> PutAsync(
        string id, Registration registration, DeviceStore store, CancellationToken ct)
    {
        if (!IsInstallation(id, out var installation))
        {
            return NoInstallation();
        }
        if (DeviceRules.Check(registration) is { Count: > 0 } errors)
        {
            return TypedResults.ValidationProblem(errors, detail: "The registration is not complete and right: see errors.", title: "Bad Request");
        }
        var (device, created) = await store.PutAsync(installation, registration, ct);
        return created ? TypedResults.Created($"/devices/{device.Id}", device) : TypedResults.Ok(device);
    }

    private static async Task<Results<Ok<Device>, ProblemHttpResult, ValidationProblem>> GetAsync(string id, DeviceStore store, CancellationToken ct)
    {
        if (!IsInstallation(id, out var installation))
        {
            return NoInstallation();
        }
        return await store.GetAsync(installation, ct) is { } device
            ? TypedResults.Ok(device)
            : TypedResults.Problem($"The installation {installation} is not registered. Register it with PUT.", statusCode: StatusCodes.Status404NotFound);
    }

    private static async Task<Results<NoContent, ValidationProblem>> DeleteAsync(string id, DeviceStore store, CancellationToken ct)
    {
        if (!IsInstallation(id, out var installation))
        {
            return NoInstallation();
        }
        await store.DeleteAsync(installation, ct);
        return TypedResults.NoContent();
    }

    private static bool IsInstallation(string id, out Guid installation) => Guid.TryParseExact(id, "D", out installation) && installation != Guid.Empty;

    private static ValidationProblem NoInstallation() => TypedResults.ValidationProblem(
        new Dictionary<string, string[]> { ["id"] = ["Must be a UUID such as 3f2504e0-4f89-41d3-9a0c-0305e82c3301, made once by the installation."] },
        detail: "The path names no installation: see errors.",
        title: "Bad Request");
}
