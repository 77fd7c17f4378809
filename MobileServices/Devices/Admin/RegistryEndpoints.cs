using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;

namespace MobileServices.Devices.Admin;

/// <summary>The apps, their versions and devices.</summary>
internal static class RegistryEndpoints
{
    private const int MostDevices = 200;

    public static void MapRegistry(this IEndpointRouteBuilder admin)
    {
        admin.MapGet("/apps", AppsAsync).WithSummary("All apps that were seen or named");
        admin.MapPut("/apps/{app}", PutAppAsync).WithSummary("Names an app; idempotent");
        admin.MapGet("/apps/{app}/versions", VersionsAsync).WithSummary("The versions that were seen, and how many devices have each now");
        admin.MapGet("/devices", DevicesAsync).WithSummary("Devices, by id; filters: app, platform, version, user, blocked");
    }

    private static async Task<Ok<IReadOnlyList<App>>> AppsAsync(RegistryStore registry, CancellationToken ct) =>
        TypedResults.Ok(await registry.AppsAsync(ct));

    private static async Task<Results<NoContent, ValidationProblem>> PutAppAsync(
        string app, AppSettings settings, ClaimsPrincipal caller, ChangeStore changes, CancellationToken ct)
    {
        var errors = new Dictionary<string, string[]>();
        if (!DeviceRules.IsAppId(app))
        {
            errors["app"] = ["Must be a reverse domain name such as com.example.shop."];
        }
        if (string.IsNullOrWhiteSpace(settings.Name) || settings.Name.Length > 200 || settings.Name.Any(char.IsControl))
        {
            errors["name"] = ["Must be text of at most 200 characters."];
        }
        if (errors.Count > 0)
        {
            return RulesEndpoints.Wrong(errors);
        }
        await changes.ApplyAsync(new AppChange(app, settings), RulesEndpoints.Who(caller), ct);
        return TypedResults.NoContent();
    }

    private static async Task<Ok<IReadOnlyList<AppVersion>>> VersionsAsync(string app, RegistryStore registry, CancellationToken ct) =>
        TypedResults.Ok(await registry.VersionsAsync(app, ct));

    private static async Task<Results<Ok<Page<ListedDevice>>, ValidationProblem>> DevicesAsync(
        string? app, string? platform, string? version, string? user, bool? blocked, Guid? cursor, int? limit, RegistryStore registry, CancellationToken ct)
    {
        if (limit is < 1 or > MostDevices)
        {
            return RulesEndpoints.Wrong(new() { ["limit"] = [$"Must be from 1 to {MostDevices}."] });
        }
        AppPlatform? named = Enum.TryParse<AppPlatform>(platform, ignoreCase: true, out var parsed) && Enum.IsDefined(parsed) ? parsed : null;
        if (platform is not null && named is null)
        {
            return RulesEndpoints.Wrong(new() { ["platform"] = [$"Must be one of {DeviceRules.Names<AppPlatform>()}."] });
        }
        var most = limit ?? 50;
        var devices = await registry.DevicesAsync(new(app, named?.ToString(), version, user, blocked), cursor, most, ct);
        return TypedResults.Ok(new Page<ListedDevice>(devices, devices.Count == most ? devices[^1].Id.ToString() : null));
    }
}

/// <param name="Platforms">Those on which it was seen.</param>
internal sealed record App(string Id, string Name, IReadOnlyList<AppPlatform> Platforms, DateTime RegisteredAt);

/// <param name="Installs">Devices that have this version now.</param>
internal sealed record AppVersion(AppPlatform Platform, string Version, DateTime FirstSeenAt, DateTime LastSeenAt, long Installs);

/// <summary>A device without what only the push service needs.</summary>
/// <param name="BlockedFor">The reason of its block; null while it is not blocked.</param>
internal sealed record ListedDevice(
    Guid Id,
    string AppId,
    string AppVersion,
    AppPlatform Platform,
    string OsVersion,
    string Model,
    string Locale,
    string? User,
    DateTime RegisteredAt,
    DateTime LastSeenAt,
    string? BlockedFor);

internal sealed record DeviceFilter(string? App, string? Platform, string? Version, string? User, bool? Blocked);
