using FrontendServices.Account;
using FrontendServices.Catalog;
using FrontendServices.Home;
using FrontendServices.Orders;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Keys;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddSlices(
        new Slice("home", HomeSetup.AddHome, HomeEndpoints.MapHome, Scopes.Home),
        new Slice("catalog", CatalogSetup.AddCatalog, CatalogEndpoints.MapCatalog, Scopes.Catalog),
        new Slice("app-orders", OrdersSetup.AddOrders, OrdersEndpoints.MapOrders, Scopes.Orders),
        new Slice("account", AccountSetup.AddAccount, AccountEndpoints.MapAccount, Scopes.Account));
    builder.KeepAuthorityKeys("frontenddb");

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.MapSlices();
    return app;
});
