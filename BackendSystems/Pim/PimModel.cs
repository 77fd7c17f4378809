using System.Globalization;
using System.Linq.Expressions;
using System.Reflection;
using Microsoft.AspNetCore.OData.Query.Expressions;
using Microsoft.EntityFrameworkCore;
using Microsoft.OData;
using Microsoft.OData.Edm;
using Microsoft.OData.ModelBuilder;
using Microsoft.OData.UriParser;

namespace BackendSystems.Pim;

internal static class PimModel
{
    public static IEdmModel Build()
    {
        var builder = new ODataConventionModelBuilder(new OwnTypes()) { Namespace = "Pim", ContainerName = "Catalogue" };
        var product = builder.EntitySet<Product>(nameof(PimContext.Products)).EntityType;
        product.Namespace = "Pim";
        product.Property(row => row.CategoryCode).IsRequired();
        builder.EntitySet<Category>(nameof(PimContext.Categories)).EntityType.Namespace = "Pim";
        return builder.GetEdmModel();
    }

    /// <summary>Else every type of every loaded assembly is looked at for heirs of the two entities.</summary>
    private sealed class OwnTypes : IAssemblyResolver
    {
        public IEnumerable<Assembly> Assemblies => [typeof(PimModel).Assembly];
    }
}

/// <summary><c>$search</c> over products: words and phrases that the search column holds, joined by AND, OR and NOT.</summary>
internal sealed class PimSearch : QueryBinder, ISearchBinder
{
    private const int MostTerms = 10;

    private static readonly MethodInfo Contains =
        typeof(string).GetMethod(nameof(string.Contains), [typeof(string)])!;

    public Expression BindSearch(SearchClause searchClause, QueryBinderContext context)
    {
        if (context.ElementClrType != typeof(Product))
        {
            throw new ODataException("$search works on Products only.");
        }

        var product = Expression.Parameter(typeof(Product), "product");
        var column = Expression.Call(
            typeof(EF), nameof(EF.Property), [typeof(string)], product, Expression.Constant("Search"));
        var terms = 0;
        return Expression.Lambda(Bind(searchClause.Expression, column, ref terms), product);
    }

    private static Expression Bind(SingleValueNode node, Expression column, ref int terms)
    {
        switch (node)
        {
            case BinaryOperatorNode { OperatorKind: BinaryOperatorKind.And } and:
                return Expression.AndAlso(Bind(and.Left, column, ref terms), Bind(and.Right, column, ref terms));
            case BinaryOperatorNode { OperatorKind: BinaryOperatorKind.Or } or:
                return Expression.OrElse(Bind(or.Left, column, ref terms), Bind(or.Right, column, ref terms));
            case UnaryOperatorNode { OperatorKind: UnaryOperatorKind.Not } not:
                return Expression.Not(Bind(not.Operand, column, ref terms));
            case SearchTermNode term when ++terms <= MostTerms:
                // A captured variable, so that it becomes a parameter of the SQL.
                var text = term.Text.ToLower(CultureInfo.InvariantCulture);
                Expression<Func<string>> captured = () => text;
                return Expression.Call(column, Contains, captured.Body);
            default:
                throw new ODataException($"$search takes at most {MostTerms} words or phrases, joined by AND, OR and NOT.");
        }
    }
}
