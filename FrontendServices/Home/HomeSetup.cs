using MobileIntegration.Contracts;

namespace FrontendServices.Home;

public static class HomeSetup
{
    public static void AddHome(this IHostApplicationBuilder builder)
    {
        builder.Services.AddOptions<HomeOptions>().BindConfiguration("Home").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddHttpClient<CustomersClient>(http => http.BaseAddress = new("http://customers"));
        builder.Services.AddHttpClient<OrdersClient>(http => http.BaseAddress = new("http://orders"));
        builder.Services.AddHttpClient<ProductsClient>(http => http.BaseAddress = new("http://products"));
        builder.Services.AddHttpClient<InventoryClient>(http => http.BaseAddress = new("http://inventory"));
        builder.Services.AddHybridCache();
        builder.Services.AddTransient<HomeComposer>();
    }
}
