using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.Filters;
using Microsoft.AspNetCore.OData.Query;
using Microsoft.AspNetCore.OData.Results;
using Microsoft.AspNetCore.OData.Routing.Controllers;
using Microsoft.OData;
using Npgsql;

namespace BackendSystems.Pim;

// Controllers, because OData's routing conventions are made for them: a class for each entity set.

[PimErrors]
public sealed class ProductsController(PimContext context) : ODataController
{
    [BoundedQuery]
    public IQueryable<Product> Get() => context.Products;

    [BoundedQuery]
    public SingleResult<Product> Get(string key) => SingleResult.Create(context.Products.Where(product => product.Sku == key));
}

[PimErrors]
public sealed class CategoriesController(PimContext context) : ODataController
{
    [BoundedQuery]
    public IQueryable<Category> Get() => context.Categories;

    [BoundedQuery]
    public SingleResult<Category> Get(string key) => SingleResult.Create(context.Categories.Where(category => category.Code == key));
}

/// <summary>What one query may cost.</summary>
internal sealed class BoundedQueryAttribute : EnableQueryAttribute
{
    public BoundedQueryAttribute()
    {
        PageSize = 100;
        MaxTop = 1_000;
        MaxSkip = 100_000;
        MaxExpansionDepth = 1;
        MaxNodeCount = 60;
        MaxOrderByNodeCount = 5;
        MaxAnyAllExpressionDepth = 1;
        AllowedQueryOptions = AllowedQueryOptions.Filter | AllowedQueryOptions.Select | AllowedQueryOptions.Expand | AllowedQueryOptions.OrderBy
            | AllowedQueryOptions.Top | AllowedQueryOptions.Skip | AllowedQueryOptions.Count | AllowedQueryOptions.Search
            | AllowedQueryOptions.SkipToken | AllowedQueryOptions.Format;
    }

    /// <summary>The link to the next page is made of the last entity, whose category is not loaded, when the answer has begun.</summary>
    public override void ValidateQuery(HttpRequest request, ODataQueryOptions queryOptions)
    {
        base.ValidateQuery(request, queryOptions);
        if (queryOptions.RawValues.OrderBy?.Contains('/', StringComparison.Ordinal) is true)
        {
            throw new ODataException("$orderby takes properties of the entity itself, such as CategoryCode, and none of the entities it leads to.");
        }
    }
}

/// <summary>Errors in OData's own form, saying what was wrong and nothing of the inside.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class PimErrorsAttribute : Attribute, IAlwaysRunResultFilter, IExceptionFilter
{
    public void OnResultExecuting(ResultExecutingContext context)
    {
        context.Result = context.Result switch
        {
            ObjectResult { Value: SerializableError error, StatusCode: { } status } => Error(status, Message(error)),
            ObjectResult { Value: null } or StatusCodeResult { StatusCode: StatusCodes.Status404NotFound } =>
                Error(StatusCodes.Status404NotFound, "There is no such entity. Check the key."),
            var result => result,
        };
    }

    public void OnResultExecuted(ResultExecutedContext context)
    {
        // The result is on its way.
    }

    public void OnException(ExceptionContext context)
    {
        context.Result = context.Exception.GetBaseException() switch
        {
            PostgresException { SqlState: ['2', '2', ..] } data =>
                Error(StatusCodes.Status400BadRequest, $"The query cannot be computed: {data.MessageText}."),
            OverflowException =>
                Error(StatusCodes.Status400BadRequest, "A number in the query is larger than any that is here. Use a smaller one."),
            ODataException query => Error(StatusCodes.Status400BadRequest, query.Message),
            InvalidOperationException { Source: "Microsoft.EntityFrameworkCore" } =>
                Error(StatusCodes.Status400BadRequest, "The query cannot be answered in SQL. Use simpler functions in $filter and $orderby."),
            var fault => Fail(context.HttpContext, fault),
        };
    }

    private static ObjectResult Fail(HttpContext http, Exception fault)
    {
        http.RequestServices.GetRequiredService<ILogger<PimErrorsAttribute>>().LogError(fault, "An OData query failed");
        return Error(StatusCodes.Status500InternalServerError, "The Pim failed. Try again later.");
    }

    private static ObjectResult Error(int status, string message) =>
        new(new ODataError { Code = Code(status), Message = message }) { StatusCode = status };

    private static string Code(int status) => status switch
    {
        StatusCodes.Status404NotFound => "NotFound",
        StatusCodes.Status500InternalServerError => "InternalError",
        _ => "BadRequest",
    };

    private static string Message(SerializableError error) =>
        error.TryGetValue("ExceptionMessage", out var cause) && cause is string { Length: > 0 } text
            ? text
            : string.Join(' ', error.Select(part => part.Value as string ?? ""));
}
