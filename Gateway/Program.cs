using Gateway;
using Gateway.Docs;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Keys;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddEdge();
    builder.AddRoutes();
    builder.AddUpstream();
    builder.AddResponseCache();
    builder.AddAppGate();
    builder.AddRevokedCalls();
    builder.AddLimits();
    builder.AddIdempotency();
    builder.KeepAuthorityKeys("mobiledb");
    builder.AddDocs();

    var app = builder.Build();
    app.UseEdge();
    app.UseAppGate();
    app.UseLimits();
    app.MapDefaultEndpoints();
    app.UseRevokedCalls();
    app.UseBodyGuard();
    app.UseResponseCache();
    app.UseAppGateEnds();
    app.UseIdempotency();
    app.MapApiClients();
    app.MapDocs();
    app.MapUpstream();
    return app;
});
