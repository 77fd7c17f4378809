using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Keys;
using MobileServices.Analytics;
using MobileServices.Configuration;
using MobileServices.Devices;
using MobileServices.Identity;
using MobileServices.Push;
using MobileServices.Sync;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddSlices(
        new Slice("devices", DevicesSetup.AddDevices, DevicesEndpoints.MapDevices, Public: true),
        new Slice("identity", IdentitySetup.AddIdentity, IdentityEndpoints.MapIdentity, Public: true),
        new Slice("configuration", ConfigurationSetup.AddConfiguration, ConfigurationEndpoints.MapConfiguration, Public: true),
        new Slice("push", PushSetup.AddPush, PushEndpoints.MapPush, Public: true),
        new Slice("sync", SyncSetup.AddSync, SyncEndpoints.MapSync, Public: true),
        new Slice("analytics", AnalyticsSetup.AddAnalytics, AnalyticsEndpoints.MapAnalytics, Public: true));
    builder.KeepAuthorityKeys("mobiledb");

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.MapSlices();
    return app;
});
