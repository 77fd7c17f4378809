using IntegrationServices.Changes;
using IntegrationServices.Commands;
using IntegrationServices.Customers;
using IntegrationServices.Inventory;
using IntegrationServices.Orders;
using IntegrationServices.Products;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Keys;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddSlices(
        new("customers", CustomersSetup.AddCustomers, CustomersEndpoints.MapCustomers),
        new("products", ProductsSetup.AddProducts, ProductsEndpoints.MapProducts),
        new("orders", OrdersSetup.AddOrders, OrdersEndpoints.MapOrders),
        new("inventory", InventorySetup.AddInventory, InventoryEndpoints.MapInventory),
        new("commands", CommandsSetup.AddCommands, CommandsEndpoints.MapCommands, Scopes.IntegrationAdmin),
        new("changes", ChangesSetup.AddChanges, ChangesEndpoints.MapChanges, Scopes.IntegrationAdmin));
    builder.KeepAuthorityKeys("integrationdb");

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.MapSlices();
    return app;
});
