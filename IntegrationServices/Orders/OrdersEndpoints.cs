using IntegrationServices.Commands;
using IntegrationServices.Reads;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Orders;

public static class OrdersEndpoints
{
    private const int MostOrders = 100;

    /// <summary>The latest orders of a customer that are looked at: as many as the Erp lists at once.</summary>
    private const int MostKnown = 500;
    private const string WrongCursor = "Is not one of this list: use a cursor of the same customer, or none.";
    private const int LargestBody = 64 * 1024;
    private static readonly TimeSpan Overlap = TimeSpan.FromSeconds(30);
    private const string Statuses = "/orders/commands";
    private static readonly string[] Kinds = [PlaceOrder.Name, CancelOrder.Name];

    public static void MapOrders(this IEndpointRouteBuilder app)
    {
        var orders = app.MapGroup("/orders").WithTags("Orders");
        orders.MapGet("", ListAsync).WithSummary("A customer's latest orders, 1 to 100 of them, newest first");
        orders.MapGet("/history", HistoryAsync).WithSummary("A customer's orders in pages, newest first");
        orders.MapGet("/changes", ChangesAsync).WithSummary("A customer's orders that changed since a cursor, oldest change first");
        orders.MapGet("/{id}", GetAsync).WithSummary("One order with its lines");

        var commands = app.MapGroup("/orders").WithTags("Orders").RequireScope(Scopes.Orders).WithMetadata(new RequestSizeLimitAttribute(LargestBody));
        commands.MapPost("", PlaceAsync).WithSummary("Places an order")
            .WithDescription("Needs an Idempotency-Key: the same key and body answer the same command. The Location of the 202 says what becomes of it.");
        commands.MapPost("/{id}/cancel", CancelAsync).WithSummary("Cancels an order that has not left the house")
            .WithDescription("Needs an Idempotency-Key: the same key and body answer the same command. The Location of the 202 says what becomes of it.");
        commands.MapGet("/commands/{id:guid}", ShowAsync).WithSummary("What became of an order that was placed or cancelled")
            .WithDescription("accepted and running go on (Retry-After says when to look again); done, refused, dead and discarded are the end, with the problem where there is one.");
    }

    private static async Task<Results<Accepted<CommandStatus>, ProblemHttpResult, ValidationProblem>> PlaceAsync(
        NewOrder order, HttpContext http, CommandStore store, CancellationToken ct)
    {
        if (OrderRules.Check(order) is { Count: > 0 } errors)
        {
            return TypedResults.ValidationProblem(errors, detail: "The order is not complete and right: see errors.", title: "Bad Request");
        }
        if (!http.User.MaySee(order.CustomerId))
        {
            return http.RefuseCustomer();
        }
        return await store.AcceptAsync(http, Statuses, PlaceOrder.Name, id => $"order:{id}", order.CustomerId, order, ct);
    }

    private static async Task<Results<Accepted<CommandStatus>, ProblemHttpResult, ValidationProblem>> CancelAsync(
        string id, OrderCancellation cancellation, HttpContext http, Erp erp, CommandStore store, CancellationToken ct)
    {
        if (!Ids.IsOrder(id))
        {
            return Invalid.Field("id", "Must be an order number such as 4500001234.");
        }
        if (cancellation.Reason is { Length: > 0 } reason && !Text.IsPlain(reason, 200))
        {
            return Invalid.Field("reason", "Must be text of at most 200 characters.");
        }
        // Whose order it is must be known before anything is promised.
        if (await erp.GetAsync(id, ct) is not { } order || !http.User.MaySee(order.CustomerId))
        {
            return TypedResults.Problem($"There is no order {id}.", statusCode: StatusCodes.Status404NotFound);
        }
        return await store.AcceptAsync(
            http, Statuses, CancelOrder.Name, _ => $"order:{id}", order.CustomerId, new CancelOrder.Body(id, order.CustomerId, cancellation.Reason), ct);
    }

    private static async Task<Results<Tagged<CommandStatus>, ProblemHttpResult>> ShowAsync(Guid id, HttpContext http, CommandStore store, ReadCache reads, CancellationToken ct)
    {
        var shown = await store.ShowAsync(id, http, Kinds, ct);
        if (shown.Result is Tagged<CommandStatus> { Value: { EndedAt: not null } ended })
        {
            await reads.EvictAsync(Tags.OrdersOf(ended.CustomerId), Tags.Order(ended.OrderId ?? ""));
        }
        return shown;
    }

    private static async Task<Results<Cached<List<OrderSummary>>, ProblemHttpResult, ValidationProblem>> ListAsync(
        string? customer, int? top, HttpContext http, ReadCache reads, Erp erp, CancellationToken ct)
    {
        if (top is < 1 or > MostOrders)
        {
            return Invalid.Field("top", $"Must be from 1 to {MostOrders}.");
        }
        var (read, refusal, invalid) = await KnownAsync(customer, http, reads, erp, ct);
        return read is { } known ? Cached.Ok(known.Select(list => list.Take(top ?? 10).ToList())) : refusal is not null ? refusal : invalid!;
    }

    private static async Task<Results<Cached<Page<OrderSummary>>, ProblemHttpResult, ValidationProblem>> HistoryAsync(
        string? customer, int? limit, string? cursor, HttpContext http, ReadCache reads, Erp erp, CancellationToken ct)
    {
        if (limit is < 1 or > MostOrders)
        {
            return Invalid.Field("limit", $"Must be from 1 to {MostOrders}.");
        }
        var list = $"orders/history?{customer}";
        if (!ChangeCursor.TryRead(cursor, list, out var at, out var id) || !(cursor is null || Ids.IsOrder(id)))
        {
            return Invalid.Field("cursor", WrongCursor);
        }
        var (read, refusal, invalid) = await KnownAsync(customer, http, reads, erp, ct);
        return read is { } known
            ? Cached.Ok(known.Select(orders =>
            {
                List<OrderSummary> page =
                [
                    .. orders.OrderByDescending(order => order.PlacedAt).ThenByDescending(order => order.Id, StringComparer.Ordinal)
                        .Where(order => cursor is null || order.PlacedAt < at || (order.PlacedAt == at && string.CompareOrdinal(order.Id, id) < 0))
                        .Take((limit ?? 20) + 1),
                ];
                var more = page.Count > (limit ?? 20);
                page = more ? page[..^1] : page;
                return new Page<OrderSummary>(page, more ? ChangeCursor.Write(list, page[^1].PlacedAt, page[^1].Id) : null);
            }))
            : refusal is not null ? refusal : invalid!;
    }

    private static async Task<Results<Cached<Delta<OrderSummary>>, ProblemHttpResult, ValidationProblem>> ChangesAsync(
        string? customer, string? since, HttpContext http, ReadCache reads, Erp erp, TimeProvider time, CancellationToken ct)
    {
        var list = $"orders/changes?{customer}";
        if (!ChangeCursor.TryRead(since, list, out var at, out _))
        {
            return Invalid.Field("since", WrongCursor);
        }
        var (read, refusal, invalid) = await KnownAsync(customer, http, reads, erp, ct);
        return read is { } known
            ? Cached.Ok(known.Select(orders =>
            {
                List<OrderSummary> changed = [.. orders.Where(order => order.ChangedAt > at).OrderBy(order => order.ChangedAt).ThenBy(order => order.Id, StringComparer.Ordinal)];
                // What a slow transaction changes appears later than its time: the last moments are told again.
                var safe = time.GetUtcNow() - Overlap;
                var last = changed.Count is 0 ? at : changed[^1].ChangedAt;
                return new Delta<OrderSummary>(changed, ChangeCursor.Write(list, last <= safe ? last : safe < at ? at : safe, ""), More: false);
            }))
            : refusal is not null ? refusal : invalid!;
    }

    private static async Task<(Read<List<OrderSummary>>? Read, ProblemHttpResult? Refusal, ValidationProblem? Invalid)> KnownAsync(
        string? customer, HttpContext http, ReadCache reads, Erp erp, CancellationToken ct)
    {
        if (!Ids.IsCustomer(customer))
        {
            return (null, null, Invalid.Field("customer", "Must be a customer id such as C-000123."));
        }
        if (!http.User.MaySee(customer))
        {
            return (null, http.RefuseCustomer(), null);
        }
        var read = await reads.GetAsync(OrdersSetup.Kind, customer, Tags.OrdersOf(customer), token => erp.ListAsync(customer, MostKnown, token), ct);
        return read.Data is not null
            ? (read.Select(list => list!), null, null)
            : (null, TypedResults.Problem($"There is no customer {customer}.", statusCode: StatusCodes.Status404NotFound), null);
    }

    private static async Task<Results<Cached<Order>, ProblemHttpResult, ValidationProblem>> GetAsync(
        string id, HttpContext http, ReadCache reads, Erp erp, CancellationToken ct)
    {
        if (!Ids.IsOrder(id))
        {
            return Invalid.Field("id", "Must be an order number such as 4500001234.");
        }
        var read = await reads.GetAsync(OrdersSetup.Kind, id, Tags.Order(id), token => erp.GetAsync(id, token), ct);
        // The order of another customer is not there: whether a number is taken is nobody's business.
        return read.Data is { } order && http.User.MaySee(order.CustomerId)
            ? Cached.Ok(read.Select(_ => order))
            : TypedResults.Problem($"There is no order {id}.", statusCode: StatusCodes.Status404NotFound);
    }
}
