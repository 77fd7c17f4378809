using MobileIntegration.ServiceDefaults;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddSlices();

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.MapSlices();
    return app;
});
