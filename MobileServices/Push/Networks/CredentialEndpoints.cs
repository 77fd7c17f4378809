using System.Security.Claims;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileServices.Devices;
using MobileServices.Push.Registrations;

namespace MobileServices.Push.Networks;

/// <summary>How administrators give an app its networks. Secrets go in and never come out.</summary>
internal static class CredentialEndpoints
{
    public static void MapCredentials(this IEndpointRouteBuilder admin)
    {
        admin.MapGet("/apps/{app}/networks", ListAsync).WithSummary("The networks of an app, and what is wrong with them");
        admin.MapPut("/apps/{app}/networks/{network}", PutAsync)
            .WithSummary("Saves the credential of a network; secrets that are left out stay. It is tried where the network offers a call that sends nothing; what has waited for it goes on")
            .ProducesValidationProblem().ProducesProblem(404).ProducesProblem(422);
        admin.MapDelete("/apps/{app}/networks/{network}", DeleteAsync).WithSummary("Removes a credential; what waits for it waits until its time is over").ProducesProblem(404);
    }

    private static async Task<Ok<IReadOnlyList<NetworkState>>> ListAsync(string app, CredentialStore store, CancellationToken ct) => TypedResults.Ok(await store.ListAsync(app, ct));

    private static async Task<Results<Ok<NetworkState>, ValidationProblem, ProblemHttpResult>> PutAsync(
        string app, string network, JsonElement body, ClaimsPrincipal caller, CredentialStore store, NetworkList networks, CancellationToken ct)
    {
        if (networks.Find(network) is not { } target)
        {
            return NoNetwork(network, networks);
        }
        var errors = new Dictionary<string, string[]>();
        if (!DeviceRules.IsAppId(app))
        {
            errors["app"] = ["Must be a reverse domain name such as com.example.shop."];
        }
        if (body.ValueKind is not JsonValueKind.Object)
        {
            errors["body"] = ["Must be a JSON object with the credential's members."];
            return RegistrationEndpoints.Wrong(errors);
        }
        var form = target.Read(body, (await store.GetAsync(app, network, ct))?.Form, errors);
        if (form is null || errors.Count > 0)
        {
            return RegistrationEndpoints.Wrong(errors, "The credential is not complete and right: see errors.");
        }
        if (await target.TryAsync(target.Open(form), ct) is { } refusal)
        {
            return TypedResults.Problem($"{network} does not take this credential: {refusal}. Nothing was saved.", statusCode: StatusCodes.Status422UnprocessableEntity);
        }
        await store.SaveAsync(app, network, form, caller.FindFirstValue("sub") ?? "?", ct);
        return TypedResults.Ok((await store.ListAsync(app, ct)).Single(state => state.Network == network));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(string app, string network, CredentialStore store, CancellationToken ct) =>
        await store.DeleteAsync(app, network, ct) ? TypedResults.NoContent() : TypedResults.Problem($"The app {app} has no credential for {network}.", statusCode: 404);

    private static ProblemHttpResult NoNetwork(string network, NetworkList networks) =>
        TypedResults.Problem($"There is no network '{network}'. Networks: {networks.Names}.", statusCode: 404);

    /// <returns>Null when it is not there or no text.</returns>
    public static string? Text(this JsonElement body, string name) =>
        body.TryGetProperty(name, out var member) && member.ValueKind is JsonValueKind.String ? member.GetString() : null;
}
