using FrontendServices.Home;
using MobileIntegration.ServiceDefaults;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddSlices(
        new Slice("home", HomeSetup.AddHome, HomeEndpoints.MapHome, Scopes.Home));

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.MapSlices();
    return app;
});
