using IntegrationServices.Connectors;

namespace IntegrationServices.Products;

public static class ProductsSetup
{
    public static void AddProducts(this IHostApplicationBuilder builder)
    {
        builder.AddRestConnector(Pim.Name);
        builder.Services.AddTransient<Pim>();
    }
}
