using Gateway;
using MobileIntegration.ServiceDefaults;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddRoutes();

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.MapReverseProxy();
    return app;
});
