using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;

namespace IntegrationServices.Customers;

public static class CustomersEndpoints
{
    private const string Form = "a customer id such as C-000123";

    public static void MapCustomers(this IEndpointRouteBuilder app)
    {
        var customers = app.MapGroup("/customers").WithTags("Customers");
        customers.MapGet("/{id}", GetAsync).WithSummary("One customer");
        customers.MapGet("", ListAsync).WithSummary("Up to 100 customers by id; unknown ones are left out");
    }

    private static async Task<Results<Ok<Customer>, ProblemHttpResult, ValidationProblem>> GetAsync(string id, Crm crm, CancellationToken ct)
    {
        if (!Ids.IsCustomer(id))
        {
            return Invalid.Field("id", $"Must be {Form}.");
        }
        return await crm.GetAsync(id, ct) is { } customer
            ? TypedResults.Ok(customer)
            : TypedResults.Problem($"There is no customer {id}.", statusCode: StatusCodes.Status404NotFound);
    }

    private static async Task<Results<Ok<List<Customer>>, ValidationProblem>> ListAsync(string? ids, Crm crm, CancellationToken ct)
    {
        var wanted = Ids.Parse(ids, Ids.IsCustomer, Form, out var error);
        return error is null ? TypedResults.Ok(await crm.GetAsync(wanted, ct)) : Invalid.Field("ids", error);
    }
}
