using FrontendServices.Sections;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices.Orders;

public static class OrdersEndpoints
{
    private const string Statuses = "/api/orders/commands";
    private const int MostOrders = 100;
    private const int LargestBody = 64 * 1024;
    private const string Promise =
        "Needs an Idempotency-Key: send the same one with every retry, and get the same answer. The Location of the 202 says what becomes of it.";

    public static void MapOrders(this IEndpointRouteBuilder app)
    {
        var orders = app.MapGroup("/api/orders").WithTags("Orders").WithMetadata(new RequestSizeLimitAttribute(LargestBody));
        orders.MapGet("", ListAsync).WithSummary("The latest orders of the token's customer, 1 to 100 of them, newest first").ProducesValidationProblem();
        orders.MapGet("/history", HistoryAsync).WithSummary("The orders of the token's customer in pages, newest first").ProducesValidationProblem();
        orders.MapGet("/changes", ChangesAsync).WithSummary("The orders of the token's customer that changed since a cursor, oldest change first").ProducesValidationProblem();
        orders.MapGet("/{id}", GetAsync).WithSummary("One order with its lines and tracking").ProducesProblem(404);
        orders.MapPost("", PlaceAsync).WithSummary("Places an order").WithDescription(Promise).DescribeIdempotencyKey();
        orders.MapPost("/{id}/cancel", CancelAsync).WithSummary("Cancels an order that has not left the house").WithDescription(Promise).DescribeIdempotencyKey();
        orders.MapPost("/{id}/reorder", ReorderAsync).WithSummary("Orders the same again, at today's prices").WithDescription(Promise).ProducesProblem(404).DescribeIdempotencyKey();
        orders.MapGet("/commands/{id:guid}", ShowAsync).WithSummary("What became of an order that was placed or cancelled").ProducesProblem(404)
            .WithDescription("accepted and running go on (Retry-After says when to look again); done, refused, dead and discarded are the end, with the problem where there is one.");
    }

    private static async Task<Results<Tagged<IReadOnlyList<OrderSummary>>, ProblemHttpResult>> ListAsync(
        string? customer, int? top, HttpContext http, OrdersClient orders, CancellationToken ct)
    {
        if (!http.TryGetCustomer(customer, out var asked, out var refusal))
        {
            return refusal;
        }
        return top is < 1 or > MostOrders
            ? Invalid.Field("top", $"Must be from 1 to {MostOrders}.")
            : Tagged.Ok(await orders.ListAsync(asked, top ?? 20, ct));
    }

    private static async Task<Results<Tagged<Page<OrderSummary>>, ProblemHttpResult>> HistoryAsync(
        string? customer, string? limit, string? cursor, HttpContext http, OrdersClient orders, CancellationToken ct) =>
        http.TryGetCustomer(customer, out var asked, out var refusal) ? Tagged.Ok(await orders.GetHistoryAsync(asked, limit, cursor, ct)) : refusal;

    private static async Task<Results<Tagged<Delta<OrderSummary>>, ProblemHttpResult>> ChangesAsync(
        string? customer, string? since, HttpContext http, OrdersClient orders, CancellationToken ct) =>
        http.TryGetCustomer(customer, out var asked, out var refusal) ? Tagged.Ok(await orders.GetChangesAsync(asked, since, ct)) : refusal;

    private static async Task<Results<Tagged<OrderDetail>, ProblemHttpResult>> GetAsync(string id, HttpContext http, OrdersClient orders, CancellationToken ct) =>
        await orders.GetAsync(id, ct) is { } order ? Tagged.Ok(OrderDetail.Of(order, Language.Of(http))) : NoOrder(id);

    private static async Task<Results<Accepted<CommandStatus>, ProblemHttpResult>> PlaceAsync(
        Basket basket, HttpContext http, OrdersClient orders, CancellationToken ct)
    {
        if (!http.TryGetCustomer(basket.CustomerId, out var customer, out var refusal))
        {
            return refusal;
        }
        var order = new NewOrder(customer, basket.StoreId, basket.ShipTo, basket.Lines, basket.ExpectedTotal);
        return Accepted(await orders.PlaceAsync(order, Key(http), ct));
    }

    private static async Task<Accepted<CommandStatus>> CancelAsync(
        string id, OrderCancellation cancellation, HttpContext http, OrdersClient orders, CancellationToken ct) =>
        Accepted(await orders.CancelAsync(id, cancellation, Key(http), ct));

    private static async Task<Results<Accepted<CommandStatus>, ProblemHttpResult>> ReorderAsync(
        string id, Reorder reorder, HttpContext http, OrdersClient orders, CancellationToken ct)
    {
        if (await orders.GetAsync(id, ct) is not { } order)
        {
            return NoOrder(id);
        }
        if ((reorder.StoreId ?? order.StoreId) is not { } store)
        {
            return Invalid.Field("storeId", "The order does not say where it came from: name the store.");
        }
        IReadOnlyList<NewOrderLine> lines = [.. order.Lines.GroupBy(line => line.ProductId).Select(group => new NewOrderLine(group.Key, group.Sum(line => line.Quantity)))];
        return Accepted(await orders.PlaceAsync(new(order.CustomerId, store, reorder.ShipTo ?? order.ShipTo, lines, reorder.ExpectedTotal), Key(http), ct));
    }

    private static async Task<Results<Tagged<CommandStatus>, ProblemHttpResult>> ShowAsync(Guid id, HttpContext http, OrdersClient orders, SectionCache sections, CancellationToken ct)
    {
        if (await orders.GetCommandAsync(id, ct) is not { } status)
        {
            return TypedResults.Problem($"There is no command {id}.", statusCode: StatusCodes.Status404NotFound);
        }
        if (status.EndedAt is null)
        {
            http.Response.Headers.RetryAfter = "1";
        }
        else
        {
            // Whoever is told of the end sees what it did on the next screen.
            sections.Evict($"customer:{status.CustomerId}");
        }
        return Tagged.Ok(status);
    }

    private static ProblemHttpResult NoOrder(string id) => TypedResults.Problem($"There is no order {id}.", statusCode: StatusCodes.Status404NotFound);

    private static Accepted<CommandStatus> Accepted(CommandStatus status) => TypedResults.Accepted($"{Statuses}/{status.Id}", status);

    /// <summary>As it came: the integration service says what is wrong with it.</summary>
    private static string? Key(HttpContext http) => http.Request.Headers[IdempotencyKey.Header] is { Count: > 0 } key ? key.ToString() : null;
}
