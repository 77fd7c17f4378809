using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using BackendSystems.Faults;
using BackendSystems.Webhooks;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace BackendSystems.Crm;

public static class CrmEndpoints
{
    private const int LargestBody = 64 * 1024;

    public static void MapCrm(this IEndpointRouteBuilder routes)
    {
        ArgumentNullException.ThrowIfNull(routes);
        var customers = routes.MapGroup("/crm/v1/customers").WithMetadata(new RequestSizeLimitAttribute(LargestBody));
        customers.MapGet("/", ListAsync);
        customers.MapGet("/{id}", GetAsync);
        customers.MapPut("/{id}", PutAsync);
        customers.MapPatch("/{id}", PatchAsync);
        routes.MapSimulation("/crm/simulate/moves", routes.ServiceProvider.GetRequiredService<CrmStore>().MoveAsync);
        routes.MapWebhooks(CrmSetup.Name);
        routes.MapFaults(CrmSetup.Name);
    }

    private static async Task<Results<Ok<CustomerPage>, ProblemHttpResult>> ListAsync(
        HttpContext http, CrmStore store, CancellationToken ct, int page = 1, int pageSize = 50, string? q = null, string? ids = null)
    {
        if (page is < 1 or > 1_000_000)
        {
            return BadRequest("page must be from 1 to 1000000.");
        }

        if (pageSize is < 1 or > 200)
        {
            return BadRequest("pageSize must be from 1 to 200.");
        }

        if (q is not null && (q.Trim().Length is < 2 or > 100 || q.Any(char.IsControl)))
        {
            return BadRequest("q must have 2 to 100 characters.");
        }

        int[]? numbers = null;
        if (ids is not null)
        {
            var wanted = ids.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            if (wanted.Length is 0 or > 100 || !wanted.All(id => CustomerId.TryParse(id, out _)))
            {
                return BadRequest("ids must be 1 to 100 comma separated customer ids such as C-000123.");
            }

            numbers = [.. wanted.Select(id => CustomerId.TryParse(id, out var number) ? number : 0)];
        }

        var (items, total) = await store.ListAsync(q?.Trim(), numbers, (page - 1) * pageSize, pageSize, ct);
        http.Response.Headers.Link = Links(http.Request, page, Math.Max(1, (total + pageSize - 1) / pageSize));
        http.Response.Headers["X-Total-Count"] = total.ToString(CultureInfo.InvariantCulture);
        return TypedResults.Ok(new CustomerPage(items, page, pageSize, total));
    }

    private static async Task<Results<Ok<Customer>, StatusCodeHttpResult, ProblemHttpResult>> GetAsync(
        string id, HttpContext http, CrmStore store, CancellationToken ct)
    {
        if (!CustomerId.TryParse(id, out var number) || await store.FindAsync(number, ct) is not { } customer)
        {
            return Unknown(id);
        }

        var tag = Tag(customer);
        http.Response.GetTypedHeaders().ETag = tag;
        return http.Request.GetTypedHeaders().IfNoneMatch.Any(known => known.Equals(EntityTagHeaderValue.Any) || known.Compare(tag, useStrongComparison: false))
            ? TypedResults.StatusCode(StatusCodes.Status304NotModified)
            : TypedResults.Ok(customer);
    }

    private static Task<Results<Ok<Customer>, ValidationProblem, ProblemHttpResult>> PutAsync(
        string id, CustomerFields fields, HttpContext http, CrmStore store, TimeProvider time, CancellationToken ct) =>
        WriteAsync(id, http, store, time, (_, _) => fields, ct);

    private static Task<Results<Ok<Customer>, ValidationProblem, ProblemHttpResult>> PatchAsync(
        string id, JsonElement patch, HttpContext http, CrmStore store, TimeProvider time, CancellationToken ct) =>
        // An element, and not a JsonObject, whose reader takes members that stand twice for a fault of its own.
        patch.ValueKind is JsonValueKind.Object
            ? WriteAsync(id, http, store, time, (current, errors) => CustomerPatch.Apply(current, JsonObject.Create(patch)!, errors), ct)
            : Task.FromResult<Results<Ok<Customer>, ValidationProblem, ProblemHttpResult>>(BadRequest("A merge patch is a JSON object of the members to change."));

    private static async Task<Results<Ok<Customer>, ValidationProblem, ProblemHttpResult>> WriteAsync(
        string id, HttpContext http, CrmStore store, TimeProvider time,
        Func<CustomerFields, Dictionary<string, string[]>, CustomerFields?> change, CancellationToken ct)
    {
        var condition = http.Request.GetTypedHeaders().IfMatch;
        if (condition.Count == 0)
        {
            return TypedResults.Problem(
                "Send If-Match with the ETag of the customer you read, so that nobody's change is lost.",
                statusCode: StatusCodes.Status428PreconditionRequired);
        }

        if (!CustomerId.TryParse(id, out var number))
        {
            return Unknown(id);
        }

        var errors = new Dictionary<string, string[]>();
        var outdated = false;
        var customer = await store.EditAsync(number, (current, fields) =>
        {
            outdated = !condition.Any(tag => tag.Equals(EntityTagHeaderValue.Any) || tag.Compare(Tag(current), useStrongComparison: true));
            if (outdated || change(fields, errors) is not { } edited || errors.Count > 0)
            {
                return null;
            }

            errors = CustomerRules.Check(edited, DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime));
            return errors.Count > 0 ? null : edited;
        }, ct);
        if (customer is null)
        {
            return Unknown(id);
        }

        if (outdated)
        {
            return TypedResults.Problem(
                $"The customer has changed: rev {customer.Rev} is current. Read it again and repeat the change.",
                statusCode: StatusCodes.Status412PreconditionFailed);
        }

        if (errors.Count > 0)
        {
            return TypedResults.Problem(new HttpValidationProblemDetails(errors)
            {
                Status = StatusCodes.Status422UnprocessableEntity,
                Detail = "The customer was not changed: see errors.",
            });
        }

        http.Response.GetTypedHeaders().ETag = Tag(customer);
        return TypedResults.Ok(customer);
    }

    private static StringValues Links(HttpRequest request, int page, int last)
    {
        string Link(int to, string rel)
        {
            var query = QueryString.Create(request.Query.Where(part => !part.Key.Equals("page", StringComparison.OrdinalIgnoreCase)))
                .Add("page", to.ToString(CultureInfo.InvariantCulture));
            return $"<{request.Scheme}://{request.Host.ToUriComponent()}{request.Path.ToUriComponent()}{query.ToUriComponent()}>; rel=\"{rel}\"";
        }

        List<string> links = [Link(1, "first"), Link(last, "last")];
        if (page > 1)
        {
            links.Add(Link(Math.Min(page - 1, last), "prev"));
        }

        if (page < last)
        {
            links.Add(Link(page + 1, "next"));
        }

        return string.Join(", ", links);
    }

    private static EntityTagHeaderValue Tag(Customer customer) => new(string.Create(CultureInfo.InvariantCulture, $"\"{customer.Rev}\""));

    private static ProblemHttpResult BadRequest(string detail) => TypedResults.Problem(detail, statusCode: StatusCodes.Status400BadRequest);

    private static ProblemHttpResult Unknown(string id) => TypedResults.Problem(
        $"There is no customer '{(id.Length > 40 ? id[..40] : id)}'. Ids look like C-000123.", statusCode: StatusCodes.Status404NotFound);

    private sealed record CustomerPage(IReadOnlyList<Customer> Items, int Page, int PageSize, int Total);
}
