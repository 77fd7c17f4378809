using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.ServiceDefaults;
using MobileServices.Devices;
using MobileServices.Push.Deliveries;
using MobileServices.Push.Networks;
using MobileServices.Push.Networks.WebPush;

namespace MobileServices.Push.Registrations;

/// <summary>What an app does for its installation and its user.</summary>
internal static class RegistrationEndpoints
{
    private const int MostReceipts = 100;

    public static void MapRegistrations(this IEndpointRouteBuilder app)
    {
        app.MapPut("/registrations/{deviceId}", PutAsync).WithSummary("Registers where an installation can be reached, or renews it; idempotent")
            .ProducesValidationProblem().ProducesProblem(401).ProducesProblem(403);
        app.MapDelete("/registrations/{deviceId}", DeleteAsync).WithSummary("Removes it; idempotent").ProducesValidationProblem();
        app.MapGet("/apps/{app}/vapid", KeyAsync).WithSummary("The public key that browsers subscribe with (applicationServerKey)").ProducesProblem(404);
        app.MapGet("/preferences", GetPreferencesAsync).WithSummary("Quiet hours and muted categories of the token's user").ProducesProblem(403);
        app.MapPut("/preferences", PutPreferencesAsync).WithSummary("Changes them, for all of the user's devices").ProducesValidationProblem().ProducesProblem(403);
        app.MapPost("/registrations/{deviceId}/receipts", ReceiptsAsync).WithSummary("The app tells which messages have arrived and were opened; idempotent").ProducesValidationProblem();
    }

    internal static ValidationProblem Wrong(Dictionary<string, string[]> errors, string detail = "The request is not complete and right: see errors.") =>
        TypedResults.ValidationProblem(errors, detail: detail, title: "Bad Request");

    private static async Task<Results<Created, NoContent, ValidationProblem>> PutAsync(
        string deviceId, PushRegistration registration, ClaimsPrincipal caller, RegistrationStore store, NetworkList networks, CancellationToken ct)
    {
        if (!DevicesEndpoints.IsInstallation(deviceId, out var device))
        {
            return DevicesEndpoints.NoInstallation();
        }
        if (RegistrationRules.Check(registration, networks) is { Count: > 0 } errors)
        {
            return Wrong(errors, "The registration is not complete and right: see errors.");
        }
        return await store.PutAsync(device, registration, caller.Id(), caller.CustomerId(), ct) ? TypedResults.Created($"/push/registrations/{device}") : TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, ValidationProblem>> DeleteAsync(string deviceId, ClaimsPrincipal caller, RegistrationStore store, CancellationToken ct)
    {
        if (!DevicesEndpoints.IsInstallation(deviceId, out var device))
        {
            return DevicesEndpoints.NoInstallation();
        }
        await store.DeleteAsync(device, caller.Id(), ct);
        return TypedResults.NoContent();
    }

    private static async Task<Results<Ok<VapidKey>, ProblemHttpResult>> KeyAsync(string app, CredentialStore credentials, CancellationToken ct) =>
        await credentials.GetAsync(app, WebPushNetwork.NetworkName, ct) is { } credential
            ? TypedResults.Ok(new VapidKey((string)credential.Form.Settings["publicKey"]!))
            : TypedResults.Problem($"The app {app} has no credential for Web Push. An administrator saves one with PUT /push/apps/{app}/networks/webpush.", statusCode: 404);

    private static async Task<Results<Ok<PushPreferences>, ProblemHttpResult>> GetPreferencesAsync(ClaimsPrincipal caller, RegistrationStore store, CancellationToken ct) =>
        caller.Id() is { } user ? TypedResults.Ok(await store.GetPreferencesAsync(user, ct)) : NoUser();

    private static async Task<Results<NoContent, ValidationProblem, ProblemHttpResult>> PutPreferencesAsync(
        PushPreferences preferences, ClaimsPrincipal caller, RegistrationStore store, CancellationToken ct)
    {
        if (caller.Id() is not { } user)
        {
            return NoUser();
        }
        var errors = new Dictionary<string, string[]>();
        if (preferences.QuietHours is { } quiet && (quiet.From is null || quiet.Until is null || quiet.From == quiet.Until))
        {
            errors["quietHours"] = ["Must have from and until, such as 22:00 and 07:00, and they must differ. Leave quietHours out to have none."];
        }
        if (preferences.QuietHours?.TimeZone is { } zone && !RegistrationRules.IsTimeZone(zone))
        {
            errors["quietHours.timeZone"] = ["Must be an IANA time zone such as Europe/Vienna. Leave it out for that of each device."];
        }
        if (preferences.MutedCategories is { } muted && (muted.Count > 100 || !muted.All(RegistrationRules.IsTag)))
        {
            errors["mutedCategories"] = ["Must be at most 100 categories of at most 100 letters, digits, '-', '_', '.' and ':'."];
        }
        if (errors.Count > 0)
        {
            return Wrong(errors);
        }
        await store.PutPreferencesAsync(user, preferences, ct);
        return TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, ValidationProblem>> ReceiptsAsync(
        string deviceId, PushReceipts receipts, ClaimsPrincipal caller, Ledger ledger, CancellationToken ct)
    {
        if (!DevicesEndpoints.IsInstallation(deviceId, out var device))
        {
            return DevicesEndpoints.NoInstallation();
        }
        if (receipts.Messages is not { Count: > 0 and <= MostReceipts } messages || messages.Any(message => message?.Id is null || message.State is not ("delivered" or "opened")))
        {
            return Wrong(new() { ["messages"] = [$"Must be 1 to {MostReceipts} messages, each with its id and a state, delivered or opened."] });
        }
        await ledger.ReceiveAsync(device, caller.Id(), messages, ct);
        return TypedResults.NoContent();
    }

    private static ProblemHttpResult NoUser() =>
        TypedResults.Problem("The access token is not that of a user, and preferences are a user's. Log in with the app.", statusCode: StatusCodes.Status403Forbidden);
}

/// <summary>What a user wants, on all devices.</summary>
internal sealed record PushPreferences(QuietHours? QuietHours, IReadOnlyList<string>? MutedCategories);

/// <summary>Nothing but urgent and silent messages comes from one time of the day to the other; over midnight when the second is earlier.</summary>
/// <param name="TimeZone">IANA name; without one by the time zone of each device.</param>
internal sealed record QuietHours(TimeOnly? From, TimeOnly? Until, string? TimeZone);

internal sealed record VapidKey(string PublicKey);

internal sealed record PushReceipts(IReadOnlyList<PushReceipt>? Messages);

/// <param name="State"><c>delivered</c> or <c>opened</c>.</param>
internal sealed record PushReceipt(Guid? Id, string? State);
