using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using MobileServices.Devices;
using MobileServices.Push.Deliveries;
using MobileServices.Push.Networks;
using MobileServices.Push.Registrations;

namespace MobileServices.Push.Messages;

/// <summary>How back-office clients send, and learn what became of it.</summary>
internal static class MessageEndpoints
{
    private const int LargestPage = 1000;
    // Clocks are at most so far ahead of UTC.
    private static readonly TimeSpan FirstZone = TimeSpan.FromHours(14);

    public static void MapMessages(this IEndpointRouteBuilder app)
    {
        app.MapPost("/messages", SendAsync).WithSummary("Sends a message to an audience; from the answer on it is not lost")
            .Produces<PushSubmitted>(StatusCodes.Status202Accepted).Produces<PushSubmitted>().ProducesValidationProblem().ProducesProblem(401).ProducesProblem(403).ProducesProblem(422)
            .DescribeHeader("Idempotency-Key", "The same key with the same message sends it once.");
        app.MapGet("/messages/{id:guid}", GetAsync).WithSummary("How a message stands; the counts are those of its deliveries").ProducesProblem(404);
        app.MapGet("/messages/{id:guid}/deliveries", DeliveriesAsync).WithSummary("What became of it on each device, in pages; also those of one state").ProducesProblem(404).ProducesValidationProblem();
        app.MapPost("/messages/{id:guid}/recall", RecallAsync).WithSummary("What has not gone out does not go out; idempotent").ProducesProblem(404);
        app.MapGet("/deliveries/{id}/explanation", ExplainAsync).WithSummary("Every decision about one message on one device, in their order").ProducesProblem(404);
        app.MapPost("/audience/preview", PreviewAsync).WithSummary("How many devices an audience has now").ProducesValidationProblem();
        app.MapGet("/apps/{app}/templates", TemplatesAsync).WithSummary("The templates of an app");
        app.MapPut("/apps/{app}/templates/{name}", PutTemplateAsync).WithSummary("Saves a template").ProducesValidationProblem();
        app.MapDelete("/apps/{app}/templates/{name}", DeleteTemplateAsync).WithSummary("Removes a template").ProducesProblem(404);
    }

    private static async Task<IResult> SendAsync(
        PushSubmission submission, HttpContext http, MessageRules rules, MessageStore store, TemplateStore templates, CredentialStore credentials, IOptions<PushOptions> options,
        TimeProvider time, CancellationToken ct)
    {
        string? key = null;
        if (http.Request.Headers.TryGetValue("Idempotency-Key", out var header) && (key = IdempotencyKey.Read(header)) is null)
        {
            return RegistrationEndpoints.Wrong(new() { ["Idempotency-Key"] = [$"The header {IdempotencyKey.Form}"] });
        }
        var content = submission.Content;
        var errors = new Dictionary<string, string[]>();
        if (submission.Template is { } name)
        {
            content = content is null && submission.App is { } owner ? await templates.FindAsync(owner, name, ct) : null;
            if (content is null)
            {
                errors["template"] = [submission.Content is null ? $"The app has no template '{name}'. Save it first." : "Send a template or a content."];
            }
        }
        if (submission.Parameters is not null)
        {
            content = content is null ? null : content with { Parameters = submission.Parameters };
        }
        foreach (var (field, messages) in rules.Check(submission, content, submission.App is { } app ? await credentials.UsedAsync(app, ct) : new Dictionary<string, bool>()))
        {
            errors.TryAdd(field, messages);
        }
        var sender = http.User.FindFirstValue("sub") ?? "?";
        var hash = key is null ? null : SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(submission, PushContent.Json));
        if (errors.Count > 0)
        {
            // What was taken when it was right is taken: a template may have changed since, or how much fits.
            return key is not null && await store.EarlierAsync(sender, key, ct) is { } taken && taken.BodyHash.AsSpan().SequenceEqual(hash)
                ? Taken(taken)
                : RegistrationEndpoints.Wrong(errors, "The message is not complete and right: see errors.");
        }
        var message = Ready(submission, content ?? new(), sender, key, hash, options.Value, time.GetUtcNow());
        if (submission.DryRun is true)
        {
            var size = await store.SizeAsync(message.App, Audience.Parse(message.Audience, time.GetUtcNow()), ct);
            return TypedResults.Ok(new PushSubmitted(Guid.Empty, "dry run", message.SendAt, true, size));
        }
        if (await store.AddAsync(message, ct) is { } earlier)
        {
            return earlier.BodyHash.AsSpan().SequenceEqual(hash)
                ? Taken(earlier)
                : TypedResults.Problem("The Idempotency-Key was sent before with another message. Make a new key for each message.", statusCode: StatusCodes.Status422UnprocessableEntity);
        }
        return TypedResults.Accepted($"/push/messages/{message.Id}", new PushSubmitted(message.Id, "scheduled", message.SendAt, false, null));
    }

    private static Accepted<PushSubmitted> Taken(EarlierMessage earlier) =>
        TypedResults.Accepted($"/push/messages/{earlier.Id}", new PushSubmitted(earlier.Id, earlier.State, earlier.SendAt, false, null));

    private static ReadyMessage Ready(PushSubmission submission, PushContent content, string sender, string? key, byte[]? hash, PushOptions options, DateTimeOffset now)
    {
        var ttl = submission.TtlSeconds ?? options.TtlSeconds;
        var sendAt = submission.SendAtLocal is { } local
            ? Later(new DateTimeOffset(local, TimeSpan.Zero) - FirstZone, now)
            : Later(submission.SendAt ?? now, now);
        return new(
            Guid.CreateVersion7(now), submission.App!, sender, key, hash,
            submission.Audience!, content, submission.Category, submission.CollapseKey, submission.Urgency ?? "normal", submission.Silent is true, ttl, sendAt, submission.SendAtLocal,
            submission.SendAtLocal is null ? sendAt.AddSeconds(ttl) : null, submission.FrequencyCap?.Count, submission.FrequencyCap?.Hours);
    }

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;

    private static async Task<Results<Ok<PushMessageState>, ProblemHttpResult>> GetAsync(Guid id, MessageStore store, CancellationToken ct) =>
        await store.StateAsync(id, ct) is { } state ? TypedResults.Ok(state) : NoMessage(id);

    private static async Task<Results<Ok<DeliveryPage>, ProblemHttpResult, ValidationProblem>> DeliveriesAsync(
        Guid id, string? state, Guid? after, int? limit, MessageStore store, Ledger ledger, CancellationToken ct)
    {
        if (limit is < 1 or > LargestPage)
        {
            return RegistrationEndpoints.Wrong(new() { ["limit"] = [$"Must be from 1 to {LargestPage}."] });
        }
        var most = limit ?? 100;
        var page = await ledger.ListAsync(id, state, after, most + 1, ct);
        if (page.Count is 0 && await store.StateAsync(id, ct) is null)
        {
            return NoMessage(id);
        }
        return TypedResults.Ok(page.Count > most ? new DeliveryPage([.. page.Take(most)], page[most - 1].DeviceId.ToString()) : new DeliveryPage(page, null));
    }

    private static async Task<Results<Ok<PushMessageState>, ProblemHttpResult>> RecallAsync(Guid id, ClaimsPrincipal caller, MessageStore store, CancellationToken ct) =>
        await store.RecallAsync(id, caller.FindFirstValue("sub") ?? "?", ct) && await store.StateAsync(id, ct) is { } state ? TypedResults.Ok(state) : NoMessage(id);

    private static async Task<Results<Ok<DeliveryExplanation>, ProblemHttpResult>> ExplainAsync(string id, Ledger ledger, CancellationToken ct) =>
        DeliveryId.Read(id, out var message, out var device) && await ledger.ExplainAsync(message, device, ct) is { } explanation
            ? TypedResults.Ok(explanation)
            : TypedResults.Problem("There is no such delivery. GET /push/messages/{id}/deliveries lists them with their ids.", statusCode: 404);

    private static async Task<Results<Ok<AudienceSize>, ValidationProblem>> PreviewAsync(AudienceQuestion question, MessageRules rules, MessageStore store, TimeProvider time, CancellationToken ct)
    {
        var errors = new Dictionary<string, string[]>();
        if (!DeviceRules.IsAppId(question.App))
        {
            errors["app"] = ["Must be a reverse domain name such as com.example.shop."];
        }
        rules.CheckAudience(question.Audience, errors);
        return errors.Count > 0
            ? RegistrationEndpoints.Wrong(errors, "The audience cannot be read: see errors.")
            : TypedResults.Ok(await store.SizeAsync(question.App!, Audience.Parse(question.Audience!, time.GetUtcNow()), ct));
    }

    private static async Task<Ok<IReadOnlyDictionary<string, PushContent>>> TemplatesAsync(string app, TemplateStore templates, CancellationToken ct) => TypedResults.Ok(await templates.ListAsync(app, ct));

    private static async Task<Results<NoContent, ValidationProblem>> PutTemplateAsync(
        string app, string name, PushContent content, ClaimsPrincipal caller, TemplateStore templates, CancellationToken ct)
    {
        var errors = new Dictionary<string, string[]>();
        if (!DeviceRules.IsAppId(app))
        {
            errors["app"] = ["Must be a reverse domain name such as com.example.shop."];
        }
        if (!RegistrationRules.IsTag(name))
        {
            errors["name"] = ["Must be at most 100 letters, digits, '-', '_', '.' and ':'."];
        }
        MessageRules.CheckTexts(content, "content", errors);
        Overrides.CheckAll(content, "content", silent: false, errors);
        if (errors.Count > 0)
        {
            return RegistrationEndpoints.Wrong(errors);
        }
        await templates.PutAsync(app, name, content, caller.FindFirstValue("sub") ?? "?", ct);
        return TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteTemplateAsync(string app, string name, TemplateStore templates, CancellationToken ct) =>
        await templates.DeleteAsync(app, name, ct) ? TypedResults.NoContent() : TypedResults.Problem($"The app {app} has no template '{name}'.", statusCode: 404);

    private static ProblemHttpResult NoMessage(Guid id) => TypedResults.Problem($"There is no message {id}; it may be older than is kept (Push:KeepDays).", statusCode: 404);
}
