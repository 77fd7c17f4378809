using System.Globalization;
using IntegrationServices.Commands;
using IntegrationServices.Reads;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Customers;

public static class CustomersEndpoints
{
    private const string Form = "a customer id such as C-000123";
    private const string Statuses = "/customers/commands";
    private const int LargestBody = 64 * 1024;
    private static readonly string[] Kinds = [ChangeAddress.Name];

    public static void MapCustomers(this IEndpointRouteBuilder app)
    {
        var customers = app.MapGroup("/customers").WithTags("Customers");
        customers.MapGet("/{id}", GetAsync).WithSummary("One customer");
        customers.MapGet("/search", SearchAsync).WithSummary("Customers in whose name, e-mail or city a text is, ordered by id; for back-office clients");
        customers.MapGet("", ListAsync).WithSummary("Up to 100 customers by id; unknown ones are left out");

        var commands = app.MapGroup("/customers").WithTags("Customers").RequireScope(Scopes.Account).WithMetadata(new RequestSizeLimitAttribute(LargestBody));
        commands.MapPut("/{id}/addresses/{type}", ChangeAddressAsync).WithSummary("Changes a customer's address, or adds it")
            .WithDescription("Needs an Idempotency-Key: the same key and body answer the same command. The Location of the 202 says what becomes of it.");
        commands.MapGet("/commands/{id:guid}", ShowAsync).WithSummary("What became of a changed address")
            .WithDescription("accepted and running go on (Retry-After says when to look again); done, refused, dead and discarded are the end, with the problem where there is one.");
    }

    private static async Task<Results<Accepted<CommandStatus>, ProblemHttpResult, ValidationProblem>> ChangeAddressAsync(
        string id, string type, NewAddress address, HttpContext http, CommandStore store, CancellationToken ct)
    {
        if (!Ids.IsCustomer(id))
        {
            return Invalid.Field("id", $"Must be {Form}.");
        }
        if (!Text.IsName<AddressType>(type, out var kind))
        {
            return Invalid.Field("type", "Must be home, work or delivery.");
        }
        foreach (var (value, field, longest) in ((string?, string, int)[])
            [(address.Street, "street", 80), (address.HouseNumber, "houseNumber", 10), (address.Postcode, "postcode", 10), (address.City, "city", 60)])
        {
            if (!Text.IsPlain(value, longest))
            {
                return Invalid.Field(field, $"Must be text of at most {longest} characters.");
            }
        }
        if (!Text.IsCountry(address.Country))
        {
            return Invalid.Field("country", "Must be ISO 3166-1 alpha-2, such as DE.");
        }
        return http.User.MaySee(id)
            ? await store.AcceptAsync(http, Statuses, ChangeAddress.Name, _ => $"customer:{id}", id, new ChangeAddress.Body(kind, address), ct)
            : http.RefuseCustomer();
    }

    private static async Task<Results<Tagged<CommandStatus>, ProblemHttpResult>> ShowAsync(Guid id, HttpContext http, CommandStore store, ReadCache reads, CancellationToken ct)
    {
        var shown = await store.ShowAsync(id, http, Kinds, ct);
        if (shown.Result is Tagged<CommandStatus> { Value: { EndedAt: not null } ended })
        {
            await reads.EvictAsync(Tags.Customer(ended.CustomerId));
        }
        return shown;
    }

    private static async Task<Results<Cached<Customer>, ProblemHttpResult, ValidationProblem>> GetAsync(
        string id, HttpContext http, ReadCache reads, Crm crm, CancellationToken ct)
    {
        if (!Ids.IsCustomer(id))
        {
            return Invalid.Field("id", $"Must be {Form}.");
        }
        if (!http.User.MaySee(id))
        {
            return http.RefuseCustomer();
        }
        var read = await reads.GetAsync(CustomersSetup.Kind, id, Tags.Customer(id), token => crm.GetAsync(id, token), ct);
        return read.Data is not null
            ? Cached.Ok(read.Select(customer => customer!))
            : TypedResults.Problem($"There is no customer {id}.", statusCode: StatusCodes.Status404NotFound);
    }

    private static async Task<Results<Cached<List<Customer>>, ProblemHttpResult, ValidationProblem>> ListAsync(
        string? ids, HttpContext http, ReadCache reads, Crm crm, CancellationToken ct)
    {
        var wanted = Ids.Parse(ids, Ids.IsCustomer, Form, out var error);
        if (error is not null)
        {
            return Invalid.Field("ids", error);
        }
        return wanted.All(http.User.MaySee)
            ? Cached.Ok(await reads.GetManyAsync(CustomersSetup.Kind, [.. wanted.Order(StringComparer.Ordinal)], customer => customer.Id, Tags.Customer, crm.GetAsync, ct))
            : http.RefuseCustomer();
    }

    private static async Task<Results<Tagged<Page<Customer>>, ProblemHttpResult, ValidationProblem>> SearchAsync(
        string? q, int? limit, string? cursor, HttpContext http, Crm crm, CancellationToken ct)
    {
        if (!http.User.HasScope(Scopes.Customers))
        {
            return http.RefuseCustomer();
        }
        if (!Text.IsSearch(q))
        {
            return Invalid.Field("q", "Must be 2 to 100 letters, digits, spaces and - . , ' & + / % @.");
        }
        if (limit is < 1 or > Ids.MostAtOnce)
        {
            return Invalid.Field("limit", $"Must be from 1 to {Ids.MostAtOnce}.");
        }
        var size = limit ?? 20;
        var list = $"customers?{size}&{q}";
        var page = 1;
        if (cursor is not null && !(Cursor.TryRead(cursor, list, 1, out var position) && int.TryParse(position[0], NumberStyles.None, CultureInfo.InvariantCulture, out page) && page > 1))
        {
            return Invalid.Field("cursor", "Is not one of this list: use a Next of the same query, or none.");
        }
        var found = await crm.SearchAsync(q.Trim(), page, size, ct);
        return Tagged.Ok(new Page<Customer>(found, found.Count == size ? Cursor.Write(list, (page + 1).ToString(CultureInfo.InvariantCulture)) : null));
    }
}
