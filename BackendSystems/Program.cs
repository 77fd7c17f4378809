using BackendSystems.Crm;
using BackendSystems.Erp;
using BackendSystems.Faults;
using BackendSystems.Pim;
using BackendSystems.Wms;
using Dapper;
using MobileIntegration.ServiceDefaults;

return await ServiceProcess.RunAsync(() =>
{
    DefaultTypeMap.MatchNamesWithUnderscores = true;
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    // The organisation's own systems know nothing of the tokens of apps.
    builder.AddSlices(
        new Slice("crm", CrmSetup.AddCrm, CrmEndpoints.MapCrm, Public: true),
        new Slice("erp", ErpSetup.AddErp, ErpEndpoints.MapErp, Public: true),
        new Slice("pim", PimSetup.AddPim, PimEndpoints.MapPim, Public: true),
        new Slice("wms", WmsSetup.AddWms, WmsEndpoints.MapWms, Public: true));

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.UseFaults();
    app.MapSlices();
    return app;
});
