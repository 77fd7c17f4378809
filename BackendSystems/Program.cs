using BackendSystems.Crm;
using BackendSystems.Erp;
using BackendSystems.Faults;
using Dapper;
using MobileIntegration.ServiceDefaults;

return await ServiceProcess.RunAsync(() =>
{
    DefaultTypeMap.MatchNamesWithUnderscores = true;
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddSlices(
        new Slice("crm", CrmSetup.AddCrm, CrmEndpoints.MapCrm),
        new Slice("erp", ErpSetup.AddErp, ErpEndpoints.MapErp));

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.UseFaults();
    app.MapSlices();
    return app;
});
