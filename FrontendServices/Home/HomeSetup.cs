using FrontendServices.Sections;
using MobileIntegration.Contracts;

namespace FrontendServices.Home;

public static class HomeSetup
{
    public static void AddHome(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddOptions<HomeOptions>().BindConfiguration("Home").ValidateDataAnnotations().ValidateOnStart();
        builder.AddServiceClient<CustomersClient>("customers");
        builder.AddServiceClient<OrdersClient>("orders");
        builder.AddServiceClient<ProductsClient>("products");
        builder.AddServiceClient<InventoryClient>("inventory");
        if (builder.Configuration.GetConnectionString("redis") is not null)
        {
            // Shared by replicas and kept over restarts; the page does without when Redis is away, so it says nothing about health.
            builder.AddRedisDistributedCache("redis", settings => settings.DisableHealthChecks = true);
        }
        builder.Services.AddHybridCache();
        builder.Services.AddTransient<HomeComposer>();
    }
}
