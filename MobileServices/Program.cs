using MobileIntegration.ServiceDefaults;
using MobileServices.Devices;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddSlices(
        new Slice("devices", DevicesSetup.AddDevices, DevicesEndpoints.MapDevices));

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.MapSlices();
    return app;
});
