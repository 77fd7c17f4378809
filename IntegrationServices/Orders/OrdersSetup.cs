using IntegrationServices.Commands;
using IntegrationServices.Connectors;
using IntegrationServices.Inventory;
using IntegrationServices.Products;
using IntegrationServices.Reads;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace IntegrationServices.Orders;

public static class OrdersSetup
{
    internal const string Kind = "orders";

    public static void AddOrders(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddReads(Kind, freshSeconds: 5, staleSeconds: 3600);
        // PlaceOrder and CancelOrder, too, may be repeated: the Erp knows an order by its reference.
        builder.AddSoapConnector<IErpOrderService>(Erp.Name, "/erp/orders.svc");
        builder.AddSqlConnector(Wms.Name, "wmsdb");
        builder.AddRestConnector(Pim.Name);
        builder.Services.AddSingleton<Erp>();
        builder.Services.AddSingleton<Reservations>();
        builder.Services.TryAddTransient<Pim>();
        builder.AddCommand<PlaceOrder>(saga => saga.Kind);
        builder.AddCommand<CancelOrder>(saga => saga.Kind);
    }
}
