using FrontendServices.Sections;
using MobileIntegration.Contracts;

namespace FrontendServices.Catalog;

public static class CatalogSetup
{
    public static void AddCatalog(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddServiceClient<ProductsClient>("products");
        builder.AddServiceClient<InventoryClient>("inventory");
    }
}
