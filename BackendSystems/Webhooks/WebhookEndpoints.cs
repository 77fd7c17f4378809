using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace BackendSystems.Webhooks;

internal static class WebhookEndpoints
{
    private static readonly string[] Statuses = ["pending", "delivered", "failed"];

    public static void MapWebhooks(this IEndpointRouteBuilder routes, string system)
    {
        var channel = routes.ServiceProvider.GetRequiredKeyedService<WebhookChannel>(system);
        var handler = new Handler(channel, new WebhookStore(channel.Database, system));
        var group = routes.MapGroup($"/{system}/webhooks");
        group.MapPost("/", handler.SubscribeAsync);
        group.MapGet("/", handler.ListAsync);
        group.MapDelete("/{id:guid}", handler.UnsubscribeAsync);
        group.MapGet("/deliveries", handler.DeliveriesAsync);
        group.MapPost("/deliveries/{id:long}/replay", handler.ReplayAsync);
    }

    private sealed class Handler(WebhookChannel channel, WebhookStore store)
    {
        public async Task<Results<Created<SubscribeAnswer>, Ok<SubscribeAnswer>, ValidationProblem>> SubscribeAsync(
            SubscribeRequest request, IOptions<WebhooksOptions> options, IHostEnvironment environment, TimeProvider time, CancellationToken ct)
        {
            var errors = new Dictionary<string, string[]>();
            if (WebhookTarget.Refuse(request.Url, options.Value.AllowsPrivateTargets(environment)) is { } reason)
            {
                errors["url"] = [reason];
            }

            if (request.Secret is { } given && !WebhookSignature.IsSecret(given))
            {
                errors["secret"] = ["secret must be whsec_ and the base64 of 24 to 64 bytes. Leave it out to have one made."];
            }

            var events = request.Events ?? [];
            if (events.Except(channel.Events).ToList() is [var unknown, ..])
            {
                errors["events"] = [$"'{unknown}' is no event of {channel.System}. Valid: {string.Join(", ", channel.Events)}."];
            }

            if (errors.Count > 0)
            {
                return TypedResults.ValidationProblem(errors, "The subscription was not made: see errors.");
            }

            var secret = request.Secret ?? WebhookSignature.NewSecret();
            var (row, created) = await store.SubscribeAsync(request.Url!, secret, [.. events.Distinct()], time.GetUtcNow(), ct);
            var answer = new SubscribeAnswer(row.Id, row.Url, row.Events, row.CreatedAt, secret);
            return created ? TypedResults.Created($"/{channel.System}/webhooks/{row.Id}", answer) : TypedResults.Ok(answer);
        }

        public async Task<Ok<ItemList<WebhookSubscription>>> ListAsync(CancellationToken ct) =>
            TypedResults.Ok(new ItemList<WebhookSubscription>(await store.SubscriptionsAsync(ct)));

        public async Task<Results<NoContent, NotFound>> UnsubscribeAsync(Guid id, CancellationToken ct) =>
            await store.UnsubscribeAsync(id, ct) ? TypedResults.NoContent() : TypedResults.NotFound();

        public async Task<Results<Ok<ItemList<WebhookDelivery>>, ProblemHttpResult>> DeliveriesAsync(
            CancellationToken ct, string? status = null, int limit = 100)
        {
            if (status is not null && !Statuses.Contains(status))
            {
                return TypedResults.Problem($"status must be one of {string.Join(", ", Statuses)}.", statusCode: StatusCodes.Status400BadRequest);
            }

            if (limit is < 1 or > 500)
            {
                return TypedResults.Problem("limit must be from 1 to 500.", statusCode: StatusCodes.Status400BadRequest);
            }

            return TypedResults.Ok(new ItemList<WebhookDelivery>(await store.DeliveriesAsync(status, limit, ct)));
        }

        public async Task<Results<Accepted, NotFound>> ReplayAsync(long id, TimeProvider time, CancellationToken ct)
        {
            var now = time.GetUtcNow();
            if (!await store.ReplayAsync(id, now, now + channel.GiveUpAfter, ct))
            {
                return TypedResults.NotFound();
            }

            channel.Wake();
            return TypedResults.Accepted((string?)null);
        }
    }

    private sealed record SubscribeRequest(string? Url, string? Secret, string[]? Events);

    private sealed record SubscribeAnswer(Guid Id, string Url, string[] Events, DateTime CreatedAt, string Secret);

    private sealed record ItemList<T>(IReadOnlyList<T> Items);
}
