using System.Security.Claims;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.ServiceDefaults;

namespace Gateway;

/// <summary>The administration of client applications and their API keys.</summary>
internal static partial class ApiClientEndpoints
{
    private const int MostItems = 100;

    public static void MapApiClients(this IEndpointRouteBuilder app)
    {
        var clients = app.MapGroup("/admin/clients").WithTags("Client applications").RequireScope(Scopes.GatewayAdmin)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        clients.MapPost("/", CreateAsync).WithSummary("Makes a client and its first key, which is shown this once").ProducesProblem(409);
        clients.MapGet("/", ListAsync).WithSummary("All clients by id, with their keys");
        clients.MapGet("/{id}", GetAsync).WithSummary("One client with its keys").ProducesProblem(404);
        clients.MapPatch("/{id}", ChangeAsync).WithSummary("Changes a client's name or plan").ProducesProblem(404);
        clients.MapPost("/{id}/keys", AddKeyAsync).WithSummary("Makes one more key, which is shown this once").ProducesProblem(404).ProducesProblem(409);
        clients.MapDelete("/{id}/keys/{key:guid}", RevokeKeyAsync).WithSummary("Revokes a key; idempotent").ProducesProblem(404);
        clients.MapGet("/{id}/audit", AuditAsync).WithSummary("Who changed what about a client, the newest first");
    }

    private static async Task<Results<Created<MadeClient>, ValidationProblem, ProblemHttpResult>> CreateAsync(
        ClientDraft draft, HttpContext http, ApiClientStore store, ApiClients clients, LimitPlans plans, CancellationToken ct)
    {
        var client = draft with { Plan = draft.Plan ?? plans.Default.Name };
        var errors = Check(client.Name, client.Plan, plans);
        if (client.Id is null || !ClientId().IsMatch(client.Id))
        {
            errors["id"] = ["Must be 1 to 64 lower-case letters, digits, dots, hyphens and underscores, a letter or digit first."];
        }
        if (client.Name is null)
        {
            errors["name"] = ["Must be there."];
        }
        if (errors.Count > 0)
        {
            return Wrong(errors);
        }
        var made = NewKey();
        if (await store.CreateAsync(client, Who(http.User), made.Id, made.Key, ct) is { } refusal)
        {
            return Problem(refusal);
        }
        await clients.ChangedAsync();
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created($"/admin/clients/{client.Id}", new MadeClient(client.Id!, client.Name!, client.Plan!, made));
    }

    private static async Task<Results<Ok<ClientPage<ListedClient>>, ValidationProblem>> ListAsync(
        string? cursor, int? limit, ApiClientStore store, CancellationToken ct)
    {
        if (limit is < 1 or > MostItems)
        {
            return WrongLimit();
        }
        var most = limit ?? MostItems;
        var clients = await store.ListAsync(null, cursor, most, ct);
        return TypedResults.Ok(new ClientPage<ListedClient>(clients, clients.Count == most ? clients[^1].Id : null));
    }

    private static async Task<Results<Ok<ListedClient>, ProblemHttpResult>> GetAsync(string id, ApiClientStore store, CancellationToken ct) =>
        (await store.ListAsync(id, null, 1, ct)) is [var client] ? TypedResults.Ok(client) : Problem(new(404, $"There is no client '{id}'."));

    private static async Task<Results<NoContent, ValidationProblem, ProblemHttpResult>> ChangeAsync(
        string id, ClientChange change, ClaimsPrincipal caller, ApiClientStore store, ApiClients clients, LimitPlans plans, CancellationToken ct)
    {
        var errors = Check(change.Name, change.Plan, plans);
        if (change is { Name: null, Plan: null })
        {
            errors["plan"] = ["Send name, plan or both."];
        }
        if (errors.Count > 0)
        {
            return Wrong(errors);
        }
        return await DoneAsync(clients, await store.UpdateAsync(id, change, Who(caller), ct)) is { } refusal ? refusal : TypedResults.NoContent();
    }

    private static async Task<Results<Created<MadeKey>, ProblemHttpResult>> AddKeyAsync(
        string id, HttpContext http, ApiClientStore store, ApiClients clients, CancellationToken ct)
    {
        var made = NewKey();
        if (await DoneAsync(clients, await store.AddKeyAsync(id, Who(http.User), made.Id, made.Key, ct)) is { } refusal)
        {
            return refusal;
        }
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created($"/admin/clients/{id}", made);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RevokeKeyAsync(
        string id, Guid key, ClaimsPrincipal caller, ApiClientStore store, ApiClients clients, CancellationToken ct) =>
        await DoneAsync(clients, await store.RevokeKeyAsync(id, key, Who(caller), ct)) is { } refusal ? refusal : TypedResults.NoContent();

    private static async Task<Results<Ok<ClientPage<ClientAuditEntry>>, ValidationProblem>> AuditAsync(
        string id, long? cursor, int? limit, ApiClientStore store, CancellationToken ct)
    {
        if (limit is < 1 or > MostItems)
        {
            return WrongLimit();
        }
        var most = limit ?? MostItems;
        var entries = await store.AuditAsync(id, cursor, most, ct);
        return TypedResults.Ok(new ClientPage<ClientAuditEntry>(
            entries, entries.Count == most ? entries[^1].Id.ToString(System.Globalization.CultureInfo.InvariantCulture) : null));
    }

    private static async Task<ProblemHttpResult?> DoneAsync(ApiClients clients, ClientRefusal? refusal)
    {
        if (refusal is not null)
        {
            return Problem(refusal);
        }
        await clients.ChangedAsync();
        return null;
    }

    private static Dictionary<string, string[]> Check(string? name, string? plan, LimitPlans plans)
    {
        var errors = new Dictionary<string, string[]>();
        if (name is not null && (string.IsNullOrWhiteSpace(name) || name.Length > 200 || name.Any(char.IsControl)))
        {
            errors["name"] = ["Must be text of at most 200 characters."];
        }
        if (plan is not null && plans.Find(plan) is null)
        {
            errors["plan"] = [$"Must be one of {plans.Names}."];
        }
        return errors;
    }

    private static MadeKey NewKey()
    {
        var key = ApiKeys.Create();
        return new(Guid.CreateVersion7(), key, ApiKeys.PrefixOf(key));
    }

    private static string Who(ClaimsPrincipal caller) => caller.FindFirstValue("sub") ?? "anonymous";

    private static ValidationProblem WrongLimit() => Wrong(new() { ["limit"] = [$"Must be from 1 to {MostItems}."] });

    private static ValidationProblem Wrong(Dictionary<string, string[]> errors) =>
        TypedResults.ValidationProblem(errors, detail: "The request is not complete and right: see errors.", title: "Bad Request");

    private static ProblemHttpResult Problem(ClientRefusal refusal) => TypedResults.Problem(refusal.Detail, statusCode: refusal.Status);

    [GeneratedRegex("^[a-z0-9][a-z0-9._-]{0,63}$", RegexOptions.CultureInvariant)]
    private static partial Regex ClientId();
}

/// <param name="Plan">The default plan unless it is there.</param>
internal sealed record ClientDraft(string? Id, string? Name, string? Plan);

/// <summary>What is null stays as it is.</summary>
internal sealed record ClientChange(string? Name, string? Plan);

internal sealed record MadeClient(string Id, string Name, string Plan, MadeKey Key);

/// <param name="Key">The key itself, which nobody can show again.</param>
internal sealed record MadeKey(Guid Id, string Key, string Prefix);

internal sealed record ListedClient(string Id, string Name, string Plan, DateTime CreatedAt, IReadOnlyList<ListedKey> Keys);

/// <param name="LastUsedAt">To the minute.</param>
internal sealed record ListedKey(Guid Id, string Prefix, DateTime CreatedAt, DateTime? LastUsedAt, DateTime? RevokedAt);

internal sealed record ClientAuditEntry(long Id, DateTime At, string Who, string Action, JsonElement? Before, JsonElement? After);

/// <param name="Next">Where the next page begins: send it as <c>cursor</c>; null after the last.</param>
internal sealed record ClientPage<T>(IReadOnlyList<T> Items, string? Next);
