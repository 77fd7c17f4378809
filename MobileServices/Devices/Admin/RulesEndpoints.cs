using System.Globalization;
using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.ServiceDefaults;

namespace MobileServices.Devices.Admin;

/// <summary>The rules, blocks of devices, and what was changed about them.</summary>
internal static class RulesEndpoints
{
    private const int MostEntries = 100;
    private const string Tagged = "The ETag of the rule as it was read.";

    public static void MapRules(this IEndpointRouteBuilder admin)
    {
        admin.MapGet("/rules", ListAsync).WithSummary("All rules, in the order in which they are asked");
        admin.MapGet("/rules/{name}", GetAsync).WithSummary("One rule; its version is the ETag").ProducesProblem(404);
        admin.MapPut("/rules/{name}", PutAsync).WithSummary("Makes a rule (If-None-Match: *) or changes it (If-Match)")
            .ProducesProblem(409).ProducesProblem(412).ProducesProblem(428)
            .DescribeHeader("If-Match", Tagged).DescribeHeader("If-None-Match", "`*`: only if there is no such rule.");
        admin.MapDelete("/rules/{name}", DeleteAsync).WithSummary("Removes a rule (If-Match)")
            .ProducesProblem(404).ProducesProblem(412).ProducesProblem(428).DescribeHeader("If-Match", Tagged);
        admin.MapPost("/rules/{name}/preview", PreviewAsync).WithSummary("How many devices a rule of this name would hit; changes nothing");
        admin.MapPut("/devices/{id}/block", BlockAsync).WithSummary("Blocks a device and removes its push addresses; idempotent");
        admin.MapDelete("/devices/{id}/block", UnblockAsync).WithSummary("Unblocks a device; idempotent");
        admin.MapGet("/audit", AuditAsync).WithSummary("Who changed what, the newest first");
        admin.MapPost("/audit/{id:long}/revert", RevertAsync).WithSummary("Puts back what was there before a change").ProducesProblem(404).ProducesProblem(409);
    }

    /// <returns>Null when there is nothing to refuse.</returns>
    internal static ProblemHttpResult? Refusal(Changed changed) =>
        changed.Refusal is { } refusal ? TypedResults.Problem(refusal.Detail, statusCode: refusal.Status) : null;

    private static async Task<Ok<IReadOnlyList<StoredRule>>> ListAsync(string? app, RegistryStore registry, CancellationToken ct) =>
        TypedResults.Ok(await registry.RulesAsync(app, ct));

    private static async Task<Results<Ok<StoredRule>, ProblemHttpResult>> GetAsync(string name, HttpContext http, RegistryStore registry, CancellationToken ct)
    {
        if (await registry.RuleAsync(name, ct) is not { } rule)
        {
            return NoRule(name);
        }
        http.Response.Headers.ETag = Tag(rule.Version);
        return TypedResults.Ok(rule);
    }

    private static async Task<Results<NoContent, Created, ValidationProblem, ProblemHttpResult>> PutAsync(
        string name, RuleDraft draft, HttpContext http, ChangeStore changes, CancellationToken ct)
    {
        if (draft.Check(name) is { Count: > 0 } errors)
        {
            return Wrong(errors);
        }
        var headers = http.Request.Headers;
        var isNew = false;
        var changed = await changes.ApplyAsync(
            new RuleChange(draft.ToRule(name))
            {
                Require = version =>
                {
                    isNew = version is null;
                    return headers.IfNoneMatch == "*" && !isNew
                        ? new(412, $"There is a rule '{name}' already. Change it with If-Match and its ETag, or take another name.")
                        : Match(headers.IfMatch.ToString(), headers.IfNoneMatch == "*", name, version);
                },
            },
            Who(http.User), ct);
        if (Refusal(changed) is { } refusal)
        {
            return refusal;
        }
        http.Response.Headers.ETag = Tag(changed.Version);
        return isNew ? TypedResults.Created($"/devices/admin/rules/{name}") : TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(string name, HttpContext http, ChangeStore changes, CancellationToken ct)
    {
        var condition = http.Request.Headers.IfMatch.ToString();
        var changed = await changes.ApplyAsync(
            new RuleChange(name, null) { Require = version => version is null ? new(404, $"There is no rule '{name}'.") : Match(condition, false, name, version) },
            Who(http.User), ct);
        return Refusal(changed) is { } refusal ? refusal : TypedResults.NoContent();
    }

    private static async Task<Results<Ok<Preview>, ValidationProblem>> PreviewAsync(
        string name, RuleDraft draft, RegistryStore registry, CancellationToken ct) =>
        draft.Check(name) is { Count: > 0 } errors ? Wrong(errors) : TypedResults.Ok(await registry.PreviewAsync(draft.ToRule(name), ct));

    private static async Task<Results<NoContent, ValidationProblem, ProblemHttpResult>> BlockAsync(
        string id, Block block, ClaimsPrincipal caller, ChangeStore changes, CancellationToken ct)
    {
        if (!DevicesEndpoints.IsInstallation(id, out var device))
        {
            return DevicesEndpoints.NoInstallation();
        }
        if (block.Reason is not { Length: > 0 and <= 200 } || block.Reason.Any(char.IsControl))
        {
            return Wrong(new() { ["reason"] = ["Must be text of at most 200 characters."] });
        }
        return Refusal(await changes.ApplyAsync(new DeviceBlock(device, block), Who(caller), ct)) is { } refusal ? refusal : TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, ValidationProblem>> UnblockAsync(string id, ClaimsPrincipal caller, ChangeStore changes, CancellationToken ct)
    {
        if (!DevicesEndpoints.IsInstallation(id, out var device))
        {
            return DevicesEndpoints.NoInstallation();
        }
        await changes.ApplyAsync(new DeviceBlock(device, null), Who(caller), ct);
        return TypedResults.NoContent();
    }

    private static async Task<Results<Ok<Page<AuditEntry>>, ValidationProblem>> AuditAsync(
        string? kind, string? key, long? cursor, int? limit, ChangeStore changes, CancellationToken ct)
    {
        if (limit is < 1 or > MostEntries)
        {
            return Wrong(new() { ["limit"] = [$"Must be from 1 to {MostEntries}."] });
        }
        var entries = await changes.AuditAsync(kind, key, cursor, limit ?? MostEntries, ct);
        return TypedResults.Ok(new Page<AuditEntry>(
            entries, entries.Count == (limit ?? MostEntries) ? entries[^1].Id.ToString(CultureInfo.InvariantCulture) : null));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RevertAsync(long id, ClaimsPrincipal caller, ChangeStore changes, CancellationToken ct) =>
        await changes.RevertAsync(id, Who(caller), ct) is not { } changed
            ? TypedResults.Problem($"There is no change {id}.", statusCode: StatusCodes.Status404NotFound)
            : Refusal(changed) is { } refusal ? refusal : TypedResults.NoContent();

    /// <summary>Nobody overwrites what somebody else has just changed (RFC 9110, section 13.1; RFC 6585, section 3).</summary>
    private static ChangeRefusal? Match(string condition, bool mustBeNew, string name, long? version) => (condition, version) switch
    {
        ("", null) => null,
        ("", _) => mustBeNew ? null : new(428, $"There is a rule '{name}'. Send If-Match with its ETag, {Tag(version.Value)} now, so that no change of others is lost."),
        (_, null) => new(412, $"There is no rule '{name}' any more. Make it with If-None-Match: *."),
        _ => condition == Tag(version.Value) ? null : new(412, $"The rule '{name}' was changed meanwhile; its ETag is {Tag(version.Value)} now. Read it again."),
    };

    private static string Tag(long version) => string.Create(CultureInfo.InvariantCulture, $"\"{version}\"");

    /// <summary>A client that calls for itself stands in the audit too; a token of an authority that names nobody is <c>anonymous</c>.</summary>
    internal static string Who(ClaimsPrincipal caller) => caller.FindFirstValue("sub") ?? "anonymous";

    internal static ValidationProblem Wrong(Dictionary<string, string[]> errors) =>
        TypedResults.ValidationProblem(errors, detail: "The request is not complete and right: see errors.", title: "Bad Request");

    private static ProblemHttpResult NoRule(string name) => TypedResults.Problem($"There is no rule '{name}'.", statusCode: StatusCodes.Status404NotFound);
}

/// <param name="Next">Where the next page begins: send it as <c>cursor</c>; null after the last.</param>
internal sealed record Page<T>(IReadOnlyList<T> Items, string? Next);
