using FrontendServices.Sections;
using MobileIntegration.Contracts;

namespace FrontendServices.Orders;

public static class OrdersSetup
{
    public static void AddOrders(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddServiceClient<OrdersClient>("orders");
    }
}
