using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Orders;

public static class OrdersEndpoints
{
    private const int MostOrders = 100;

    public static void MapOrders(this IEndpointRouteBuilder app)
    {
        var orders = app.MapGroup("/orders").WithTags("Orders");
        orders.MapGet("", ListAsync).WithSummary("A customer's latest orders, 1 to 100 of them, newest first");
        orders.MapGet("/{id}", GetAsync).WithSummary("One order with its lines");
    }

    private static async Task<Results<Ok<List<OrderSummary>>, ProblemHttpResult, ValidationProblem>> ListAsync(
        string? customer, int? top, HttpContext http, Erp erp, CancellationToken ct)
    {
        if (!Ids.IsCustomer(customer))
        {
            return Invalid.Field("customer", "Must be a customer id such as C-000123.");
        }
        if (top is < 1 or > MostOrders)
        {
            return Invalid.Field("top", $"Must be from 1 to {MostOrders}.");
        }
        if (!http.User.MaySee(customer))
        {
            return http.RefuseCustomer();
        }
        return await erp.ListAsync(customer, top ?? 10, ct) is { } list
            ? TypedResults.Ok(list)
            : TypedResults.Problem($"There is no customer {customer}.", statusCode: StatusCodes.Status404NotFound);
    }

    private static async Task<Results<Ok<Order>, ProblemHttpResult, ValidationProblem>> GetAsync(
        string id, HttpContext http, Erp erp, CancellationToken ct)
    {
        if (!Ids.IsOrder(id))
        {
            return Invalid.Field("id", "Must be an order number such as 4500001234.");
        }
        // The order of another customer is not there: whether a number is taken is nobody's business.
        return await erp.GetAsync(id, ct) is { } order && http.User.MaySee(order.CustomerId)
            ? TypedResults.Ok(order)
            : TypedResults.Problem($"There is no order {id}.", statusCode: StatusCodes.Status404NotFound);
    }
}
