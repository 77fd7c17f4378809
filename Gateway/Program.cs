using Gateway;
using MobileIntegration.ServiceDefaults;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddRoutes();
    builder.AddAppGate();

    var app = builder.Build();
    app.UseAppGate();
    app.MapDefaultEndpoints();
    app.UseAppGateEnds();
    app.MapReverseProxy();
    return app;
});
