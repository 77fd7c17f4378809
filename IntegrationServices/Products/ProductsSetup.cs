using IntegrationServices.Connectors;
using IntegrationServices.Reads;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace IntegrationServices.Products;

public static class ProductsSetup
{
    internal const string Kind = "products";

    public static void AddProducts(this IHostApplicationBuilder builder)
    {
        builder.AddReads(Kind, freshSeconds: 60, staleSeconds: 3600);
        builder.AddRestConnector(Pim.Name);
        builder.Services.TryAddTransient<Pim>();
    }
}
