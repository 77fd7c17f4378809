using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices.Home;

public static class HomeSetup
{
    public static void AddHome(this IHostApplicationBuilder builder)
    {
        builder.Services.AddOptions<HomeOptions>().BindConfiguration("Home").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddHttpClient<CustomersClient>(http => http.BaseAddress = new("http://customers")).PassToken();
        builder.Services.AddHttpClient<OrdersClient>(http => http.BaseAddress = new("http://orders")).PassToken();
        builder.Services.AddHttpClient<ProductsClient>(http => http.BaseAddress = new("http://products")).PassToken();
        builder.Services.AddHttpClient<InventoryClient>(http => http.BaseAddress = new("http://inventory")).PassToken();
        if (builder.Configuration.GetConnectionString("redis") is not null)
        {
            // Shared by replicas and kept over restarts; the page does without when Redis is away, so it says nothing about health.
            builder.AddRedisDistributedCache("redis", settings => settings.DisableHealthChecks = true);
        }
        builder.Services.AddHybridCache();
        builder.Services.AddTransient<HomeComposer>();
    }
}
