using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

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

    private static async Task<Results<Ok<Customer>, ProblemHttpResult, ValidationProblem>> GetAsync(
        string id, HttpContext http, Crm crm, CancellationToken ct)
    {
        if (!Ids.IsCustomer(id))
        {
            return Invalid.Field("id", $"Must be {Form}.");
        }
        if (!http.User.MaySee(id))
        {
            return http.RefuseCustomer();
        }
        return await crm.GetAsync(id, ct) is { } customer
            ? TypedResults.Ok(customer)
            : TypedResults.Problem($"There is no customer {id}.", statusCode: StatusCodes.Status404NotFound);
    }

    private static async Task<Results<Ok<List<Customer>>, ProblemHttpResult, ValidationProblem>> ListAsync(
        string? ids, HttpContext http, Crm crm, CancellationToken ct)
    {
        var wanted = Ids.Parse(ids, Ids.IsCustomer, Form, out var error);
        if (error is not null)
        {
            return Invalid.Field("ids", error);
        }
        return wanted.All(http.User.MaySee) ? TypedResults.Ok(await crm.GetAsync(wanted, ct)) : http.RefuseCustomer();
    }
}
