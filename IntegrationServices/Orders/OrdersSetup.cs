using IntegrationServices.Connectors;

namespace IntegrationServices.Orders;

public static class OrdersSetup
{
    public static void AddOrders(this IHostApplicationBuilder builder)
    {
        // PlaceOrder and CancelOrder, too, may be repeated: the Erp knows an order by its reference.
        builder.AddSoapConnector<IErpOrderService>(Erp.Name, "/erp/orders.svc");
        builder.Services.AddSingleton<Erp>();
    }
}
